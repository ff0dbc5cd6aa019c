//! What people do to a workflow while it runs, and after: suspended, edited, set by hand, resubmitted.

use argosy_api::v1alpha1::{self as api, NodePhase, NodeType};
use argosy_engine::ops::{
    resubmit::{Resubmit, resubmit},
    retry::{Retry, retry},
    suspend::{self, NodeValues},
};
use serde_json::{Value, json};

use crate::play::{Next, Play, changed};

/// A gate and a timed suspend side by side, and a step behind them.
fn gated() -> Play {
    Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "gate", "template": "gate"}, {"name": "timed", "template": "timed"}],
            [{"name": "next", "template": "gate"}]]},
        {"name": "gate", "suspend": {}},
        {"name": "timed", "suspend": {"duration": "3"}},
    ]}))
}

/// An edit of the object as it is now; the second tells whether the status was edited, too.
fn edit(play: &mut Play, status_edited: bool, change: impl FnOnce(&mut api::Workflow)) {
    let mut edited = play.engine.object().clone();
    edited.metadata.generation = i64::try_from(play.sequence).expect("few events") + 1;
    change(&mut edited);
    play.feed(changed(edited, status_edited));
}

fn phase(play: &Play, node: &str) -> NodePhase {
    play.node(node).unwrap_or_else(|| panic!("no node {node}")).phase
}

fn progress<'p>(play: &'p Play, node: &str) -> &'p str {
    &play.node(node).unwrap_or_else(|| panic!("no node {node}")).progress
}

#[test]
fn nothing_goes_on_while_a_workflow_is_suspended() {
    for restarts in [false, true] {
        let mut play = gated();
        let timer = play.timers.keys().next().cloned().expect("a timer");
        edit(&mut play, false, |w| w.spec.suspend = Some(true));
        play.happen(Next::Timer(timer), false, |_| None);
        assert_eq!(phase(&play, "wf[0].timed"), NodePhase::Running, "its time is over, and nobody looks");
        assert!(play.engine.overlooked().is_empty() && !play.engine.waits().is_empty());
        edit(&mut play, true, |w| {
            let at = w.status.started_at.expect("it began").0;
            suspend::resume(w, "displayName=gate", None, at).expect("resumed");
        });
        assert_eq!(phase(&play, "wf[0].gate"), NodePhase::Succeeded);
        if restarts {
            play.restart();
            play.run();
        }
        assert_eq!((phase(&play, "wf[0]"), play.node("wf[1]")), (NodePhase::Running, None), "restarts: {restarts}");
        edit(&mut play, false, |w| w.spec.suspend = None);
        play.run();
        assert_eq!((phase(&play, "wf[0]"), phase(&play, "wf[1].next")), (NodePhase::Succeeded, NodePhase::Running));
    }
}

