//! Which workflows go, and when.

use argosy_gc::{Options, Retention};
use serde_json::{Value, json};

use crate::world::World;

fn ours(expires_at: Option<String>) -> Value {
    let mut all = json!({"argosy.io/ended-at": "7:u"});
    if let Some(at) = expires_at {
        all["argosy.io/expires-at"] = json!(at);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_workflow_goes_when_its_time_is_up() {
    let world = World::new();
    let _gc = world.start("a", Options::default());
    // One says so in its metadata, one ended under another controller, one has no end to its time.
    world.ended("noted", "Succeeded", json!({}), ours(Some(world.after(60)))).await;
    world.ended("foreign", "Failed", json!({"ttlStrategy": {"secondsAfterFailure": 120}}), json!({})).await;
    world.ended("stays", "Succeeded", json!({}), ours(None)).await;
    world.pass(55).await;
    assert_eq!(world.left().await, ["foreign", "noted", "stays"]);
    world.pass(10).await;
    assert_eq!(world.left().await, ["foreign", "stays"]);
    world.pass(60).await;
    assert_eq!(world.left().await, ["stays"]);
}

#[tokio::test(start_paused = true)]
async fn time_goes_on_while_nobody_is_there() {
    let world = World::new();
    let gc = world.start("a", Options::default());
    world.ended("w", "Succeeded", json!({}), ours(Some(world.after(60)))).await;
    world.pass(30).await;
    gc.die();
    world.pass(60).await;
    assert_eq!(world.left().await, ["w"]);
    let _gc = world.start("b", Options::default());
    world.pass(30).await;
    assert!(world.left().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn edits_after_the_end_count_and_a_retry_keeps_it() {
    let world = World::new();
    let _gc = world.start("a", Options::default());
    for name in ["longer", "retried", "shorter", "archived"] {
        world
            .ended(name, "Failed", json!({"ttlStrategy": {"secondsAfterCompletion": 60}}), ours(Some(world.after(60))))
            .await;
    }
    world.pass(10).await;
    world.patch("longer", json!({"spec": {"ttlStrategy": {"secondsAfterCompletion": 600}}})).await;
    world.patch("shorter", json!({"spec": {"ttlStrategy": {"secondsAfterCompletion": 20}}})).await;
    let archiving =
        |status: &str| json!({"metadata": {"labels": {"workflows.argoproj.io/workflow-archiving-status": status}}});
    world.patch("archived", archiving("Pending")).await;
    world.patch("retried", json!({"metadata": {"labels": {"workflows.argoproj.io/completed": null}}})).await;
    world.pass(20).await;
    assert_eq!(world.left().await, ["archived", "longer", "retried"]);
    world.pass(100).await;
    assert_eq!(world.left().await, ["archived", "longer", "retried"]);
    world.patch("archived", archiving("Archived")).await;
    world.pass(60).await;
    assert_eq!(world.left().await, ["longer", "retried"]);
    world.pass(600).await;
    assert_eq!(world.left().await, ["retried"]);
}

#[tokio::test(start_paused = true)]
async fn of_too_many_the_oldest_go() {
    let world = World::new();
    let retention = Some(Retention { completed: 2, failed: 1, errored: 0 });
    for n in 0..4 {
        world.ended(&format!("s{n}"), "Succeeded", json!({}), ours(None)).await;
        world.ended(&format!("f{n}"), "Failed", json!({}), ours(None)).await;
        world.pass(2).await;
    }
    world.ended("e", "Error", json!({}), ours(None)).await;
    let _gc = world.start("a", Options { retention, ..Options::default() });
    world.pass(30).await;
    assert_eq!(world.left().await, ["f3", "s2", "s3"]);
    world.ended("s4", "Succeeded", json!({}), ours(None)).await;
    world.pass(10).await;
    assert_eq!(world.left().await, ["f3", "s3", "s4"]);
}
