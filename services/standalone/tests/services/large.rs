//! A workflow that is larger than a message of the bus, at the hands of people.

use std::time::Duration;

use argosy_api::message::{Observed, ObservedMessage};
use argosy_api::v1alpha1::Workflow;
use argosy_bus::{Bus as _, Stream, subject};
use argosy_engine::ops::retry::{Retry, retry};
use argosy_objects::compressed;
use argosy_workflows::{WorkflowKey, read};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::world::{World, container};

const PODS: usize = 45;
/// More than is sent inline of an object.
const BALLAST_BYTES: usize = 200_000;
/// What a message may have, and what the nodes have more.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// So many pods at once, each with an input of 25 kB; the spec alone is more than is sent of an object.
fn spec() -> Value {
    let text = json!({"name": "text", "value": "{{workflow.parameters.text}} {{item}}"});
    let step = json!({"name": "work", "template": "work", "arguments": {"parameters": [text]},
        "withSequence": {"count": PODS.to_string()}});
    let mut work = container("work");
    work["inputs"] = json!({"parameters": [{"name": "text"}]});
    let parameters =
        json!([{"name": "text", "value": "x".repeat(25_000)}, {"name": "ballast", "value": "x".repeat(BALLAST_BYTES)}]);
    json!({"entrypoint": "main", "suspend": true, "arguments": {"parameters": parameters},
        "templates": [{"name": "main", "steps": [[step]]}, work]})
}

async fn read(world: &World, key: &WorkflowKey) -> Workflow {
    let host = world.host("reader");
    let object = world.workflows().get(&key.name).await.expect("it exists");
    let whole = read::resolve(&host, &world.server.client("argo"), key, object).await;
    read::read_workflow(whole.expect("its nodes are there").expect("it exists")).await.expect("readable")
}

/// As `argo retry` does it with a workflow whose nodes are compressed.
async fn retries(world: &World, key: &WorkflowKey) {
    let mut workflow = read(world, key).await;
    let nodes = serde_json::to_vec(&workflow.status.nodes).expect("JSON");
    assert!(nodes.len() > MESSAGE_BYTES_MAX, "{} bytes are not much", nodes.len());
    let at = "2026-01-01T01:00:00Z".parse().expect("a timestamp");
    for pod in retry(&mut workflow, &Retry::default(), None, at).expect("it has failed") {
        world.pods().delete(&pod, &DeleteParams::default().grace_period(0)).await.expect("it is there");
    }
    let nodes = serde_json::to_vec(&std::mem::take(&mut workflow.status.nodes)).expect("JSON");
    workflow.status.compressed_nodes = compressed::encode(&nodes).expect("memory");
    let edited: DynamicObject = serde_json::from_value(json!(workflow)).expect("an object");
    world.workflows().replace(&key.name, &PostParams::default(), &edited).await.expect("replaced");
}

/// How often the log only refers to the object.
async fn references(world: &World) -> usize {
    let told =
        world.bus.read(Stream::Observed, &subject::of_stream(Stream::Observed), 0, 1000).await.expect("readable");
    let told = told.iter().filter_map(|message| serde_json::from_slice::<ObservedMessage>(&message.payload).ok());
    told.filter(|told| matches!(told.body, Observed::WorkflowReferenced { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn a_workflow_larger_than_a_message_is_made_edited_and_retried() {
    let world = World::new();
    let (stop, task) = world.start("a");
    world.submit_spec("large", spec()).await;
    let object = world.workflows().get("large").await.expect("it exists");
    let uid = object.metadata.uid.expect("objects have uids");
    let key = WorkflowKey { uid, namespace: "argo".into(), name: "large".into() };
    world.until("large", "Running", None).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((world.count_pods().await, references(&world).await), (0, 1), "it is suspended");
    let resume = json!({"spec": {"suspend": null}});
    world.workflows().patch("large", &PatchParams::default(), &Patch::Merge(&resume)).await.expect("patched");
    world.until("large", "Failed", Some(1)).await;
    retries(&world, &key).await;
    world.until("large", "Succeeded", Some(0)).await;
    let nodes = read(&world, &key).await.status.nodes;
    let succeeded = nodes.values().filter(|node| node.name.contains("work(") && node.phase.to_string() == "Succeeded");
    assert_eq!(succeeded.count(), PODS);
    stop.cancel();
    task.await.expect("joined");
}