#[test]
fn a_suspended_workflow_that_is_stopped_ends_when_it_is_resumed() {
    let mut play = gated();
    edit(&mut play, false, |w| w.spec.suspend = Some(true));
    edit(&mut play, false, |w| w.spec.shutdown = "Stop".into());
    assert_eq!((phase(&play, "wf[0].gate"), play.phase().as_str()), (NodePhase::Failed, "Running"));
    edit(&mut play, false, |w| w.spec.suspend = None);
    play.run();
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn what_people_have_ended_counts_with_the_next_thing_that_happens() {
    for restarts in [false, true] {
        let mut play = gated();
        assert_eq!((progress(&play, "wf"), progress(&play, "wf[0]")), ("0/2", "0/2"));
        edit(&mut play, true, |w| {
            let at = w.status.started_at.expect("it began").0;
            suspend::resume(w, "displayName=gate", None, at).expect("resumed");
        });
        assert_eq!((progress(&play, "wf[0].gate"), progress(&play, "wf")), ("0/1", "0/2"));
        if restarts {
            play.restart();
        }
        play.run();
        assert_eq!(
            (progress(&play, "wf[0].gate"), progress(&play, "wf[0]"), progress(&play, "wf")),
            ("1/1", "2/3", "2/3")
        );
    }
}

#[test]
fn an_edit_of_hooks_templates_and_arguments_counts_from_then_on() {
    let mut play = Play::of(json!({"entrypoint": "main", "arguments": {"parameters": [{"name": "p", "value": "old"}]},
    "templates": [
        {"name": "main", "steps": [[{"name": "gate", "template": "gate"}],
            [{"name": "next", "template": "show", "arguments": {"parameters": [{"name": "t", "value": "{{workflow.parameters.p}}"}]}}]]},
        {"name": "gate", "suspend": {}},
        {"name": "quick", "suspend": {"duration": "0"}},
        {"name": "show", "inputs": {"parameters": [{"name": "t"}]}, "suspend": {"duration": "0"}},
    ]}));
    edit(&mut play, false, |w| {
        w.spec.on_exit = "quick".into();
        w.spec.arguments.parameters[0].value = Some("new".into());
        let hook = json!({"template": "quick", "expression": "workflow.status == 'Running'"});
        w.spec.hooks.insert("late".into(), serde_json::from_value(hook).expect("a hook"));
    });
    play.run();
    assert_eq!(phase(&play, "wf.hooks.late"), NodePhase::Succeeded, "it is looked at at once");
    edit(&mut play, true, |w| {
        let at = w.status.started_at.expect("it began").0;
        suspend::resume(w, "", None, at).expect("resumed");
    });
    play.run();
    assert_eq!((play.phase().as_str(), phase(&play, "wf.onExit")), ("Succeeded", NodePhase::Succeeded));
    let inputs = play.node("wf[1].next").and_then(|n| n.inputs.as_ref()).expect("inputs");
    assert_eq!(inputs.parameters[0].value.as_deref(), Some("new"));
}

#[test]
fn an_edit_with_a_mistake_changes_nothing_and_is_told() {
    let mut play = gated();
    edit(&mut play, false, |w| {
        let parameter = json!([{"name": "p", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}}]);
        w.spec.arguments.parameters = serde_json::from_value(parameter).expect("parameters");
        w.spec.on_exit = "gate".into();
    });
    let told =
        play.engine.object().status.conditions.iter().any(|c| c.r#type == "SpecError" && c.message.contains("none"));
    assert!(told && play.phase() == "Running");
}

fn asks() -> Play {
    Play::of(json!({"entrypoint": "ask", "templates": [{"name": "ask", "suspend": {}, "outputs": {"parameters": [
        {"name": "size", "globalName": "size", "valueFrom": {"supplied": {}}},
        {"name": "who", "valueFrom": {"supplied": {}, "default": "nobody"}},
    ]}}]}))
}

#[test]
fn an_output_is_set_once_and_a_message_is_replaced() {
    let mut object = asks().engine.object().clone();
    let at = object.status.started_at.expect("it began").0;
    let values = |size: &str, message: &str| NodeValues {
        message: message.to_owned(),
        output_parameters: [("size".to_owned(), size.to_owned())].into(),
        ..NodeValues::default()
    };
    suspend::set(&mut object, "", &values("3", "first"), at).expect("set");
    let again = suspend::set(&mut object, "", &values("4", ""), at).expect_err("it is set");
    assert!(again.to_string().starts_with("cannot set output parameter 'size' because"), "{again}");
    let message = NodeValues { message: "second".to_owned(), ..NodeValues::default() };
    suspend::set(&mut object, "", &message, at).expect("set");
    let skipped = NodeValues { phase: Some(NodePhase::Skipped), ..NodeValues::default() };
    assert_eq!(
        suspend::set(&mut object, "", &skipped, at).expect_err("no").to_string(),
        "Skipped is an invalid phase to set to"
    );
    assert!(suspend::set(&mut object, "", &NodeValues::default(), at).is_err(), "there is nothing to set");
    suspend::resume(&mut object, "", None, at).expect("resumed");
    let node = object.status.nodes.get("wf").expect("a node");
    assert_eq!((node.message.as_str(), node.phase), ("second; ", NodePhase::Succeeded));
    let outputs: Vec<_> = node.outputs.iter().flat_map(|o| &o.parameters).map(|p| p.value.as_deref()).collect();
    assert_eq!(outputs, [Some("3"), Some("nobody")]);
}

#[test]
fn a_workflow_that_has_ended_may_be_resumed_and_stays_as_it_is() {
    let mut play = asks();
    edit(&mut play, false, |w| w.spec.shutdown = "Stop".into());
    let before = play.engine.object().clone();
    let mut object = before.clone();
    suspend::resume(&mut object, "", None, play.now).expect("nothing to do");
    assert_eq!(object, before);
}

/// A pod, a gate behind it, and a pod behind that which fails at first.
fn failed() -> Play {
    let task =
        |name: &str, template: &str, depends: &str| json!({"name": name, "template": template, "depends": depends});
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": [task("make", "pod", ""), task("gate", "gate", "make"), task("check", "pod", "gate")]}},
        {"name": "gate", "suspend": {"duration": "0"}},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    play.end_pod("wf.make", "Succeeded");
    let timer = play.timers.keys().next().cloned().expect("a timer");
    play.happen(Next::Timer(timer), false, |_| None);
    play.end_pod("wf.check", "Failed");
    assert_eq!(play.phase(), "Failed");
    play
}

#[test]
fn a_memoized_resubmit_runs_again_all_but_pods_that_succeeded() {
    let old = failed();
    let options = Resubmit { memoized: Some("abcde".to_owned()), ..Resubmit::default() };
    let mut new = resubmit(old.engine.object(), &options, None, old.now).expect("a workflow");
    assert_eq!(new.metadata.name, "wf-abcde");
    new.metadata.namespace = "ns".into();
    new.metadata.uid = "v".into();
    let mut play = Play::new(new.clone(), Default::default());
    play.engine = argosy_engine::Workflow::new(
        play.config.clone(),
        api::Workflow { status: Default::default(), ..new.clone() },
        0,
    );
    (play.sequence, play.pods, play.timers) = (0, Default::default(), Default::default());
    play.feed(changed(new, true));
    assert_eq!(phase(&play, "wf-abcde.check"), NodePhase::Pending, "its turn has not come");
    assert!(play.pods.is_empty(), "{:?}", play.pods);
    assert_eq!(phase(&play, "wf-abcde.gate"), NodePhase::Running);
    play.run();
    assert_eq!(play.phase(), "Succeeded", "{}", play.message());
    let make = play.node("wf-abcde.make").expect("a node");
    assert_eq!((make.r#type, make.phase), (NodeType::Skipped, NodePhase::Skipped));
    let gate = play.node("wf-abcde.gate").expect("a node");
    assert_eq!(gate.children, [play.node("wf-abcde.check").expect("a node").id.clone()]);
}

#[test]
fn a_step_that_a_person_refused_is_not_asked_for_again() {
    let mut play = gated();
    edit(&mut play, false, |w| w.spec.shutdown = "Terminate".into());
    play.run();
    let mut object = play.engine.object().clone();
    let before: Vec<Value> = object.status.nodes.values().map(|n| json!([n.name, n.phase])).collect();
    retry(&mut object, &Retry::default(), None, play.now).expect("retried");
    assert_eq!(object.status.nodes.values().map(|n| json!([n.name, n.phase])).collect::<Vec<_>>(), before);
}

/// What a shutdown makes of a DAG: the nodes with what they say.
fn stopped(strategy: &str, tasks: Value) -> (Play, Vec<(String, String, String)>) {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": tasks}},
        {"name": "gate", "suspend": {}},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
        {"name": "set", "containerSet": {"containers": [{"name": "main", "image": "i", "command": ["c"]}]}},
    ]}));
    let pods: Vec<String> = play.pods.keys().cloned().collect();
    pods.into_iter().for_each(|pod| play.happen(Next::Pod(pod), false, |_| None));
    edit(&mut play, false, |w| w.spec.shutdown = strategy.into());
    let nodes = play.engine.object().status.nodes.values().filter(|n| n.name != "wf");
    let mut told: Vec<_> = nodes.map(|n| (n.name.to_string(), n.phase.to_string(), n.message.to_string())).collect();
    told.sort();
    (play, told)
}

