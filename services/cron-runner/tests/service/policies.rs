//! What is run after a machine has slept, and what the settings say.

use std::sync::Arc;

use argosy_bus::memory::Memory;
use serde_json::{Value, json};

use crate::world::{Replica, World};

/// A world whose CronWorkflow has run once, at ten, and whose machine then sleeps for three hours, until 13:00:10.
async fn slept(spec: Value) -> (World, Replica) {
    let world = World::new();
    world.cron(spec).await;
    let runner = world.start(&Arc::new(Memory::new()), "a");
    world.until("10:00:10").await;
    assert_eq!(world.moments().await, ["10:00:00"]);
    world.sleep(3).await;
    (world, runner)
}

#[tokio::test(start_paused = true)]
async fn what_a_sleep_has_missed_does_not_run_without_a_deadline() {
    for policy in ["Allow", "Forbid", "Replace"] {
        let (world, _runner) = slept(json!({"concurrencyPolicy": policy, "schedules": ["0-59/7 10-12 * * *"]})).await;
        world.until("13:01:00").await;
        assert_eq!(world.moments().await, ["10:00:00"], "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_one_run_is_made_up_for_within_the_deadline() {
    let schedules = ["56 * * * *", "0 10 * * *"];
    let (world, _runner) = slept(json!({"startingDeadlineSeconds": 3600, "schedules": schedules})).await;
    world.until("13:57:00").await;
    assert_eq!(world.moments().await, ["10:00:00", "12:56:00", "13:56:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_forbidden_is_made_up_for_when_the_other_ends() {
    let spec = json!({"startingDeadlineSeconds": 3600, "schedules": ["56 * * * *", "0 10 * * *"], "concurrencyPolicy": "Forbid"});
    let (world, _runner) = slept(spec).await;
    world.until("13:05:00").await;
    assert_eq!(world.moments().await, ["10:00:00"]);
    world.ends("10:00:00", "Succeeded").await;
    world.until("13:06:00").await;
    assert_eq!(world.moments().await, ["10:00:00", "12:56:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_replaces_terminates_the_other() {
    let spec = json!({"startingDeadlineSeconds": 3600, "schedules": ["56 * * * *", "0 10 * * *"], "concurrencyPolicy": "Replace"});
    let (world, _runner) = slept(spec).await;
    world.until("13:05:00").await;
    assert_eq!(world.moments().await, ["10:00:00", "12:56:00"]);
    let shutdowns: Vec<Value> = world.workflows().await.iter().map(|each| each["spec"]["shutdown"].clone()).collect();
    assert_eq!(shutdowns, [json!("Terminate"), Value::Null]);
}

#[tokio::test(start_paused = true)]
async fn ended_workflows_are_counted_and_go_but_for_the_last_ones() {
    let world = World::new();
    world.cron(json!({"successfulJobsHistoryLimit": 2})).await;
    let _runner = world.start(&Arc::new(Memory::new()), "a");
    for minute in 0..6 {
        world.until(&format!("10:0{minute}:30")).await;
        let phase = if minute % 3 == 2 { "Failed" } else { "Succeeded" };
        world.ends(&format!("10:0{minute}:00"), phase).await;
    }
    world.until("10:05:59").await;
    assert_eq!(world.moments().await, ["10:03:00", "10:04:00", "10:05:00"], "two that succeeded, and one that did not");
    let status = world.get().await["status"].clone();
    assert_eq!((&status["succeeded"], &status["failed"], status.get("active")), (&json!(4), &json!(2), None));
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_its_strategy_says_so_and_rests_while_it_is_suspended() {
    let world = World::new();
    world.cron(json!({"stopStrategy": {"expression": "cronworkflow.succeeded >= 1"}})).await;
    let _runner = world.start(&Arc::new(Memory::new()), "a");
    world.until("10:00:30").await;
    world.patch("CronWorkflow", "c", json!({"spec": {"suspend": true}})).await;
    world.until("10:01:05").await;
    world.patch("CronWorkflow", "c", json!({"spec": {"suspend": false}})).await;
    world.until("10:02:30").await;
    assert_eq!(world.moments().await, ["10:00:00", "10:02:00"], "what passed while it rested is past");
    world.ends("10:00:00", "Succeeded").await;
    world.until("10:05:00").await;
    assert_eq!(world.moments().await, ["10:00:00", "10:02:00"]);
    let cron = world.get().await;
    assert_eq!(cron["status"]["phase"], "Stopped");
    assert_eq!(cron["metadata"]["labels"]["cronworkflows.argoproj.io/completed"], "true");
}

#[tokio::test(start_paused = true)]
async fn a_missing_template_is_told_and_runs_once_it_is_there() {
    let world = World::new();
    let spec = json!({"workflowTemplateRef": {"name": "job"}});
    world.cron(json!({"workflowSpec": spec})).await;
    let _runner = world.start(&Arc::new(Memory::new()), "a");
    world.until("10:00:30").await;
    let condition = world.get().await["status"]["conditions"][0].clone();
    assert_eq!(condition["type"], "SpecError", "{condition}");
    let template = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate",
        "metadata": {"name": "job", "namespace": "argo"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "busybox", "command": ["true"]}}]}});
    world.create("WorkflowTemplate", template).await;
    world.until("10:01:30").await;
    assert_eq!(world.moments().await, ["10:01:00"]);
    assert_eq!(world.get().await["status"].get("conditions"), None);
}
