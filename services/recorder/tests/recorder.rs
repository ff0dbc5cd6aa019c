//! The recorder between a bus in memory and the in-process API.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::Host;
use argosy_apiserver::{Options as ApiOptions, Server};
use argosy_bus::memory::Memory;
use argosy_bus::{Bus, Publish, Stream, subject};
use argosy_recorder::{Options, Service};
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
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
        let (bus, server): (Arc<dyn Bus>, _) = (Arc::new(Memory::new()), Server::new(ApiOptions::default()));
        let options = Options { recorder_node_events_max: node_events_max, ..Options::default() };
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
