//! All services on the memory bus and the in-process API, in virtual time, with a node that only says how pods ended.

mod full;
mod large;
mod requests;
mod threads;
mod unreadable;
mod world;
mod wrong;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use argosy_api::labels;
use argosy_bus::memory::{self, AckFault, Chaos, DeliverFault, PublishFault};
use argosy_bus::{Bus as _, Message, Publish, Stream, subject};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{World, container};

/// Plants faults, and keeps each command that was published, by id.
#[derive(Default)]
struct Faults {
    /// Deliveries come twice; every third answer to a first publish and every acknowledgement of a first delivery is lost.
    doubling: bool,
    /// Every third first delivery is lost, so that events arrive out of order.
    losing: bool,
    published: Mutex<BTreeSet<String>>,
    commands: Mutex<BTreeMap<String, Value>>,
}

impl Chaos for Faults {
    fn on_deliver(&self, message: &Message) -> DeliverFault {
        match message.sequence % 3 {
            2 if self.losing && message.deliveries <= 1 => DeliverFault::DropThenRedeliver,
            _ if self.doubling && message.deliveries <= 1 => DeliverFault::Twice,
            _ => DeliverFault::Once,
        }
    }

    fn on_publish(&self, message: &Publish) -> PublishFault {
        if message.stream == Stream::Commands {
            let command: Value = serde_json::from_slice(&message.payload).expect("JSON");
            let before = self.commands.lock().expect("no panic").insert(message.id.clone(), command.clone());
            assert!(before.is_none_or(|before| before == command), "{} has two meanings", message.id);
        }
        let mut published = self.published.lock().expect("no panic");
        let is_unlucky = published.insert(message.id.clone()) && published.len().is_multiple_of(3);
        if self.doubling && is_unlucky { PublishFault::LostAnswer } else { PublishFault::None }
    }

    fn on_ack(&self, message: &Message) -> AckFault {
        if self.doubling && message.deliveries <= 1 { AckFault::Lost } else { AckFault::None }
    }
}

