//! Turns the engine's commands into messages. Equal steps give equal ids: that is what makes a repeat harmless. An id says
//! what its message is about, not where it came in the step: an owner that has the state from the object may come upon the
//! nodes in another order than one that has seen them come.

use std::collections::HashMap;

use argosy_api::ArcStr;
use argosy_api::digest::{self, Position};
use argosy_api::message::{ClusterCommand, CommandMessage, Growth, LockFact, SCHEMA, StatusChanged};
use argosy_bus::{Publish, Stream, subject};
use argosy_engine::Command;
use argosy_host::{Cause, Outgoing};
use argosy_workflows::{HEADER_PART, HEADER_POSITION, HEADER_PREVIOUS, WorkflowKey};
use serde_json::json;

use crate::facts::Question;
use crate::locks::want_of;

/// A step's status is cut into messages of about this size.
pub const PART_BYTES_MAX: usize = 256 * 1024;

/// Adds the commands of one step to what is to be sent. `published` is the position of the last published status, and is moved
/// on; `shards` is how many the installation has.
pub(crate) fn stamp(
    cause: &Cause<'_, WorkflowKey>,
    commands: Vec<Command>,
    shards: u16,
    published: &mut Position,
    out: &mut Outgoing<Question>,
) {
    let mut named: HashMap<String, usize> = HashMap::new();
    let published_then = commands.iter().fold(*published, |position, command| match command {
        Command::Publish(status) => position.next(status.observed_sequence),
        Command::Cluster { .. }
        | Command::ArmTimer { .. }
        | Command::DisarmTimer { .. }
        | Command::Lookup(_)
        | Command::WantLocks { .. }
        | Command::ReleaseLocks { .. } => position,
    });
    for command in commands {
        let mut id = format!("{}:{}:{}", cause.key.uid, cause.id, name_of(&command));
        let before = named.entry(id.clone()).or_default();
        if *before > 0 {
            // More of a kind for one node, such as the claims of a workflow, come in the order of its spec.
            id.push_str(&format!(".{before}"));
        }
        *before += 1;
        match command {
            Command::Cluster { node_id, mut command } => {
                note(&command, &id, out);
                if let ClusterCommand::CollectPod { terms, .. } | ClusterCommand::CollectPods { terms, .. } =
                    &mut command
                {
                    terms.published = published_then;
                }
                let WorkflowKey { uid, namespace, name } = cause.key.clone();
                let node_id = node_id.to_string();
                let subject = subject::Command { shard: cause.shard, uid: uid.clone(), node: node_id.clone() };
                let message = CommandMessage {
                    schema: SCHEMA,
                    at: cause.at,
                    epoch: cause.epoch,
                    sequence: cause.sequence,
                    namespace,
                    workflow: name,
                    workflow_uid: uid,
                    node_id,
                    body: command,
                };
                let payload = serde_json::to_vec(&message).expect("messages have string keys only");
                out.messages.push(traced(Publish::new(Stream::Commands, subject.to_string(), id, payload)));
            }
            Command::ArmTimer { key, due } => out.arm(key, due),
            Command::DisarmTimer { key } => out.disarm(key),
            Command::Lookup(key) => out.ask(Question::Lookup(key), id),
            Command::WantLocks { namespace, want } => {
                let wanted = |workflow| LockFact::Wanted { workflow, want };
                out.messages.push(want_of(cause, shards, &namespace, id, wanted));
            }
            Command::ReleaseLocks { namespace, holder, since } => {
                let released = |workflow| LockFact::Released { workflow, holder, since };
                out.messages.push(want_of(cause, shards, &namespace, id, released));
            }
            Command::Publish(status) => {
                let previous = *published;
                *published = previous.next(status.observed_sequence);
                out.messages.extend(events(cause, &id, *status, previous, *published));
            }
        }
    }
}

/// A pod that is stopped before its wish was sent is not wished for.
fn note(command: &ClusterCommand, id: &str, out: &mut Outgoing<Question>) {
    match command {
        ClusterCommand::CreatePod { manifest, .. } => out.wished(manifest.pod_name().to_owned(), id.to_owned()),
        ClusterCommand::StopPod { name } | ClusterCommand::DeletePod { name } => out.take_back(name),
        ClusterCommand::ConfirmPod { .. }
        | ClusterCommand::LabelPodCompleted { .. }
        | ClusterCommand::CollectPod { .. }
        | ClusterCommand::CollectPods { .. }
        | ClusterCommand::CreateObject { .. }
        | ClusterCommand::SaveCacheEntry { .. }
        | ClusterCommand::DeleteObject { .. } => {}
    }
}

/// What tells a command from the others of its step.
fn name_of(command: &Command) -> String {
    match command {
        Command::Cluster { node_id, command } => format!("{}.{node_id}", command.kind()),
        Command::ArmTimer { key, .. } | Command::DisarmTimer { key } => format!("timer.{key}"),
        // Its texts may be anybody's.
        Command::Lookup(key) => format!("lookup.{:016x}", digest::of_member("lookup", &json!(key))),
        Command::WantLocks { namespace, want } => {
            format!("want.{:016x}", digest::of_member("locks", &json!([namespace, want.holder])))
        }
        Command::ReleaseLocks { namespace, holder, .. } => {
            format!("release.{:016x}", digest::of_member("locks", &json!([namespace, holder])))
        }
        Command::Publish(_) => "status".to_owned(),
    }
}