fn told(nodes: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    nodes.iter().map(|(name, phase, message)| ((*name).into(), (*phase).into(), (*message).into())).collect()
}

#[test]
fn what_comes_behind_a_stopped_step_is_judged() {
    let tasks = json!([{"name": "a", "template": "gate"}, {"name": "b", "template": "gate", "depends": "a"},
        {"name": "c", "template": "gate", "depends": "a.Failed"}, {"name": "d", "template": "pod", "depends": "c.Failed"}]);
    let (play, nodes) = stopped("Stop", tasks);
    let stopped = "Stopped with strategy 'Stop'";
    let omitted = "omitted: depends condition not met";
    // What comes behind a suspend that the shutdown came before is not looked at.
    let expected = [("wf.a", "Failed", stopped), ("wf.b", "Omitted", omitted), ("wf.c", "Failed", stopped)];
    assert_eq!((play.phase().as_str(), nodes), ("Failed", told(&expected)));
}

#[test]
fn a_node_ends_with_the_shutdown_and_its_pod_after_it() {
    let tasks = json!([{"name": "a", "template": "pod", "hooks": {"exit": {"template": "gate"}}}, {"name": "s", "template": "set"}]);
    let (play, nodes) = stopped("Terminate", tasks);
    let message = "workflow shutdown with strategy:  Terminate";
    let expected = [("wf.a", "Failed", message), ("wf.s", "Failed", message), ("wf.s.main", "Failed", message)];
    assert_eq!((play.phase().as_str(), nodes), ("Failed", told(&expected)));
    assert!(play.pods.values().all(|(_, phase)| *phase == "Stopping"), "{:?}", play.pods);
}
