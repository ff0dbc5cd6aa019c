//! Pods that the workflow does not know, as after the bus was lost with all that its nodes had come to.

use argosy_api::message::{ClusterCommand, Observed};
use argosy_engine::Command;
use serde_json::json;

use crate::play::{Play, changed, pod};

/// Names of the pods that the last step had stopped.
fn stopped(play: &Play) -> Vec<&str> {
    let name = |command: &Command| match command {
        Command::Cluster { command: ClusterCommand::StopPod { name }, .. } => Some(name.clone()),
        _ => None,
    };
    let names: Vec<_> = play.last.iter().filter_map(name).collect();
    ["one", "two", "gone"].into_iter().filter(|stray| names.iter().any(|name| name == stray)).collect()
}

fn suspended() -> Play {
    Play::of(json!({"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]}))
}

fn seen(play: &mut Play, name: &str, deleted: bool) {
    let mut pod = pod(&format!("node-{name}"), name, "Running");
    pod.deleted = deleted;
    play.feed(Observed::PodChanged { pod: Box::new(pod) });
}

#[test]
fn a_pod_whose_node_never_came_ends_with_the_workflow() {
    let mut play = suspended();
    for name in ["one", "two", "gone"] {
        seen(&mut play, name, false);
        assert_eq!(play.last, [], "its node may be about to come");
    }
    seen(&mut play, "gone", true);
    let mut edited = play.engine.object().clone();
    edited.spec.shutdown = "Terminate".into();
    play.feed(changed(edited, false));
    assert_eq!(play.phase(), "Failed");
    assert_eq!(stopped(&play), ["one", "two"]);
}

#[test]
fn one_that_is_seen_after_the_end_ends_at_once() {
    let mut play = suspended();
    let mut edited = play.engine.object().clone();
    edited.spec.shutdown = "Terminate".into();
    play.feed(changed(edited, false));
    seen(&mut play, "one", false);
    assert_eq!(stopped(&play), ["one"]);
}
