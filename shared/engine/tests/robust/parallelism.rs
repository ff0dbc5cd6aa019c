//! Limits on what runs at a time: never more, and never less while somebody waits.

use argosy_api::{
    labels,
    message::Observed,
    v1alpha1::{NodePhase, NodeType},
};
use argosy_engine::{Behavior, Config, Hold, Overlooked, Wait};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::play::{Play, at, object};

fn pod_template() -> Value {
    json!({"name": "pod", "container": {"image": "i", "command": ["c"]}})
}

/// A pod, a suspend, a pod; one at a time.
fn with_suspend() -> Value {
    json!({"entrypoint": "main", "templates": [
        {"name": "main", "parallelism": 1, "dag": {"tasks": [
            {"name": "a", "template": "pod"}, {"name": "b", "template": "wait"}, {"name": "c", "template": "pod"},
        ]}},
        {"name": "wait", "suspend": {"duration": "2s"}},
        pod_template(),
    ]})
}

#[test]
fn a_slot_is_not_lost_to_a_suspend() {
    let mut play = Play::of(with_suspend());
    assert_eq!(play.pods.len(), 1);
    play.end_pod("wf.a", "Succeeded");
    assert_eq!(play.node("wf.b").map(|n| n.phase), Some(NodePhase::Running));
    assert_eq!(play.node("wf.c").map(|n| n.phase), Some(NodePhase::Pending), "c need not wait for b");
    play.run();
    assert_eq!(play.phase(), "Succeeded");
}

#[test]
fn a_workflow_that_began_with_the_older_rule_goes_on_by_it() {
    let mut play = Play::of(with_suspend());
    let recorded = &play.engine.object().metadata.annotations;
    assert_eq!(recorded.get(labels::BEHAVIOR).map(String::as_str), Some(Behavior::LATEST.to_string().as_str()));
    assert!(play.events[0].workflow_status.as_ref().is_some_and(|w| w.annotations.contains_key(labels::BEHAVIOR)));

    // The same object as an older version wrote it.
    let mut object = play.engine.object().clone();
    object.metadata.annotations.remove(labels::BEHAVIOR);
    play.engine = argosy_engine::Workflow::new(play.config.clone(), object, play.sequence);
    _ = play.engine.resume(play.now);
    play.end_pod("wf.a", "Succeeded");
    assert_eq!(play.node("wf.b").map(|n| n.phase), Some(NodePhase::Running));
    assert_eq!(play.node("wf.c"), None, "the slot went to b");
    let found = play.engine.overlooked();
    assert!(
        matches!(found.as_slice(), [Overlooked::Call { why: Hold::TemplateParallelism { limit: 1, .. }, .. }]),
        "{found:?}"
    );
    // An edit does not change the rule, whatever it says.
    let mut edited = play.engine.object().clone();
    edited.metadata.annotations.insert(labels::BEHAVIOR.to_owned(), "1".to_owned());
    edited.metadata.labels.insert("a".to_owned(), "b".to_owned());
    play.feed(crate::play::changed(edited, false));
    assert_eq!(play.node("wf.c"), None);
}

#[test]
fn a_held_call_says_why() {
    let mut play = Play::of(with_suspend());
    let held = |play: &Play| -> Vec<(String, Hold)> {
        let waits = play.engine.waits().into_iter();
        waits
            .filter_map(|w| {
                if let Wait::Call { node_name, why, .. } = w { Some((node_name.to_string(), why)) } else { None }
            })
            .collect()
    };
    let why = Hold::TemplateParallelism { node_id: "wf".into(), limit: 1 };
    assert_eq!(held(&play), [("wf.b".to_owned(), why.clone()), ("wf.c".to_owned(), why)]);
    assert!(play.engine.waits().iter().any(|w| matches!(w, Wait::Pod { is_seen: false, .. })));
    let mut edited = play.engine.object().clone();
    edited.spec.suspend = Some(true);
    play.feed(crate::play::changed(edited, false));
    play.end_pod("wf.a", "Succeeded");
    assert!(
        held(&play).iter().all(|(_, why)| *why == Hold::Suspended || matches!(why, Hold::TemplateParallelism { .. }))
    );
    assert_eq!(play.node("wf.b"), None);
}

/// Leaves of a generated workflow, by number.
const LEAVES: [&str; 10] = ["pod", "wait", "memo", "set", "retry", "backoff", "broken", "half", "memowait", "skip"];

