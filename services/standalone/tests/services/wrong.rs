//! What comes of those who have no say: a pod with copied labels, and a scheduler whose shard has another owner.

use std::time::Duration;

use argosy_actor::Host;
use argosy_api::message::{ClusterCommand, CommandMessage, NotCreated, Observed, ObservedMessage, SCHEMA};
use argosy_bus::{Bus as _, Publish, Stream, subject};
use argosy_workflows::WorkflowKey;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::world::{World, container};

const A_WHILE: Duration = Duration::from_secs(30);

async fn log(world: &World, key: &WorkflowKey) -> Vec<(String, Option<Observed>)> {
    let log = world.host("reader").observed_subject(&key.uid);
    let messages = world.bus.read(Stream::Observed, &log, 0, 1000).await.expect("readable");
    let body = |payload: &[u8]| serde_json::from_slice::<ObservedMessage>(payload).ok().map(|observed| observed.body);
    messages.into_iter().map(|message| (message.id, body(&message.payload))).collect()
}

/// A workflow of one pod, which runs.
async fn running(world: &World, name: &str) -> WorkflowKey {
    world.submit(name, json!([container("main")])).await;
    world.until(name, "Running", None).await;
    tokio::time::sleep(A_WHILE).await;
    let uid = world.workflow(name).await["metadata"]["uid"].as_str().expect("a uid").to_owned();
    WorkflowKey { uid, namespace: "argo".into(), name: name.into() }
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_pod_in_another_namespace_harms_nobody() {
    let world = World::new();
    let (stop, task) = world.start("a");
    let victim = running(&world, "victim").await;
    let before = (log(&world, &victim).await, world.workflow("victim").await);
    let evil: Namespace = serde_json::from_value(json!({"metadata": {"name": "evil"}})).expect("a namespace");
    let namespaces: Api<Namespace> = Api::all(world.server.client("evil"));
    namespaces.create(&PostParams::default(), &evil).await.expect("created");
    // As `kubectl get pod -o yaml | sed | kubectl apply` makes it; and one that says of itself that it has ended.
    let pods: Api<Pod> = Api::namespaced(world.server.client("evil"), "evil");
    let mut copy = world.pods().get("victim").await.expect("the pod");
    copy.metadata.namespace = Some("evil".into());
    (copy.metadata.uid, copy.metadata.resource_version) = (None, None);
    pods.create(&PostParams::default(), &copy).await.expect("created");
    tokio::time::sleep(A_WHILE).await;
    world.end_pods_of(&pods, 0).await;
    tokio::time::sleep(A_WHILE).await;
    let after = log(&world, &victim).await;
    assert_eq!((&after[..before.0.len()], world.workflow("victim").await), (&*before.0, before.1));
    world.until("victim", "Succeeded", Some(0)).await;
    stop.cancel();
    task.await.expect("joined");
}

/// Wishes for a pod, as the scheduler with this lease would have some time ago.
async fn wish(world: &World, key: &WorkflowKey, host: &Host, epoch: u64, pod: &str) {
    let container = json!({"name": "main", "image": "i"});
    let manifest =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": {"containers": [container]}});
    let wish = CommandMessage {
        schema: SCHEMA,
        at: world.clock.now() - Duration::from_secs(5),
        epoch,
        sequence: 1,
        namespace: key.namespace.clone(),
        workflow: key.name.clone(),
        workflow_uid: key.uid.clone(),
        node_id: pod.to_owned(),
        body: ClusterCommand::CreatePod {
            manifest: serde_json::from_value(manifest).expect("a manifest"),
            not_before: 0,
        },
    };
    let subject = subject::Command { shard: host.shard_of(&key.uid), uid: key.uid.clone(), node: pod.to_owned() };
    let payload = serde_json::to_vec(&wish).expect("JSON");
    host.publish(vec![Publish::new(Stream::Commands, subject.to_string(), pod, payload)]).await.expect("published");
}

#[tokio::test(start_paused = true)]
async fn a_wish_of_a_former_owner_goes_back_to_the_log() {
    let world = World::new();
    let (stop, task) = world.start("a");
    let (key, host) = (running(&world, "w").await, world.host("former"));
    let claims = subject::Event::claim(host.shard_of(&key.uid)).to_string();
    let claims = world.bus.read(Stream::Events, &claims, 0, 10).await.expect("readable");
    let epoch: u64 = claims[0].id.rsplit(':').next().expect("an epoch").parse().expect("a number");
    wish(&world, &key, &host, epoch - 1, "late").await;
    wish(&world, &key, &host, epoch, "in-time").await;
    tokio::time::sleep(A_WHILE).await;
    let is_there = async |pod| world.pods().get_opt(pod).await.expect("an answer").is_some();
    assert!(!is_there("late").await && is_there("in-time").await);
    let told = log(&world, &key).await.into_iter();
    let handed_back: Vec<String> = told
        .filter_map(|(_, body)| match body {
            Some(Observed::PodNotCreated { node_id, reason: NotCreated::Redelivered }) => Some(node_id),
            _ => None,
        })
        .collect();
    assert_eq!(handed_back, ["late"]);
    stop.cancel();
    task.await.expect("joined");
}
