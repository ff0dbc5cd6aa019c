//! The recorder between a bus in memory and the in-process API.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::Host;
use argosy_apiserver::{Options as ApiOptions, Server};
use argosy_bus::memory::Memory;
use argosy_bus::{Bus, Publish, Stream, subject};
use argosy_recorder::{Options, Service};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

struct World {
    bus: Arc<dyn Bus>,
    server: Server,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start(node_events_max: usize) -> Self {
        Self::with(Options { recorder_node_events_max: node_events_max, ..Options::default() }).await
    }

    async fn with(options: Options) -> Self {
        let (bus, server): (Arc<dyn Bus>, _) = (Arc::new(Memory::new()), Server::new(ApiOptions::default()));
        let service = Service::new(Host::new(Arc::clone(&bus), "test", 1), server.client("argo"), options);
        let stop = CancellationToken::new();
        let task = tokio::spawn(service.run(stop.clone()));
        // What happened before it began is not told.
        until(async || bus.lag(Stream::Events, "recorder").await.expect("known").is_some()).await;
        Self { bus, server, stop, task }
    }

    /// Tells a change that the step of `sequence` made.
    async fn tell(&self, sequence: u64, mut change: Value) {
        for (field, value) in [("namespace", json!("argo")), ("workflow", json!("wf")), ("workflowUid", json!("u"))] {
            change[field] = value;
        }
        change["observedSequence"] = json!(sequence);
        self.publish(&format!("u:{sequence}"), change.to_string()).await;
    }

    async fn publish(&self, id: &str, payload: String) {
        let subject = subject::Event { shard: 0, namespace: "argo".into(), uid: "u".into(), kind: "changed".into() };
        let message = Publish::new(Stream::Events, subject.to_string(), id, payload.into_bytes());
        self.bus.publish(message).await.expect("published");
    }

    /// All Events, once all that was told is dealt with.
    async fn events(&self) -> Vec<Event> {
        _ = self.recorded().await;
        let events: Api<Event> = Api::namespaced(self.server.client("argo"), "argo");
        events.list(&ListParams::default()).await.expect("listed").items
    }

    /// What has been recorded, once all that was told is dealt with: type, reason and message, by their times.
    async fn recorded(&self) -> Vec<[String; 3]> {
        until(async || {
            self.bus
                .lag(Stream::Events, "recorder")
                .await
                .expect("known")
                .is_some_and(|lag| lag.pending + lag.unacknowledged == 0)
        })
        .await;
        let events: Api<Event> = Api::namespaced(self.server.client("argo"), "argo");
        // As `kubectl describe` asks.
        let about =
            ListParams::default().fields("involvedObject.name=wf,involvedObject.kind=Workflow,involvedObject.uid=u");
        let mut events = events.list(&about).await.expect("listed").items;
        events.sort_by_key(|event| event.first_timestamp.clone());
        let told = |event: Event| [event.type_, event.reason, event.message].map(Option::unwrap_or_default);
        events.into_iter().map(told).collect()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.expect("no panic");
    }
}

async fn until(holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it comes about");
}

fn node(id: &str, phase: &str) -> Value {
    json!({"id": id, "name": format!("wf.{id}"), "type": "Pod", "phase": phase})
}

fn event(kind: &str, reason: &str, message: &str) -> [String; 3] {
    [kind, reason, message].map(str::to_owned)
}

#[tokio::test]
async fn what_happens_to_a_workflow_is_recorded_once() {
    let world = World::start(500).await;
    let at = |second: u8| format!("2026-01-02T03:04:{second:02}Z");
    world.tell(1, json!({"at": at(1), "workflowStatus": {"status": {"phase": "Running"}}})).await;
    world.tell(2, json!({"at": at(2), "nodes": {"a": node("a", "Running")}})).await;
    // It changes, and runs on.
    world.tell(3, json!({"at": at(3), "nodes": {"a": node("a", "Running")}})).await;
    // What nobody can read, and the claim of a new owner, are passed over.
    world.publish("x", "{".to_owned()).await;
    world.publish("claim", String::new()).await;
    world.tell(4, json!({"at": at(4), "nodes": {"a": node("a", "Failed")}})).await;
    let ended = json!({"status": {"phase": "Failed", "message": "child 'wf.a' failed"}, "completed": true});
    world.tell(5, json!({"at": at(5), "workflowStatus": ended})).await;
    let expected = [
        event("Normal", "WorkflowRunning", "Workflow Running"),
        event("Normal", "WorkflowNodeRunning", "Running node wf.a"),
        event("Warning", "WorkflowNodeFailed", "Failed node wf.a"),
        event("Warning", "WorkflowFailed", "child 'wf.a' failed"),
    ];
    assert_eq!(world.recorded().await, expected);
    world.end().await;
}