fn leaves() -> Vec<Value> {
    let cache = json!({"key": "k", "cache": {"configMap": {"name": "cache"}}});
    let container = json!({"image": "i", "command": ["c"]});
    vec![
        pod_template(),
        json!({"name": "wait", "suspend": {"duration": "2s"}}),
        json!({"name": "memo", "container": container, "memoize": cache}),
        json!({"name": "memowait", "suspend": {"duration": "1s"}, "memoize": cache}),
        json!({"name": "set", "containerSet": {"containers": [
            {"name": "main", "image": "i", "command": ["c"]}, {"name": "b", "image": "i", "command": ["c"], "dependencies": ["main"]},
        ]}}),
        json!({"name": "retry", "container": container, "retryStrategy": {"limit": 2}}),
        json!({"name": "backoff", "container": container, "retryStrategy": {"limit": 2, "backoff": {"duration": "3s"}}}),
        // Its inputs cannot be made: the call fails.
        json!({"name": "broken", "container": container, "timeout": "no duration"}),
        // In a loop, those of one item cannot.
        json!({"name": "half", "container": container, "timeout": "{{inputs.parameters.t}}",
            "inputs": {"parameters": [{"name": "t", "value": "1h"}]}}),
    ]
}

#[derive(Clone, Debug)]
struct Composite {
    is_dag: bool,
    parallelism: Option<i64>,
    fail_fast: Option<bool>,
    /// What each step or task calls: a leaf, or the next composite; the task before which it waits; whether it is a loop.
    steps: Vec<(usize, bool, bool, bool)>,
}

fn composite() -> impl Strategy<Value = Composite> {
    let step = (0usize..13, any::<bool>(), any::<bool>(), any::<bool>());
    let steps = prop::collection::vec(step, 1..7);
    let fail_fast = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    (any::<bool>(), prop::option::weighted(0.7, 1i64..4), fail_fast, steps)
        .prop_map(|(is_dag, parallelism, fail_fast, steps)| Composite { is_dag, parallelism, fail_fast, steps })
}

fn template(index: usize, composite: &Composite, is_last: bool) -> Value {
    let mut children: Vec<Value> = Vec::new();
    for (number, (call, waits, looped, goes_on)) in composite.steps.iter().enumerate() {
        let called = match LEAVES.get(*call) {
            Some(leaf) => (*leaf).to_owned(),
            None if is_last => "pod".to_owned(),
            None => format!("c{}", index + 1),
        };
        let mut step = json!({"name": format!("s{number}"), "template": called});
        if called == "skip" {
            step["template"] = json!("pod");
            step["when"] = json!("1 == 2");
        }
        if *looped {
            step["withItems"] = json!(["1h", "x", "2h"]);
            if called == "half" {
                step["arguments"] = json!({"parameters": [{"name": "t", "value": "{{item}}"}]});
            }
        }
        if *goes_on {
            step["continueOn"] = json!({"failed": true, "error": true});
        }
        if *waits && composite.is_dag && number > 0 {
            step["dependencies"] = json!([format!("s{}", number - 1)]);
        }
        children.push(step);
    }
    let mut template = json!({"name": format!("c{index}")});
    if let Some(limit) = composite.parallelism {
        template["parallelism"] = json!(limit);
    }
    if let Some(fail_fast) = composite.fail_fast {
        template["failFast"] = json!(fail_fast);
    }
    if composite.is_dag {
        template["dag"] = json!({"failFast": false, "tasks": children});
    } else {
        let groups: Vec<Value> = children.chunks(3).map(|group| json!(group)).collect();
        template["steps"] = json!(groups);
    }
    template
}

fn spec(composites: &[Composite], parallelism: Option<i64>) -> Value {
    let mut templates = leaves();
    let last = composites.len() - 1;
    templates.extend(composites.iter().enumerate().map(|(i, c)| template(i, c, i == last)));
    json!({"entrypoint": "c0", "parallelism": parallelism, "templates": templates})
}

