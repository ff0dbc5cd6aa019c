//! Builds a workflow from its object and the tail of its log.

use std::error::Error as _;
use std::sync::Arc;

use argosy_actor::{Failure, WorkflowKey, api, sight};
use argosy_api::labels;
use argosy_api::message::{
    ClusterCommand, CommandMessage, Observed, ObservedMessage, SCHEMA, StatusChanged, WorkflowDelta,
};
use argosy_api::v1alpha1::{NodePhase, Time, WorkflowPhase};
use argosy_bus::{Message, Publish, Stream};
use argosy_engine::{Command, Event, Workflow};
use kube::api::DynamicObject;
use serde_json::json;
use tokio::time::Instant;

use crate::actor::{Stepped, WorkflowActor};
use crate::metrics;
use crate::shard::Shard;
use crate::stamp::{Origin, Outgoing};

/// Messages read at once.
const PAGE: usize = 512;

/// Reads the object from the API, never from a cache, replays what the log holds behind its watermark, and asks again for
/// what may have been lost. `None`: the workflow is gone.
pub(crate) async fn rebuild(shard: &Arc<Shard>, key: &WorkflowKey) -> Result<Option<WorkflowActor>, Failure> {
    let Some(object) = read(shard, key).await? else {
        return Ok(None);
    };
    metrics::REBUILDS.inc();
    let watermark = watermark_of(&object);
    let mut typed = match api::to_workflow(&object) {
        Ok(typed) => typed,
        Err(error) => return give_up(shard, key, watermark, &error).await,
    };
    let is_new = watermark == 0 && typed.status.phase == WorkflowPhase::Unknown;
    let is_ending = !typed.spec.shutdown.is_empty();
    if is_ending && let Some(shutdown) = shutdown_at(shard, key, watermark).await? {
        typed.spec.shutdown = shutdown;
        // Its spec is that of an earlier version now: the engine is to take the one that the log has from there on.
        typed.metadata.generation = 0;
        typed.metadata.resource_version.clear();
    }
    let mut actor = WorkflowActor {
        shard: Arc::clone(shard),
        key: key.clone(),
        workflow: Workflow::new(Arc::clone(&shard.around.config), typed, watermark),
        last: watermark,
        published: watermark,
        // The watermark does not tell of an event that newer ones overtook: it comes again, and is taken as late.
        stepped: Stepped::up_to(0),
        tend_at: Instant::now(),
    };
    let mut out = Outgoing::default();
    if !is_new {
        resume(&mut actor, &mut out);
    }
    let knows_object = replay(&mut actor, &mut out).await?;
    // A shutdown is carried out when the object comes, so let it come again: the stop of a pod may have got lost.
    if (watermark <= shard.origin || is_ending) && !knows_object && !actor.workflow.is_completed() {
        report(shard, key, object).await?;
    }
    out.messages.retain(|message| is_still_wished(&actor.workflow, message));
    actor.send(out).await?;
    actor.tend_at = actor.next_tending();
    Ok(Some(actor))
}

/// The object as its status service left it. When the bus was lost since, one of the service's owners from before may still
/// write something that it alone remembers; what is decided from then on must know that.
async fn read(shard: &Shard, key: &WorkflowKey) -> Result<Option<DynamicObject>, Failure> {
    let object = api::get(&shard.around.client, key).await?;
    let is_cut_off = object.as_ref().is_some_and(|object| (1..=shard.origin).contains(&watermark_of(object)));
    if is_cut_off && Instant::now() < shard.calm_at {
        tracing::warn!(workflow.uid = key.uid, workflow.name = key.name, "the bus was lost, going on from the object");
        metrics::CUT_OFF.inc();
        tokio::time::sleep_until(shard.calm_at).await;
        return api::get(&shard.around.client, key).await;
    }
    Ok(object)
}

/// The shutdown that the log had asked for up to `watermark`; `None` when it does not go back so far. The object may be ahead
/// of it: events from before the shutdown must be stepped as they were then, or the replay decides otherwise than was
/// published.
async fn shutdown_at(shard: &Shard, key: &WorkflowKey, watermark: u64) -> Result<Option<String>, Failure> {
    let host = &shard.around.host;
    let log = host.observed_subject(&key.uid);
    let (mut after, mut found) = (0, None);
    loop {
        let page = host.bus.read(Stream::Observed, &log, after, PAGE).await?;
        let Some(newest) = page.last().map(|message| message.sequence) else {
            return Ok(found);
        };
        for message in page.iter().take_while(|message| message.sequence <= watermark) {
            if let Ok(observed) = serde_json::from_slice::<ObservedMessage>(&message.payload)
                && let Observed::WorkflowChanged { object, .. } = observed.body
            {
                found = Some(object.spec.shutdown);
            }
        }
        if newest > watermark {
            return Ok(found);
        }
        after = newest;
    }
}

/// Tells the workflow's log of the object, as a watcher would. It may have told the log that was lost.
async fn report(shard: &Shard, key: &WorkflowKey, object: DynamicObject) -> Result<(), Failure> {
    let host = &shard.around.host;
    let is_foreign = sight::is_foreign(&object);
    match host.publish(vec![sight::workflow_changed(host, key, object, is_foreign)]).await {
        Err(error @ argosy_bus::Error::TooLarge { .. }) => {
            metrics::POISON.inc();
            tracing::error!(workflow.uid = key.uid, error = &error as &dyn std::error::Error, "workflow not reported");
            Ok(())
        }
        result => Ok(result.map(|_| ())?),
    }
}