fn traced(mut message: Publish) -> Publish {
    argosy_telemetry::propagate::inject(&mut message.headers);
    message
}

/// The CloudEvents of one step, at `position` behind `previous`.
fn events(
    cause: &Cause<'_, WorkflowKey>,
    id: &str,
    status: StatusChanged,
    previous: Position,
    position: Position,
) -> Vec<Publish> {
    let parts = cut(status, PART_BYTES_MAX);
    let is_whole = parts.len() == 1;
    let messages = parts.into_iter().enumerate().map(|(part, status)| {
        let id = if is_whole { id.to_owned() } else { format!("{id}.{part}") };
        let WorkflowKey { uid, namespace, name } = cause.key;
        let kind = status.event_type();
        let subject = subject::Event {
            shard: cause.shard,
            namespace: namespace.clone(),
            uid: uid.clone(),
            kind: kind.to_owned(),
        };
        let payload = serde_json::to_vec(&status).expect("messages have string keys only");
        traced(Publish::new(Stream::Events, subject.to_string(), &id, payload))
            .header(HEADER_POSITION, position.to_string())
            .header(HEADER_PREVIOUS, previous.to_string())
            .header(HEADER_PART, part.to_string())
            .header("ce-specversion", "1.0")
            .header("ce-id", id)
            .header("ce-source", format!("/argosy/{namespace}/workflows/{name}"))
            .header("ce-type", format!("io.argosy.workflow.{kind}"))
            .header("ce-time", cause.at.to_string())
            .header("content-type", "application/json")
    });
    messages.collect()
}

/// Cuts nodes, their lists and what is measured into parts of about `bytes_max`, in the order of the ids, so that a repeat is cut alike; the
/// last part carries the rest and says that it is the last.
fn cut(mut status: StatusChanged, bytes_max: usize) -> Vec<StatusChanged> {
    let mut nodes: Vec<_> = std::mem::take(&mut status.nodes).into_iter().collect();
    nodes.sort_by(|a, b| a.id.cmp(&b.id));
    let mut grown = std::mem::take(&mut status.grown);
    grown.sort_by(|a, b| (&a.node, a.list).cmp(&(&b.node, b.list)));
    let samples = std::mem::take(&mut status.metrics);
    let mut parts = Vec::new();
    let mut part = head(&status);
    let mut bytes = 0;
    let mut room_for = |part: &mut StatusChanged, size: usize| {
        if bytes > 0 && bytes + size > bytes_max {
            parts.push(std::mem::replace(part, head(&status)));
            bytes = 0;
        }
        bytes += size;
    };
    for node in nodes {
        let size = serde_json::to_string(&node).map_or(0, |text| text.len()) + node.id.len() + 8;
        room_for(&mut part, size);
        part.nodes.push(node);
    }
    for growth in grown.into_iter().flat_map(|growth| pieces(growth, bytes_max)) {
        room_for(&mut part, bytes_of(&growth));
        part.grown.push(growth);
    }
    for sample in samples {
        room_for(&mut part, serde_json::to_string(&sample).map_or(0, |text| text.len()) + 1);
        part.metrics.push(sample);
    }
    (status.nodes, status.grown, status.metrics) = (part.nodes, part.grown, part.metrics);
    status.last = true;
    parts.push(status);
    parts
}

fn bytes_of(growth: &Growth) -> usize {
    growth.ids.iter().map(|id| id.len() + 3).sum::<usize>() + growth.node.len() + 64
}

/// The growth of one list, in pieces of about `bytes_max`.
fn pieces(mut growth: Growth, bytes_max: usize) -> Vec<Growth> {
    let ids = std::mem::take(&mut growth.ids);
    let longest = ids.iter().map(|id| id.len() + 3).max().unwrap_or(1);
    let count = (bytes_max / longest).max(1);
    if ids.len() <= count {
        return vec![Growth { ids, ..growth }];
    }
    let piece =
        |(at, ids): (usize, &[ArcStr])| Growth { from: growth.from + at * count, ids: ids.to_vec(), ..growth.clone() };
    ids.chunks(count).enumerate().map(piece).collect()
}

