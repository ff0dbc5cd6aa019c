//! How a pod ended is told, whatever stands in the way.

use argosy_api::message::{PodPhase, PodSummary};
use argosy_apiserver::Fault;
use argosy_workflows::WorkflowKey;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::world::{SOON, World};

const RESULTS: &str = "workflowtaskresults";

async fn keep_result(world: &World, key: &WorkflowKey, outputs: Value) {
    let result = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTaskResult",
        "metadata": {"name": "result"}, "outputs": outputs});
    let result: DynamicObject = serde_json::from_value(result).expect("an object");
    let results = world.objects(key, "argoproj.io/v1alpha1", "WorkflowTaskResult");
    results.create(&PostParams::default(), &result).await.expect("created");
}

fn result_of(pod: &PodSummary) -> Option<&str> {
    pod.outputs.as_ref()?.result.as_deref()
}

/// While its outputs cannot be had nothing is told of the end; then all of it, with `is_gone` also that the pod is gone.
async fn what_could_not_be_told_is_told_later(is_gone: bool) {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    world.pod(&key, "p").await;
    keep_result(&world, &key, json!({"result": "hi"})).await;
    *world.plan.reads.lock() = Some((RESULTS, Fault::Refuse503));
    world.end(&key, "p", json!({"taskResult": "result"})).await;
    tokio::time::sleep(SOON).await;
    if is_gone {
        world.pods(&key).delete("p", &DeleteParams::default().grace_period(0)).await.expect("deleted");
        tokio::time::sleep(SOON).await;
    }
    assert_eq!(world.ends(&key).await, [], "it cannot be told yet");
    // Nothing happens to the pod any more, and no list is due for a while.
    *world.plan.reads.lock() = None;
    tokio::time::sleep(SOON).await;
    let ends = world.ends(&key).await;
    let told: Vec<_> = ends.iter().map(|pod| (pod.phase, result_of(pod), pod.deleted)).collect();
    let expected = [(PodPhase::Succeeded, Some("hi"), false), (PodPhase::Succeeded, Some("hi"), true)];
    assert_eq!(told, expected[..if is_gone { 2 } else { 1 }]);
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_could_not_be_told_is_told_later() {
    what_could_not_be_told_is_told_later(false).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_pod_that_went_meanwhile_end_and_going_are_told_later() {
    what_could_not_be_told_is_told_later(true).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_when_its_outputs_are_lost() {
    type Loss = (&'static str, Option<Value>, Option<(&'static str, Fault)>);
    let losses: [Loss; 3] = [
        ("is missing", None, None),
        ("cannot be read", Some(json!({"parameters": "none"})), None),
        ("cannot be read", Some(json!({"result": "hi"})), Some((RESULTS, Fault::Forbid))),
    ];
    for (why, outputs, fault) in losses {
        let world = World::new();
        let key = world.workflow("w", "argo").await;
        let (stop, task) = world.start();
        world.pod(&key, "p").await;
        if let Some(outputs) = outputs {
            keep_result(&world, &key, outputs).await;
        }
        *world.plan.reads.lock() = fault;
        world.end(&key, "p", json!({"taskResult": "result"})).await;
        tokio::time::sleep(SOON).await;
        let ends = world.ends(&key).await;
        let [end] = &*ends else { panic!("{why}: {ends:?}") };
        assert_eq!((end.phase, result_of(end)), (PodPhase::Succeeded, None));
        let says = |text: &str| end.report_error.contains(text);
        assert!(says("outputs are lost") && says("result") && says(why), "{why}: {}", end.report_error);
        stop.cancel();
        task.await.expect("joined");
    }
}
