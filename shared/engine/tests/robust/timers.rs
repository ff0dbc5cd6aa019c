//! Timers go with their node and with the workflow.

use argosy_api::{message::Observed, v1alpha1::NodePhase};
use argosy_engine::Command;
use serde_json::json;

use crate::play::{Play, at, changed};

fn armed(play: &Play) -> Vec<&str> {
    play.timers.keys().map(String::as_str).collect()
}

#[test]
fn pods_that_end_with_the_workflow_have_no_timer_of_their_own() {
    let tasks: Vec<_> = (0..20).map(|i| json!({"name": format!("t{i}"), "template": "pod"})).collect();
    let mut play = Play::of(json!({"entrypoint": "main", "activeDeadlineSeconds": 70, "templates": [
        {"name": "main", "dag": {"tasks": tasks}},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    assert_eq!(play.pods.len(), 20);
    assert_eq!(armed(&play), ["workflow-deadline"]);
    play.now = at(70);
    play.feed(Observed::TimerFired { key: "workflow-deadline".into() });
    play.run();
    assert_eq!(play.phase(), "Failed");
    assert!(play.node("wf.t7").is_some_and(|n| n.message == "Step exceeded its deadline"));
}

#[test]
fn a_timer_goes_with_its_node() {
    let mut play = Play::of(json!({"entrypoint": "main", "activeDeadlineSeconds": 700, "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "limited"}], [{"name": "b", "template": "wait"}]]},
        {"name": "limited", "timeout": "1h", "container": {"image": "i", "command": ["c"]}},
        {"name": "wait", "suspend": {"duration": "1h"}},
    ]}));
    // The workflow's deadline comes first.
    assert_eq!(armed(&play), ["workflow-deadline"]);
    let mut edited = play.engine.object().clone();
    edited.spec.active_deadline_seconds = None;
    play.feed(changed(edited, false));
    assert_eq!(play.last[0], Command::DisarmTimer { key: "workflow-deadline".into() });
    play.end_pod("wf[0].a", "Succeeded");
    let suspend = format!("suspend/{}", play.node("wf[1].b").expect("b").id);
    assert_eq!(armed(&play), [suspend.as_str()]);
    // Ended by hand: its timer is disarmed, and one that was under way does no harm.
    let mut resumed = play.engine.object().clone();
    for node in resumed.status.nodes.values_mut().filter(|n| n.name == "wf[1].b") {
        node.phase = NodePhase::Succeeded;
    }
    play.feed(changed(resumed, true));
    assert_eq!(play.phase(), "Succeeded");
    play.feed(Observed::TimerFired { key: suspend });
    assert!(play.engine.waits().is_empty() && play.last.is_empty());
}

#[test]
fn a_backoff_is_disarmed_by_a_stop() {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "retried"}, {"name": "b", "template": "pod"}]]},
        {"name": "retried", "retryStrategy": {"limit": 3, "backoff": {"duration": "1h"}}, "container": {"image": "i", "command": ["c"]}},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    play.end_pod("wf[0].a(0)", "Failed");
    assert_eq!(play.timers.len(), 1);
    let mut edited = play.engine.object().clone();
    edited.spec.shutdown = "Stop".into();
    play.feed(changed(edited, false));
    assert!(play.timers.is_empty(), "{:?}", play.timers);
}

#[test]
fn a_deadline_that_was_moved_does_not_come_early() {
    let mut play = Play::of(json!({"entrypoint": "main", "activeDeadlineSeconds": 10, "templates": [
        {"name": "main", "suspend": {}},
    ]}));
    let mut edited = play.engine.object().clone();
    edited.spec.active_deadline_seconds = Some(100);
    play.feed(changed(edited, false));
    play.now = at(11);
    play.feed(Observed::TimerFired { key: "workflow-deadline".into() });
    assert!(!play.engine.is_completed());
    assert_eq!(play.last, [Command::ArmTimer { key: "workflow-deadline".into(), due: at(100) }]);
    play.now = at(101);
    play.feed(Observed::TimerFired { key: "workflow-deadline".into() });
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn a_pod_that_would_begin_after_the_deadline_does_not() {
    let mut play = Play::of(json!({"entrypoint": "main", "activeDeadlineSeconds": 10, "templates": [
        {"name": "main", "steps": [
            [{"name": "a", "template": "pod", "continueOn": {"failed": true, "error": true}}], [{"name": "b", "template": "pod"}],
        ]},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    play.now = at(10);
    play.feed(Observed::TimerFired { key: "workflow-deadline".into() });
    assert!(armed(&play).is_empty());
    assert_eq!(play.node("wf[1].b").map(|n| n.message.to_string()).as_deref(), Some("wf[1].b exceeded its deadline"));
    assert_eq!(play.phase(), "Failed");
}