#[tokio::test(start_paused = true)]
async fn one_container_runs_to_its_end() {
    let world = World::new();
    let (stop, task) = world.start("a");
    world.submit("one", json!([container("main")])).await;
    world.until("one", "Running", None).await;
    let workflow = world.until("one", "Succeeded", Some(0)).await;
    assert_eq!(workflow["status"]["nodes"]["one"]["phase"], "Succeeded");
    assert_eq!(workflow["metadata"]["labels"][labels::COMPLETED], "true");
    // The watcher must not have taken the status service's writes for edits.
    let kinds: Vec<Value> = world
        .bus
        .read(Stream::Observed, &subject::of_stream(Stream::Observed), 0, 1000)
        .await
        .expect("readable")
        .iter()
        // That the pods of a shard were listed has no content.
        .filter(|message| !message.payload.is_empty())
        .map(|message| serde_json::from_slice::<Value>(&message.payload).expect("JSON")["kind"].clone())
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "workflowChanged").count(), 1, "{kinds:?}");
    let created = world.pods().get("one").await.expect("the pod").metadata;
    assert_eq!(
        created.labels.expect("labels")[labels::WORKFLOW_UID],
        workflow["metadata"]["uid"].as_str().expect("a uid")
    );
    // Engine, status and pod-runner wrote little.
    assert!(world.server.revision() < 20, "{}", world.server.revision());
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn steps_fail_when_a_pod_fails() {
    let world = World::new();
    let (stop, task) = world.start("a");
    let steps =
        json!({"name": "main", "steps": [[{"name": "a", "template": "work"}], [{"name": "b", "template": "work"}]]});
    world.submit("two", json!([steps, container("work")])).await;
    let workflow = world.until("two", "Failed", Some(1)).await;
    let nodes = workflow["status"]["nodes"].as_object().expect("nodes");
    assert!(nodes.values().all(|node| node["displayName"] != "b"), "{workflow:#}");
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn another_process_takes_over_without_doing_anything_twice() {
    let world = World::new();
    let (_stop, task) = world.start("a");
    let steps =
        json!({"name": "main", "steps": [[{"name": "a", "template": "work"}], [{"name": "b", "template": "work"}]]});
    world.submit("over", json!([steps, container("work")])).await;
    world.until("over", "Running", None).await;
    // Dies without a word; what happens to the pod meanwhile is seen by the next.
    task.abort();
    _ = task.await;
    world.end_pods(0).await;
    let (stop, task) = world.start("b");
    world.until("over", "Succeeded", Some(0)).await;
    assert_eq!(world.pods().list(&ListParams::default()).await.expect("listed").items.len(), 2);
    let events = world.ids(Stream::Events).await;
    let mut distinct = events.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), events.len(), "{events:?}");
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn an_edited_status_reaches_the_engine() {
    let world = World::new();
    let (stop, task) = world.start("a");
    world.submit("wait", json!([{"name": "main", "suspend": {}}])).await;
    world.until("wait", "Running", None).await;
    let edit = json!({"status": {"nodes": {"wait": {"phase": "Succeeded", "finishedAt": "2026-01-01T00:00:00Z"}}}});
    world.workflows().patch("wait", &PatchParams::default(), &Patch::Merge(&edit)).await.expect("patched");
    world.until("wait", "Succeeded", None).await;
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_no_workflow_ends_with_the_reason() {
    let world = World::new();
    let (stop, task) = world.start("a");
    world.submit("odd", json!([{"name": "main", "container": "not an object"}])).await;
    let workflow = world.until("odd", "Error", None).await;
    let message = workflow["status"]["message"].as_str().expect("a message");
    assert!(message.contains("not an object"), "{message}");
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_outputs_are_lost_ends_and_says_so() {
    let world = World::new();
    let (stop, task) = world.start("a");
    world.submit("lost", json!([container("main")])).await;
    world.until("lost", "Running", None).await;
    let report = json!({"taskResult": "that-is-not-there"}).to_string();
    world.end_pod(&world.pods(), "lost", 0, &report).await;
    let workflow = world.until("lost", "Error", None).await;
    let message = workflow["status"]["nodes"]["lost"]["message"].as_str().expect("a message");
    assert!(message.contains("outputs are lost") && message.contains("that-is-not-there"), "{message}");
    stop.cancel();
    task.await.expect("joined");
}

/// Two steps at once, then a third, under `faults`: what the scheduler wished for, with how often.
async fn wishes(faults: Faults) -> BTreeMap<String, usize> {
    let faults = Arc::new(faults);
    let world = World::with(memory::Options { chaos: Some(faults.clone()), ..memory::Options::default() });
    let steps = json!({"name": "main", "steps": [
        [{"name": "a", "template": "work"}, {"name": "b", "template": "work"}], [{"name": "c", "template": "work"}],
    ]});
    let (stop, task) = world.start("a");
    world.submit("twice", json!([steps, container("work")])).await;
    let workflow = world.until("twice", "Succeeded", Some(0)).await;
    let pods = world.pods().list(&ListParams::default()).await.expect("listed");
    assert_eq!(pods.items.len(), 3);
    let nodes = workflow["status"]["nodes"].as_object().expect("nodes");
    assert!(nodes.values().all(|node| node["phase"] == "Succeeded"), "{workflow:#}");
    stop.cancel();
    task.await.expect("joined");
    let mut wishes = BTreeMap::new();
    // How a pod is may be asked whenever.
    let commands = faults.commands.lock().expect("no panic");
    for command in commands.values().filter(|command| command["kind"] != "confirmPod") {
        *wishes.entry(format!("{} {}", command["kind"], command["nodeId"])).or_default() += 1;
    }
    wishes
}

#[tokio::test(start_paused = true)]
async fn what_comes_twice_or_late_is_done_once() {
    let plain = wishes(Faults::default()).await;
    assert!(plain.len() >= 3 && plain.values().all(|count| *count == 1), "{plain:?}");
    let named = |wishes: &BTreeMap<String, usize>| wishes.keys().cloned().collect::<Vec<_>>();
    // A wish for a pod that is delivered again goes back to the log, and may be uttered anew: never another, and each pod
    // is there once, as is seen to above.
    for faults in [Faults { doubling: true, ..Faults::default() }, Faults { losing: true, ..Faults::default() }] {
        assert_eq!(named(&wishes(faults).await), named(&plain));
    }
}