fn head(status: &StatusChanged) -> StatusChanged {
    StatusChanged {
        schema: status.schema,
        at: status.at,
        namespace: status.namespace.clone(),
        workflow: status.workflow.clone(),
        workflow_uid: status.workflow_uid.clone(),
        observed_sequence: status.observed_sequence,
        ..StatusChanged::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use argosy_api::{
        message::{ChangedNodes, MetricSample},
        v1alpha1::NodeStatus,
    };
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_large_status_is_cut_and_only_its_last_part_says_so() {
        let node = |n: usize| {
            let (id, message) = (format!("n{n:03}").into(), "x".repeat(100).into());
            NodeStatus { id, message, ..NodeStatus::default() }.into()
        };
        let children: Vec<ArcStr> = (0..1000).map(|n| format!("child-{n}").into()).collect();
        let status = StatusChanged {
            observed_sequence: 9,
            nodes: (0..100).map(node).collect(),
            grown: vec![Growth { node: "n000".into(), from: 2, ids: children.clone(), ..Growth::default() }],
            removed_nodes: vec!["gone".into()],
            metrics: (0..200).map(|n| MetricSample { name: format!("m{n}"), ..MetricSample::default() }).collect(),
            ..StatusChanged::default()
        };
        let parts = cut(status.clone(), 4096);
        assert!(parts.len() > 3, "{}", parts.len());
        assert!(parts.iter().all(|part| serde_json::to_vec(part).expect("JSON").len() < 5000));
        assert_eq!(parts.iter().filter(|part| part.last).count(), 1);
        assert_eq!(parts.last().map(|part| (part.last, part.removed_nodes.len())), Some((true, 1)));
        let samples = parts.iter().map(|part| part.metrics.len()).sum::<usize>();
        assert_eq!(samples, 200);
        let mut list: Vec<ArcStr> = vec!["a".into(), "b".into()];
        parts.iter().flat_map(|part| &part.grown).for_each(|growth| growth.apply(&mut list));
        assert_eq!(list[2..], children);
        let nodes: ChangedNodes = parts.into_iter().flat_map(|part| part.nodes).collect();
        assert_eq!(nodes, status.nodes);
    }

    #[test]
    fn a_wish_that_is_taken_back_before_it_is_sent_is_not_sent() {
        let workflow = WorkflowKey { uid: "u".into(), namespace: "ns".into(), name: "w".into() };
        let mut out = Outgoing::default();
        let of = |node: &str, command| Command::Cluster { node_id: node.into(), command };
        let create = |node: &str| {
            let manifest =
                serde_json::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": node}}));
            of(node, ClusterCommand::CreatePod { manifest: manifest.expect("a manifest"), not_before: 0 })
        };
        let stop = |node: &str| of(node, ClusterCommand::StopPod { name: node.into() });
        for (id, commands) in
            [("1", vec![create("a"), create("b")]), ("2", vec![stop("a")]), ("3", vec![create("a"), stop("c")])]
        {
            let (id, at) = (id.to_owned(), Timestamp::UNIX_EPOCH);
            let cause = Cause { key: &workflow, shard: 0, epoch: 1, origin: 0, sequence: 7, id, at };
            stamp(&cause, commands, 1, &mut Position::step(3), &mut out);
        }
        out.settle();
        let ids: Vec<_> = out.messages.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(ids, ["u:1:createPod.b", "u:2:stopPod.a", "u:3:createPod.a", "u:3:stopPod.c"]);
    }

    #[test]
    fn equal_steps_give_equal_ids() {
        let workflow = WorkflowKey { uid: "u".into(), namespace: "ns".into(), name: "w".into() };
        let cause = || Cause {
            key: &workflow,
            shard: 0,
            epoch: 1,
            origin: 0,
            sequence: 7,
            id: "7".into(),
            at: Timestamp::UNIX_EPOCH,
        };
        let commands = || {
            let status = StatusChanged { observed_sequence: 7, ..StatusChanged::default() };
            let stop = argosy_api::message::ClusterCommand::StopPod { name: "p".into() };
            vec![Command::Cluster { node_id: "n".into(), command: stop }, Command::Publish(Box::new(status))]
        };
        let stamped = || {
            let (mut out, mut previous) = (Outgoing::default(), Position::step(3));
            stamp(&cause(), commands(), 1, &mut previous, &mut out);
            assert_eq!(previous, Position::step(7));
            out.messages
        };
        assert_eq!(stamped(), stamped());
        let ids: Vec<_> = stamped().into_iter().map(|message| message.id).collect();
        assert_eq!(ids, ["u:7:stopPod.n", "u:7:status"]);
        // Nor do they tell in which order an owner came upon what they are about.
        let create = |n: usize| {
            let object = argosy_api::message::ClusterCommand::CreateObject { manifest: json!({"n": n}) };
            Command::Cluster { node_id: "w".into(), command: object }
        };
        let [mut one, mut other] = [Outgoing::default(), Outgoing::default()];
        let in_order = commands().into_iter().chain([create(0), create(1)]).collect();
        stamp(&cause(), in_order, 1, &mut Position::step(3), &mut one);
        let in_another = [create(0), create(1)].into_iter().chain(commands().into_iter().rev()).collect();
        stamp(&cause(), in_another, 1, &mut Position::step(3), &mut other);
        let told =
            |out: Outgoing<Question>| out.messages.into_iter().map(|m| (m.id, m.payload)).collect::<BTreeMap<_, _>>();
        assert_eq!(told(one), told(other));
        assert_eq!(stamped()[1].headers[HEADER_PREVIOUS], "3");
    }
}
