//! Pods that the workflow does not know, as after the bus was lost with all that its nodes had come to; and what a workflow
//! that is taken up anew must know by itself.

use argosy_api::message::{ClusterCommand, Observed, PodSummary};
use argosy_engine::Command;
use jiff::SignedDuration;
use serde_json::json;

use crate::play::{Next, Play, at, changed, pod};

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

#[test]
fn what_waited_for_a_lookup_is_published_with_its_answer() {
    let parameter = json!({"name": "c", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}});
    let mut play = Play::of(json!({"entrypoint": "main", "arguments": {"parameters": [parameter]}, "templates": [
        {"name": "main", "container": {"image": "i", "command": ["c"]}},
    ]}));
    let found = |_: &_| {
        Some(json!({"metadata": {"labels": {"workflows.argoproj.io/configmap-type": "Parameter"}}, "data": {"k": "v"}}))
    };
    play.happen(Next::Lookup, false, found);
    let (name, (node, _)) = play.pods.first_key_value().map(|(name, pod)| (name.clone(), pod.clone())).expect("a pod");
    play.restart();
    // It waits for its lookup when the pod ends.
    play.now = at(3);
    play.feed(Observed::PodChanged { pod: Box::new(pod(&node, &name, "Succeeded")) });
    assert_eq!(play.phase(), "Running");
    let ended = play.now;
    play.now = ended + SignedDuration::from_secs(16);
    let before = play.events.len();
    play.happen(Next::Lookup, false, found);
    assert_eq!(play.phase(), "Succeeded");
    assert_eq!(play.events.len(), before + 1, "one change for one sequence");
    // As whoever took it up first may have said already.
    let status = &play.engine.object().status;
    let moments = [status.finished_at, status.nodes.values().next().and_then(|node| node.finished_at)];
    assert_eq!(moments.map(|time| time.map(|time| time.0)), [Some(ended); 2], "it ended before the answer came");
}

#[test]
fn what_depends_on_a_daemon_goes_on_before_its_pod_is_heard_of() {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": [
            {"name": "server", "template": "server"}, {"name": "a", "template": "pod", "depends": "server"}]}},
        {"name": "server", "daemon": true, "container": {"image": "i", "command": ["c"]}},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    let (name, (node, _)) = play.pods.first_key_value().map(|(name, pod)| (name.clone(), pod.clone())).expect("a pod");
    let mut up = pod(&node, &name, "Running");
    up.pod_ip = "10.0.0.1".into();
    play.feed(Observed::PodChanged { pod: Box::new(up) });
    assert_eq!(play.pods.len(), 2);
    play.restart();
    play.end_pod("wf.a", "Succeeded");
    assert_eq!(play.phase(), "Succeeded");
}

#[test]
fn a_hook_that_has_begun_is_waited_for_also_when_its_time_is_over() {
    let hooks = json!({"running": {"expression": "steps.a.status == \"Running\"", "template": "pod"}});
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "a", "template": "pod", "hooks": hooks}]]},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    let (name, (node, _)) = play.pods.first_key_value().map(|(name, pod)| (name.clone(), pod.clone())).expect("a pod");
    play.feed(Observed::PodChanged { pod: Box::new(pod(&node, &name, "Running")) });
    assert_eq!(play.pods.len(), 2);
    play.end_pod("wf[0].a", "Failed");
    play.restart();
    assert_eq!(play.phase(), "Running");
    play.end_pod("wf[0].a.hooks.running", "Succeeded");
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn the_pod_of_a_boundary_that_ended_in_error_gives_its_place_back_after_a_restart() {
    let mut play = Play::of(json!({"entrypoint": "main", "parallelism": 2, "templates": [
        {"name": "main", "dag": {"failFast": false, "tasks": [
            {"name": "s0", "template": "group"},
            {"name": "s1", "template": "pod", "depends": "s0.Failed || s0.Errored"},
            {"name": "s2", "template": "pod", "depends": "s0.Failed || s0.Errored"}]}},
        {"name": "group", "steps": [[{"name": "a", "template": "pod"}, {"name": "b", "template": "broken"}]]},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
        {"name": "broken", "timeout": "no duration", "container": {"image": "i", "command": ["c"]}},
    ]}));
    assert!(play.node("wf.s0").is_some_and(|node| node.phase.is_fulfilled()), "its other step cannot begin");
    assert!(play.node("wf.s0[0].a").is_some_and(|node| !node.phase.is_fulfilled()), "its pod runs");
    assert!(play.node("wf.s1").is_some() && play.node("wf.s2").is_none(), "there is place for one");
    play.restart();
    play.end_pod("wf.s0[0].a", "Succeeded");
    assert!(play.node("wf.s2").is_some(), "it gave its place back");
    play.run();
    assert_eq!(play.phase(), "Succeeded", "its last tasks have succeeded");
}