#[tokio::test]
async fn of_a_workflow_with_very_many_nodes_the_first_are_recorded_and_its_end() {
    let world = World::start(2).await;
    for n in 0..5 {
        let id = format!("n{n}");
        world
            .tell(n + 1, json!({"at": format!("2026-01-02T03:04:0{n}Z"), "nodes": {id.as_str(): node(&id, "Running")}}))
            .await;
    }
    let ended = json!({"status": {"phase": "Succeeded"}, "completed": true});
    world.tell(9, json!({"at": "2026-01-02T03:05:00Z", "workflowStatus": ended})).await;
    let reasons: Vec<String> = world.recorded().await.into_iter().map(|[_, reason, _]| reason).collect();
    assert_eq!(reasons, ["WorkflowNodeRunning", "WorkflowNodeRunning", "WorkflowSucceeded"]);
    world.end().await;
}

#[tokio::test]
async fn a_node_that_ended_at_once_is_told_to_run_first() {
    let world = World::start(500).await;
    let nodes = json!({"a": node("a", "Succeeded"), "b": node("b", "Skipped")});
    world.tell(1, json!({"at": "2026-01-02T03:04:01Z", "nodes": nodes})).await;
    let mut names: Vec<_> = world.events().await.into_iter().map(|e| (e.metadata.name, e.reason)).collect();
    names.sort();
    let reasons: Vec<_> = names.into_iter().filter_map(|(_, reason)| reason).collect();
    assert_eq!(reasons, ["WorkflowNodeRunning", "WorkflowNodeSucceeded"]);
    world.end().await;
}

#[tokio::test]
async fn events_of_nodes_are_about_their_pods_where_that_is_wanted() {
    let world = World::with(Options { sends_as_pod: true, ..Options::default() }).await;
    let pod_name = argosy_api::names::pod_name("wf", "wf.a", "t", "a", argosy_api::names::PodNameVersion::V2);
    let pods: Api<Pod> = Api::namespaced(world.server.client("argo"), "argo");
    let pod = json!({"metadata": {"name": pod_name}, "spec": {"containers": [{"name": "main", "image": "i"}]}});
    let pod = serde_json::from_value(pod).expect("a pod");
    let made: Pod = pods.create(&PostParams::default(), &pod).await.expect("created");
    let mut a = node("a", "Running");
    (a["templateName"], a["startedAt"]) = (json!("t"), json!("2026-01-02T03:04:01Z"));
    // One whose pod is gone, one that has none, and the workflow.
    let steps = json!({"id": "s", "name": "wf.s", "type": "Steps", "phase": "Running"});
    let nodes = json!({"a": a, "gone": node("gone", "Running"), "s": steps});
    world.tell(1, json!({"at": "2026-01-02T03:04:01Z", "nodes": nodes})).await;
    let events = world.events().await;
    assert_eq!(events.len(), 3);
    for event in events {
        let annotations = event.metadata.annotations.expect("of a node");
        let annotation = |key: &str| annotations.get(&format!("workflows.argoproj.io/{key}")).map(String::as_str);
        let about = event.involved_object;
        if annotation("node-id") == Some("a") {
            assert_eq!(
                (about.kind.as_deref(), about.name, about.uid),
                (Some("Pod"), Some(pod_name.clone()), made.metadata.uid.clone())
            );
            let told = ["node-name", "node-type", "node-start-time", "workflow-name", "workflow-uid"].map(annotation);
            assert_eq!(told, ["wf.a", "Pod", "1767323041000000000", "wf", "u"].map(Some));
        } else {
            assert_eq!((about.kind.as_deref(), about.uid.as_deref()), (Some("Workflow"), Some("u")));
            assert_eq!(annotation("workflow-name"), None);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_measured_is_counted_once_and_shown() {
    let world = World::start(500).await;
    until(async || world.bus.lag(Stream::Events, "metrics").await.expect("known").is_some()).await;
    let sample = json!({"name": "test_runs", "help": "runs", "labels": {"l": "x"}, "kind": "counter", "value": 2.0});
    for sequence in [1, 2, 2] {
        world.tell(sequence, json!({"at": "2026-01-02T03:04:01Z", "metrics": [sample]})).await;
    }
    let ended = json!({"status": {"phase": "Succeeded"}, "completed": true});
    world.tell(3, json!({"at": "2026-01-02T03:05:00Z", "workflowStatus": ended})).await;
    let line = r#"argo_workflows_test_runs{l="x"} 4"#;
    until(async || argosy_telemetry::metrics::text().lines().any(|shown| shown == line)).await;
    until(async || {
        argosy_telemetry::metrics::text().contains(r#"argo_workflows_total_count{namespace="argo",phase="Succeeded"}"#)
    })
    .await;
    world.end().await;
    // Who does not count shows nothing.
    assert!(!argosy_telemetry::metrics::text().contains("test_runs"));
}
