//! One run for each moment, whoever is there.

use std::sync::Arc;

use argosy_bus::memory::Memory;
use serde_json::json;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_run_is_made_and_noted_as_argo_does() {
    let world = World::new();
    let runner = world.start(&Arc::new(Memory::new()), "a");
    world.cron(json!({"workflowMetadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})).await;
    world.until("10:00:30").await;
    let workflows = world.workflows().await;
    let [workflow] = workflows.as_slice() else { panic!("one run: {workflows:?}") };
    let (cron, metadata) = (world.get().await, &workflow["metadata"]);
    assert_eq!(metadata["name"], "c-1714989600");
    assert_eq!(metadata["labels"], json!({"a": "b", "workflows.argoproj.io/cron-workflow": "c"}));
    let scheduled = json!({"c": "d", "workflows.argoproj.io/scheduled-time": "2024-05-06T10:00:00Z"});
    assert_eq!(metadata["annotations"], scheduled);
    let owner = &metadata["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["uid"], &owner["controller"]),
        (&json!("CronWorkflow"), &cron["metadata"]["uid"], &json!(true))
    );
    assert_eq!(workflow["spec"], cron["spec"]["workflowSpec"]);
    let status = &cron["status"];
    assert_eq!((&status["lastScheduledTime"], &status["phase"]), (&json!("2024-05-06T10:00:00Z"), &json!("Active")));
    assert_eq!(status["active"][0]["uid"], metadata["uid"]);
    assert_eq!(cron["metadata"]["annotations"]["cronworkflows.argoproj.io/last-used-schedule"], "* * * * *");
    runner.leave().await;
}

#[tokio::test(start_paused = true)]
async fn each_moment_runs_once_across_crashes() {
    let (world, bus) = (World::new(), Arc::new(Memory::new()));
    world.cron(json!({})).await;
    let mut runner = world.start(&bus, "a");
    // It dies right before a minute, and comes back while its old lease still holds.
    world.until("10:01:59").await;
    for (index, back) in ["10:02:02", "10:03:02", "10:04:01"].into_iter().enumerate() {
        runner.die();
        world.until(back).await;
        runner = world.start(&bus, &format!("b{index}"));
        world.until(&format!("{}:59", &back[..5])).await;
    }
    assert_eq!(world.moments().await, ["10:00:00", "10:01:00", "10:02:00", "10:03:00", "10:04:00"]);
    assert_eq!(world.get().await["status"]["active"].as_array().map(Vec::len), Some(5));
}

#[tokio::test(start_paused = true)]
async fn two_that_both_believe_to_act_alone_run_each_moment_once() {
    let world = World::new();
    world.cron(json!({"schedules": ["* * * * *", "@every 25s"]})).await;
    let (_a, _b) = (world.start(&Arc::new(Memory::new()), "a"), world.start(&Arc::new(Memory::new()), "b"));
    world.until("10:02:05").await;
    // It was created at 09:59:50.
    let every = ["10:00:15", "10:00:40", "10:01:05", "10:01:30", "10:01:55"];
    let mut expected: Vec<&str> = every.into_iter().chain(["10:00:00", "10:01:00", "10:02:00"]).collect();
    expected.sort_unstable();
    assert_eq!(world.moments().await, expected);
    let status = &world.get().await["status"];
    assert_eq!(status["active"].as_array().map(Vec::len), Some(expected.len()));
    assert_eq!(status["lastScheduledTime"], "2024-05-06T10:02:00Z");
    assert_eq!(status["failed"], 0, "that a run is there is no failure");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_created_before_its_creator_died_is_taken_over() {
    let world = World::new();
    world.cron(json!({"concurrencyPolicy": "Forbid"})).await;
    let uid = world.get().await["metadata"]["uid"].clone();
    let owner = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "name": "c", "uid": uid}]);
    world.until("10:00:01").await;
    let run = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"name": "c-1714989600", "namespace": "argo", "ownerReferences": owner,
            "labels": {"workflows.argoproj.io/cron-workflow": "c"},
            "annotations": {"workflows.argoproj.io/scheduled-time": "2024-05-06T10:00:00Z"}},
        "spec": {},
    });
    world.create("Workflow", run).await;
    let _runner = world.start(&Arc::new(Memory::new()), "a");
    world.until("10:01:30").await;
    assert_eq!(world.moments().await, ["10:00:00"], "it is active, and the next one is forbidden");
    world.ends("10:00:00", "Succeeded").await;
    world.until("10:02:30").await;
    assert_eq!(world.moments().await, ["10:00:00", "10:02:00"]);
    assert_eq!(world.get().await["status"]["succeeded"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_workflow_of_that_name_is_told_and_left_alone() {
    let world = World::new();
    let foreign = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {},
        "metadata": {"name": "c-1714989600", "namespace": "argo"}});
    world.create("Workflow", foreign).await;
    world.cron(json!({})).await;
    let _runner = world.start(&Arc::new(Memory::new()), "a");
    world.until("10:00:30").await;
    let status = world.get().await["status"].clone();
    let condition = &status["conditions"][0];
    assert_eq!((&condition["type"], &status["failed"]), (&json!("SubmissionError"), &json!(1)));
    assert!(condition["message"].as_str().is_some_and(|text| text.starts_with("Failed to submit Workflow: ")));
    world.until("10:01:30").await;
    assert_eq!(world.get().await["status"].get("conditions"), None, "the next one ran");
}
