//! What happens to pods, as Kubernetes Events for people to read: what `kubectl describe pod` ends with.
//!
//! Nothing depends on them. One that the API does not take is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client};

use super::container::cut;
use super::pod::PodRun;
use super::state::{START_ERROR, Snapshot, State};

/// Longest message, in bytes. Source: Kubernetes' validation of Events.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Longest part of a pod's name in the name of an Event, whose own limit is 253 bytes.
const NAME_BYTES_MAX: usize = 200;

/// One thing that happens to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    is_warning: bool,
    reason: &'static str,
    message: String,
    /// Which of the cluster's programs would tell it.
    component: &'static str,
}

impl Note {
    fn of_kubelet(reason: &'static str, message: String) -> Self {
        Self { is_warning: false, reason, message, component: "kubelet" }
    }

    /// No node fits the pod.
    pub fn unfit(message: &str) -> Self {
        let message = message.to_owned();
        Self { is_warning: true, reason: "FailedScheduling", message, component: "default-scheduler" }
    }

    fn assigned(namespace: &str, pod: &str, node: &str) -> Self {
        let message = format!("Successfully assigned {namespace}/{pod} to {node}");
        Self { is_warning: false, reason: "Scheduled", message, component: "default-scheduler" }
    }
}

/// Tells what happens to a pod until it is over.
pub async fn follow(run: Arc<PodRun>) {
    let client = run.node.client.clone();
    let (namespace, name) = (run.namespace(), run.name());
    if run.pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none()) {
        send(&client, &run.pod, &run.node.name, Note::assigned(&namespace, &name, &run.node.name)).await;
    }
    let mut states = run.states.subscribe();
    let mut told = Told::of(&run.pod);
    let over = run.over();
    tokio::pin!(over);
    loop {
        let is_over = tokio::select! {
            biased;
            changed = states.changed() => changed.is_err(),
            () = &mut over => true,
        };
        let now = states.borrow_and_update().clone();
        for note in told.news(&now) {
            send(&client, &run.pod, &run.node.name, note).await;
        }
        if is_over {
            return;
        }
    }
}

/// What has been told of a pod.
#[derive(Default)]
struct Told {
    /// The containers as they start: those that come first, and then the others as they are written.
    order: Vec<String>,
    started: BTreeSet<String>,
    failures: BTreeSet<(String, String)>,
}

impl Told {
    /// What an earlier life of the node has told: of what has started by the pod's status.
    fn of(pod: &Pod) -> Self {
        let status = pod.status.iter();
        let all = status.flat_map(|s| s.init_container_statuses.iter().chain(&s.container_statuses).flatten());
        let started = all.filter(|c| c.state.as_ref().is_some_and(|s| s.running.is_some() || s.terminated.is_some()));
        let started = started.map(|c| c.name.clone()).collect();
        let order = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        Self { order: order.map(|c| c.name.clone()).collect(), started, failures: BTreeSet::new() }
    }

    fn news(&mut self, now: &Snapshot) -> Vec<Note> {
        let mut notes = Vec::new();
        let place = |name: &String| self.order.iter().position(|other| other == name).unwrap_or(usize::MAX);
        let mut containers: Vec<_> =
            now.containers.iter().map(|(name, container)| (place(name), name, container)).collect();
        containers.sort_by_key(|(place, ..)| *place);
        for (_, name, container) in containers {
            match &container.state {
                State::Ended(end) if end.reason == START_ERROR => {
                    notes.extend(self.failed(name, format!("Error: {}", end.message)));
                }
                State::Running { .. } | State::Ended(_) => {
                    if self.started.insert(name.clone()) {
                        notes.push(Note::of_kubelet("Started", format!("Started container {name}")));
                    }
                }
                // Without words it waits for its turn.
                State::Waiting { message, .. } if message.is_empty() => {}
                State::Waiting { reason, message } => {
                    notes.extend(self.failed(name, format!("Error: {reason}: {message}")));
                }
            }
        }
        notes
    }

    fn failed(&mut self, container: &str, message: String) -> Option<Note> {
        let is_new = self.failures.insert((container.to_owned(), message.clone()));
        is_new.then(|| Note { is_warning: true, ..Note::of_kubelet("Failed", message) })
    }
}

/// Creates an Event. It is tried once.
pub async fn send(client: &Client, pod: &Pod, node: &str, mut note: Note) {
    cut(&mut note.message, MESSAGE_BYTES_MAX);
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let now = Timestamp::now();
    let mut name = pod.metadata.name.clone().unwrap_or_default();
    cut(&mut name, NAME_BYTES_MAX);
    // In the order of time: clients sort by seconds, and take what is of the same second as the API lists it, by name.
    name.push_str(&format!(".{:016x}", now.as_nanosecond()));
    let now = Time(now);
    let event = Event {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace.clone()), ..ObjectMeta::default() },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(namespace),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        },
        type_: Some(if note.is_warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(note.reason.to_owned()),
        message: Some(note.message),
        source: Some(EventSource { component: Some(note.component.to_owned()), host: Some(node.to_owned()) }),
        reporting_component: Some(note.component.to_owned()),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        count: Some(1),
        ..Event::default()
    };
    if let Err(error) = api.create(&PostParams::default(), &event).await {
        tracing::debug!(error = &error as &dyn std::error::Error, reason = note.reason, "an event was not recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::{Ended, Observed};
    use super::*;

    fn snapshot(containers: &[(&str, State)]) -> Snapshot {
        let one = |(name, state): &(&str, State)| ((*name).to_owned(), Observed { state: state.clone(), ready: false });
        Snapshot { containers: containers.iter().map(one).collect(), failure: None }
    }

    fn waiting(reason: &'static str, message: &str) -> State {
        State::Waiting { reason, message: message.to_owned() }
    }

    #[test]
    fn starts_and_failures_are_told_once() {
        let mut told = Told::default();
        let at = Timestamp::now();
        let reasons = |notes: Vec<Note>| notes.into_iter().map(|n| (n.reason, n.message)).collect::<Vec<_>>();
        let note = |reason, message: &str| (reason, message.to_owned());
        let begun =
            snapshot(&[("a", waiting("PodInitializing", "")), ("b", waiting("InvalidImageName", "no such name"))]);
        assert_eq!(reasons(told.news(&begun)), [note("Failed", "Error: InvalidImageName: no such name")]);
        let ended = State::Ended(Ended::with_code(1, String::new(), at, at));
        // So quick that nobody saw it run.
        let ran = snapshot(&[("a", ended), ("b", waiting("InvalidImageName", "no such name"))]);
        assert_eq!(reasons(told.news(&ran)), [note("Started", "Started container a")]);
        let end = Ended { reason: START_ERROR.to_owned(), ..Ended::with_code(128, "no such file".to_owned(), at, at) };
        let failed = snapshot(&[("c", State::Ended(end))]);
        assert_eq!(reasons(told.news(&failed)), [note("Failed", "Error: no such file")]);
        assert_eq!(reasons(told.news(&ran)), []);
        told.order = vec!["z".to_owned(), "main".to_owned()];
        let running = || State::Running { started_at: at };
        let all = snapshot(&[("main", running()), ("z", running())]);
        assert_eq!(reasons(told.news(&all)).first(), Some(&note("Started", "Started container z")));
    }
}
