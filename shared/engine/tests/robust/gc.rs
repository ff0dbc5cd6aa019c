//! What becomes of pods that have ended, and of the workflow itself.

use argosy_api::labels;
use argosy_api::message::{ClusterCommand, Observed};
use argosy_engine::{Command, Config};
use serde_json::{Value, json};

use crate::play::{Play, changed, object, pod};

/// A pod that succeeds beside one that fails.
fn spec(more: &Value) -> Value {
    let mut spec = json!({"entrypoint": "main", "templates": [
        {"name": "main", "failFast": false, "dag": {"failFast": false, "tasks": [
            {"name": "a", "template": "pod"}, {"name": "b", "template": "pod", "continueOn": {"failed": true}},
        ]}},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

/// The wishes of the last step that are about pods that have ended.
fn wishes(play: &Play) -> Vec<String> {
    let told = |command: &Command| match command {
        Command::Cluster { command: ClusterCommand::LabelPodCompleted { .. }, .. } => Some("label".to_owned()),
        Command::Cluster { command: ClusterCommand::CollectPod { terms, .. }, .. } => {
            Some(format!("collect after {}", terms.delay_ms))
        }
        Command::Cluster { command: ClusterCommand::CollectPods { deletes, .. }, .. } => {
            Some(format!("{} all", if *deletes { "collect" } else { "label" }))
        }
        _ => None,
    };
    play.last.iter().filter_map(told).collect()
}

#[test]
fn each_strategy_says_which_pods_go_and_when() {
    let table: [(&str, [&[&str]; 2]); 5] = [
        ("", [&["label"], &["label"]]),
        ("OnPodCompletion", [&["collect after 5000"], &["collect after 5000"]]),
        ("OnPodSuccess", [&["collect after 5000"], &["label"]]),
        ("OnWorkflowCompletion", [&[], &["collect all"]]),
        ("OnWorkflowSuccess", [&[], &["collect all"]]),
    ];
    for (strategy, expected) in table {
        let mut play = Play::of(spec(&json!({"podGC": {"strategy": strategy}})));
        play.end_pod("wf.a", "Succeeded");
        assert_eq!(wishes(&play), expected[0], "{strategy}");
        play.end_pod("wf.b", "Failed");
        assert_eq!(play.phase(), "Succeeded");
        assert_eq!(wishes(&play), expected[1], "{strategy}");
        // Whoever owns the shard next may see such a pod again.
        let node = play.node("wf.a").expect("a node").id.to_string();
        let name = play.pods.iter().find(|(_, (of, _))| *of == node).map(|(name, _)| name.clone()).expect("a pod");
        play.feed(Observed::PodChanged { pod: Box::new(pod(&node, &name, "Succeeded")) });
        let again = if strategy.is_empty() { "label" } else { "collect after 5000" };
        assert_eq!(wishes(&play), [again], "{strategy}");
    }
    let mut failing = Play::of(spec(&json!({"podGC": {"strategy": "OnWorkflowSuccess"}, "entrypoint": "pod"})));
    failing.end_pod("wf", "Failed");
    assert_eq!(wishes(&failing), ["label all"]);
}

#[test]
fn pods_say_how_they_go_and_an_edit_of_the_running_workflow_counts() {
    let gc = |delay: &str| json!({"podGC": {"strategy": "OnPodCompletion", "deleteDelayDuration": delay}});
    let play = Play::of(spec(&gc("2m")));
    let annotation = play.last.iter().find_map(|command| match command {
        Command::Cluster { command: ClusterCommand::CreatePod { manifest, .. }, .. } => {
            Some(manifest.to_value()["metadata"]["annotations"][labels::POD_GC_STRATEGY].clone())
        }
        _ => None,
    });
    assert_eq!(annotation, Some(json!("OnPodCompletion/2m0s")));
    let mut play = Play::new(object(spec(&json!({}))), Config::default());
    play.feed(changed(object(spec(&gc("0"))), false));
    play.end_pod("wf.a", "Succeeded");
    assert_eq!(wishes(&play), ["collect after 0"]);
}

#[test]
fn a_workflow_that_ends_says_when_it_expires() {
    let ttl = json!({"ttlStrategy": {"secondsAfterCompletion": 60, "secondsAfterFailure": 10}, "entrypoint": "pod"});
    for (phase, seconds) in [("Succeeded", 60), ("Failed", 10)] {
        let mut play = Play::of(spec(&ttl));
        play.end_pod("wf", phase);
        let annotations = &play.engine.object().metadata.annotations;
        let expected = crate::play::at(seconds).to_string();
        assert_eq!(annotations.get(labels::EXPIRES_AT), Some(&expected), "{phase}");
        let told = play.events.last().and_then(|event| event.workflow_status.as_ref());
        assert_eq!(told.and_then(|w| w.annotations[labels::EXPIRES_AT].as_ref()), Some(&expected), "in the same write");
    }
    let mut play = Play::of(spec(&json!({"entrypoint": "pod"})));
    play.end_pod("wf", "Succeeded");
    assert!(!play.engine.object().metadata.annotations.contains_key(labels::EXPIRES_AT));
}

#[test]
fn a_container_that_can_never_run_ends_its_node_and_its_pod() {
    let mut play = Play::of(spec(&json!({"entrypoint": "pod"})));
    let (name, (node, _)) = play.pods.iter().next().map(|(n, p)| (n.clone(), p.clone())).expect("a pod");
    let mut report = pod(&node, &name, "Running");
    report.containers[0].exit_code = Some(128);
    report.containers[0].reason = "StartError".into();
    report.containers[0].message = "no such file".into();
    report.containers[0].phase = "Failed".parse().expect("a phase");
    play.feed(Observed::PodChanged { pod: Box::new(report.clone()) });
    assert_eq!(play.phase(), "Failed");
    assert_eq!(play.node("wf").map(|n| n.message.as_str()), Some("main: StartError (exit code 128): no such file"));
    let is_stop = |c: &Command| matches!(c, Command::Cluster { command: ClusterCommand::StopPod { .. }, .. });
    assert_eq!(play.last.iter().filter(|command| is_stop(command)).count(), 1);
}