#[test]
fn a_template_that_cannot_be_had_ends_its_workflow_and_says_why() {
    let refused = "workflowtemplates.argoproj.io \"t\" is forbidden";
    let reference = json!({"name": "t", "template": "x"});
    let late = json!({"name": "{{workflow.parameters.t}}", "template": "x"});
    let specs = [
        json!({"workflowTemplateRef": {"name": "t"}}),
        json!({"entrypoint": "main", "templates": [
            {"name": "main", "steps": [[{"name": "s", "templateRef": reference}]]}]}),
        json!({"entrypoint": "main", "arguments": {"parameters": [{"name": "t", "value": "t"}]}, "templates": [
            {"name": "main", "steps": [[{"name": "s", "templateRef": late}]]}]}),
    ];
    for spec in specs {
        let mut play = Play::of(spec);
        while let Some(key) = play.lookups.pop_front() {
            play.feed(Observed::LookedUp { key, object: None, refused: refused.to_owned() });
        }
        assert!(["Error", "Failed"].contains(&play.phase().as_ref()), "{}", play.phase());
        assert!(play.message().contains(refused), "{}", play.message());
    }
}

#[test]
fn a_cache_that_cannot_be_read_is_the_error_of_its_call() {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "kept", "template": "kept"}]]},
        {"name": "kept", "memoize": {"key": "k", "cache": {"configMap": {"name": "c"}}},
         "container": {"image": "i", "command": ["c"]}}]}));
    let key = play.lookups.pop_front().expect("its cache is asked for");
    play.feed(Observed::LookedUp { key, object: None, refused: "configmaps \"c\" is forbidden".to_owned() });
    let kept = play.node("wf[0].kept").expect("it has a node");
    assert_eq!(kept.phase.to_string(), "Error");
    assert_eq!(kept.message, "could not load config map cache: configmaps \"c\" is forbidden");
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn an_exit_handler_that_runs_ends_with_a_terminate_after_a_restart_too() {
    let spec = json!({"entrypoint": "main", "onExit": "leave", "templates": [
        {"name": "main", "container": {"image": "i", "command": ["c"]}},
        {"name": "leave", "container": {"image": "i", "command": ["c"]}}]});
    let ends = [false, true].map(|restarts| {
        let mut play = Play::of(spec.clone());
        play.end_pod("wf", "Succeeded");
        play.end_pod("wf.onExit", "Running");
        if restarts {
            play.restart();
        }
        let mut edited = play.engine.object().clone();
        edited.spec.shutdown = "Terminate".into();
        play.feed(changed(edited, false));
        assert_eq!(play.phase(), "Failed", "it is not waited for");
        let status = &play.engine.object().status;
        (status.phase.to_string(), status.message.clone(), status.nodes.clone())
    });
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn an_attempt_that_is_held_back_when_its_wait_is_over_begins_after_a_restart_as_before() {
    let spec = json!({"entrypoint": "main", "templates": [{"name": "main",
        "retryStrategy": {"limit": 3, "backoff": {"duration": "2"}}, "container": {"image": "i", "command": ["c"]}}]});
    let ends = [false, true].map(|restarts| {
        let mut play = Play::of(spec.clone());
        play.end_pod("wf(0)", "Failed");
        assert_eq!(play.node("wf").map(|node| node.message.as_str()), Some("Backoff for 2 seconds"));
        let suspend = |play: &Play, on: bool| {
            let mut edited = play.engine.object().clone();
            edited.spec.suspend = on.then_some(true);
            changed(edited, false)
        };
        play.feed(suspend(&play, true));
        let (fires, due) = play.timers.pop_first().expect("it waits");
        play.now = due;
        play.feed(Observed::TimerFired { key: fires.clone() });
        play.feed(Observed::TimerFired { key: fires });
        assert!(play.node("wf(1)").is_none(), "it is suspended");
        if restarts {
            play.restart();
        }
        play.feed(suspend(&play, false));
        if let Some((again, _)) = play.timers.pop_first() {
            assert!(restarts, "its time was over");
            play.feed(Observed::TimerFired { key: again });
        }
        assert!(play.node("wf(1)").is_some(), "it goes on, restarted: {restarts}");
        play.run();
        (play.phase(), play.engine.object().status.nodes.clone())
    });
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn a_pod_that_a_shutdown_ended_unseen_was_ended_by_the_shutdown() {
    for (strategy, phase, message) in [
        ("", "Error", "pod deleted"),
        ("Stop", "Failed", "workflow shutdown with strategy:  Stop"),
        ("Terminate", "Failed", "workflow shutdown with strategy:  Terminate"),
    ] {
        let mut play =
            Play::of(json!({"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "i"}}]}));
        play.happen(Next::Pod("wf".into()), false, |_| None);
        let mut edited = play.engine.object().clone();
        edited.spec.shutdown = strategy.into();
        play.feed(changed(edited, false));
        let absent = PodSummary { node_id: "wf".into(), name: "wf".into(), deleted: true, ..PodSummary::default() };
        play.feed(Observed::PodChanged { pod: Box::new(absent) });
        let node = play.node("wf").expect("its node");
        assert_eq!((node.phase.to_string().as_str(), node.message.as_str()), (phase, message), "{strategy}");
        assert_eq!(play.phase(), phase);
    }
}