/// Has the engine take up a workflow that was begun, and ask for all that its nodes still wait for.
fn resume(actor: &mut WorkflowActor, out: &mut Outgoing) {
    let at = actor.shard.around.host.clock.now();
    let commands = actor.workflow.resume(at);
    // Unlike a step, this may be repeated from one state to a different end: the wish may have got lost in between.
    let cause = format!("r{}.{}.{}", actor.shard.epoch, actor.last, at.as_second());
    let origin = Origin { workflow: &actor.key, shard: actor.shard.number, epoch: actor.shard.epoch, cause, at };
    out.add(&origin, commands, &mut actor.published);
}

/// Ends a workflow whose object cannot be read: its author sees why.
async fn give_up(
    shard: &Arc<Shard>,
    key: &WorkflowKey,
    watermark: u64,
    error: &api::Unreadable,
) -> Result<Option<WorkflowActor>, Failure> {
    let at = shard.around.host.clock.now();
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let (time, phase) = (Time::new(at), WorkflowPhase::Error.to_string());
    let status = json!({
        "phase": phase, "message": format!("{error}{cause}"), "startedAt": time.to_string(), "finishedAt": time.to_string(),
    });
    let labels = [(labels::PHASE, phase.as_str()), (labels::COMPLETED, "true")];
    let change = StatusChanged {
        schema: SCHEMA,
        at,
        namespace: key.namespace.clone(),
        workflow: key.name.clone(),
        workflow_uid: key.uid.clone(),
        observed_sequence: watermark,
        last: true,
        workflow_status: Some(WorkflowDelta {
            status,
            labels: labels.map(|(label, value)| (label.to_owned(), Some(value.to_owned()))).into(),
            completed: true,
            ..WorkflowDelta::default()
        }),
        ..StatusChanged::default()
    };
    let origin = Origin { workflow: key, shard: shard.number, epoch: shard.epoch, cause: "unreadable".to_owned(), at };
    let mut out = Outgoing::default();
    let mut previous = watermark;
    out.add(&origin, vec![Command::Publish(Box::new(change))], &mut previous);
    shard.outbox.publish(out.messages).await?;
    Ok(None)
}

/// Steps what the log holds behind the watermark. Says whether the object was in there.
async fn replay(actor: &mut WorkflowActor, out: &mut Outgoing) -> Result<bool, Failure> {
    let mut knows_object = false;
    let host = actor.shard.around.host.clone();
    let subject = host.observed_subject(&actor.key.uid);
    loop {
        let page = host.bus.read(Stream::Observed, &subject, actor.last, PAGE).await?;
        let Some(newest) = page.last().map(|message| message.sequence) else {
            break;
        };
        for message in page {
            actor.stepped.insert(message.sequence);
            knows_object |= step(actor, &message, out);
        }
        actor.last = newest;
    }
    Ok(knows_object)
}

/// True when the message was the object.
fn step(actor: &mut WorkflowActor, message: &Message, out: &mut Outgoing) -> bool {
    // What cannot be read is put aside when it is delivered.
    let Ok(observed) = serde_json::from_slice::<ObservedMessage>(&message.payload) else {
        return false;
    };
    metrics::REPLAYED.inc();
    match &observed.body {
        Observed::TimerFired { key } => _ = out.timers.remove(key),
        Observed::LookedUp { key, .. } => _ = out.lookups.remove(key),
        Observed::WorkflowChanged { .. }
        | Observed::WorkflowUnreadable { .. }
        | Observed::WorkflowDeleted
        | Observed::PodChanged { .. }
        | Observed::PodRejected { .. } => {}
    }
    let (at, is_object) = (observed.at, matches!(observed.body, Observed::WorkflowChanged { .. }));
    let body = actor.timely(observed.body);
    let commands = actor.workflow.step(Event { sequence: message.sequence, at, body });
    let origin = Origin {
        workflow: &actor.key,
        shard: actor.shard.number,
        epoch: actor.shard.epoch,
        cause: message.sequence.to_string(),
        at,
    };
    out.add(&origin, commands, &mut actor.published);
    is_object
}

/// A repeated wish for a pod whose node has begun, or ended, since was carried out long ago. The bus knows its id only for
/// a while, and the pod may be gone: it must not come back.
fn is_still_wished(workflow: &Workflow, message: &Publish) -> bool {
    if message.stream != Stream::Commands {
        return true;
    }
    let Ok(command) = serde_json::from_slice::<CommandMessage>(&message.payload) else {
        return true;
    };
    match command.body {
        ClusterCommand::CreatePod { .. } => {
            let node = workflow.object().status.nodes.get(&command.node_id);
            node.is_some_and(|node| node.phase == NodePhase::Pending)
        }
        ClusterCommand::StopPod { .. }
        | ClusterCommand::DeletePod { .. }
        | ClusterCommand::LabelPodCompleted { .. }
        | ClusterCommand::CreateObject { .. }
        | ClusterCommand::SaveCacheEntry { .. }
        | ClusterCommand::DeleteObject { .. } => true,
    }
}

/// How far the log is folded into the object that the API has; `None` when the workflow is gone.
pub(crate) async fn written(client: &kube::Client, key: &WorkflowKey) -> Result<Option<u64>, Failure> {
    Ok(api::get(client, key).await?.map(|object| watermark_of(&object)))
}

fn watermark_of(object: &DynamicObject) -> u64 {
    sight::watermark(object).map_or(0, |watermark| watermark.sequence)
}