/// S6: how many are active is within the limits; and nothing waits for what is there.
fn check(play: &Play, composites: &[Composite], parallelism: Option<i64>) {
    let found = play.engine.overlooked();
    assert!(found.is_empty(), "{found:?}");
    assert!(play.engine.is_completed() || !play.engine.reasons().is_empty(), "it waits without a reason");
    let nodes = &play.engine.object().status.nodes;
    let is_live = |phase: NodePhase| matches!(phase, NodePhase::Pending | NodePhase::Running);
    let pods = nodes.unordered().filter(|n| n.r#type == NodeType::Pod && is_live(n.phase)).count() as i64;
    assert!(parallelism.is_none_or(|limit| pods <= limit), "{pods} pods are active");
    for boundary in nodes.unordered().filter(|n| is_live(n.phase)) {
        let index = boundary.template_name.strip_prefix('c').and_then(|text| text.parse::<usize>().ok());
        let Some(limit) = index.and_then(|index| composites[index].parallelism) else { continue };
        let counts = |n: &&argosy_api::v1alpha1::NodeStatus| {
            n.boundary_id == boundary.id
                && is_live(n.phase)
                && matches!(n.r#type, NodeType::Pod | NodeType::Steps | NodeType::Dag)
        };
        let active = nodes.unordered().filter(counts).count() as i64;
        assert!(active <= limit, "{active} nodes are active in {}", boundary.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_waits_while_there_is_room_and_everything_ends(
        composites in prop::collection::vec(composite(), 1..4),
        parallelism in prop::option::weighted(0.3, 1i64..5),
        choices in prop::collection::vec((any::<u16>(), 0u8..10), 2000),
        restarts in any::<bool>(),
    ) {
        let mut play = Play::new(object(spec(&composites, parallelism)), Config::default());
        prop_assert!(!play.message().starts_with("invalid spec"), "{}", play.message());
        let cached = json!({"metadata": {"labels": {"workflows.argoproj.io/configmap-type": "Cache"}},
            "data": {"k": "{\"nodeID\": \"n\"}"}});
        for (choice, luck) in choices {
            check(&play, &composites, parallelism);
            let possible = play.possible();
            if possible.is_empty() || play.engine.is_completed() {
                break;
            }
            let next = possible[choice as usize % possible.len()].clone();
            play.happen(next, luck < 3, |_| (luck > 5).then(|| cached.clone()));
            if restarts && luck == 4 && !play.engine.is_completed() {
                play.restart();
            }
        }
        prop_assert!(play.engine.is_completed(), "{:?}", play.engine.waits());
    }
}

#[test]
fn a_daemon_that_ends_late_is_no_step_of_the_group_that_runs_by_then() {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": [[{"name": "d", "template": "daemon"}], [{"name": "a", "template": "pod"}],
            [{"name": "b", "template": "pod"}]]},
        {"name": "daemon", "daemon": true, "container": {"image": "i", "command": ["c"]}},
        pod_template(),
    ]}));
    play.end_pod("wf[0].d", "Running");
    assert_eq!(play.node("wf[1].a").map(|n| n.phase), Some(NodePhase::Pending));
    play.end_pod("wf[0].d", "Failed");
    assert_eq!(play.node("wf[2].b"), None, "a has not ended");
    play.end_pod("wf[1].a", "Succeeded");
    assert_eq!(play.node("wf[2].b").map(|n| n.phase), Some(NodePhase::Pending));
}

#[test]
fn an_empty_dag_is_refused() {
    for dag in [json!([]), json!({}), json!({"tasks": []})] {
        let play = Play::of(json!({"entrypoint": "main", "templates": [{"name": "main", "dag": dag}]}));
        assert!(play.engine.is_completed(), "{dag}: {:?}", play.engine.waits());
        assert_eq!(play.message(), "invalid spec: templates.main must have at least one task", "{dag}");
    }
}

#[test]
fn time_never_goes_back() {
    let mut play = Play::of(json!({"entrypoint": "pod", "templates": [pod_template()]}));
    let id = "wf";
    let name = play.pods.keys().next().cloned().expect("a pod");
    play.now = at(100);
    play.feed(Observed::PodChanged { pod: Box::new(crate::play::pod(id, &name, "Running")) });
    // A reporter whose clock is behind, before and after a take-over.
    play.restart();
    play.now = at(-500);
    play.feed(Observed::PodChanged { pod: Box::new(crate::play::pod(id, &name, "Succeeded")) });
    let object = play.engine.object();
    let node = play.node("wf").expect("the node");
    assert!(node.finished_at >= node.started_at, "{node:?}");
    assert!(object.status.finished_at >= object.status.started_at);
}

/// Two pods at a time; then come the items of a loop that cannot be called.
fn with_broken_loop() -> Value {
    let items = json!(["x", "y", "z"]);
    let mut templates = leaves();
    templates.push(json!({"name": "main", "failFast": true, "dag": {"tasks": [
        {"name": "a", "template": "pod", "withItems": items}, {"name": "bad", "template": "broken", "withItems": items},
        {"name": "next", "template": "pod", "depends": "bad.Errored"},
    ]}}));
    json!({"entrypoint": "main", "parallelism": 2, "templates": templates})
}

#[test]
fn items_that_wait_for_room_do_not_begin_behind_one_that_is_in_error() {
    for restarts in [false, true] {
        let mut play = Play::of(with_broken_loop());
        play.end_pod("wf.a(0:x)", "Succeeded");
        play.end_pod("wf.a(1:y)", "Succeeded");
        assert_eq!(play.node("wf.bad(0:x)").map(|n| n.phase), Some(NodePhase::Error));
        assert_eq!(play.node("wf.bad").map(|n| n.phase), Some(NodePhase::Error));
        assert_eq!(play.engine.overlooked(), []);
        if restarts {
            play.restart();
        }
        play.end_pod("wf.a(2:z)", "Succeeded");
        assert_eq!(play.node("wf.bad(1:y)"), None, "it waited for room");
        assert_eq!(play.phase(), "Failed");
        assert_eq!(play.message(), "template has failed or errored children and failFast enabled");
    }
}
