//! What a workflow may cost.

use argosy_api::v1alpha1::NodePhase;
use argosy_engine::Config;
use serde_json::{Value, json};

use crate::play::{Play, object, pod};
use argosy_api::{
    message::Observed,
    v1alpha1::{Outputs, Parameter},
};

fn small() -> Config {
    Config { nodes_max: 100, nodes_per_event_max: 60, work_per_event_max: 1000, ..Config::default() }
}

fn pod_template() -> Value {
    json!({"name": "pod", "container": {"image": "i", "command": ["c"]}})
}

fn recurse() -> Value {
    json!({"entrypoint": "m", "templates": [
        {"name": "m", "steps": [[{"name": "a", "template": "m"}, {"name": "b", "template": "m"}]]},
    ]})
}

#[test]
fn a_template_that_calls_itself_twice_ends_with_error_and_without_its_nodes() {
    let play = Play::new(object(recurse()), small());
    assert_eq!(play.phase(), "Error");
    assert!(play.message().contains("60") && play.message().contains("--nodes-per-event-max"), "{}", play.message());
    assert!(play.engine.object().status.nodes.is_empty());
    assert!(play.events[0].nodes.is_empty() && play.events[0].grown.is_empty(), "nothing of it is published");
    assert_eq!(play.engine.object().status.progress, "0/0");
}

#[test]
fn with_the_defaults_as_well() {
    let play = Play::new(object(recurse()), Config::default());
    assert_eq!(play.phase(), "Error", "{}", play.message());
    assert!(play.message().contains("150000"), "{}", play.message());
}

#[test]
fn a_workflow_that_grows_slowly_ends_at_the_limit_of_all_nodes() {
    let mut play = Play::new(
        object(json!({"entrypoint": "m", "templates": [
            {"name": "m", "steps": [[{"name": "p", "template": "pod"}], [{"name": "again", "template": "m"}]]},
            pod_template(),
        ]})),
        small(),
    );
    play.run();
    assert_eq!(play.phase(), "Error");
    assert!(play.message().contains("100") && play.message().contains("--nodes-max"), "{}", play.message());
    let nodes = &play.engine.object().status.nodes;
    assert!(nodes.len() <= 100);
    let mut folded = std::collections::BTreeMap::new();
    for event in &play.events {
        folded.extend(event.nodes.iter().map(|node| (node.id.clone(), node.phase)));
    }
    assert_eq!(folded.len(), nodes.len(), "what is published is what there is");
}

#[test]
fn loops_count_before_they_are_unrolled() {
    for (count, expected) in [(20, "Running"), (1_000, "Error")] {
        for kind in ["steps", "dag"] {
            let step = json!({"name": "l", "template": "pod", "withSequence": {"count": count}});
            let main = match kind {
                "steps" => json!({"name": "m", "steps": [[step]]}),
                _ => json!({"name": "m", "dag": {"tasks": [step]}}),
            };
            let play = Play::new(object(json!({"entrypoint": "m", "templates": [main, pod_template()]})), small());
            assert_eq!(play.phase(), expected, "{kind} {count}: {}", play.message());
        }
    }
    // Steps of one group add up, and so do calls that wait.
    let steps: Vec<Value> =
        (0..4).map(|i| json!({"name": format!("l{i}"), "template": "pod", "withSequence": {"count": 20}})).collect();
    let spec =
        json!({"entrypoint": "m", "parallelism": 1, "templates": [{"name": "m", "steps": [steps]}, pod_template()]});
    assert_eq!(Play::new(object(spec), small()).phase(), "Error");
}

#[test]
fn retries_without_end_in_one_step_are_ended() {
    // Every attempt fails before it has a pod.
    let play = Play::new(
        object(json!({"entrypoint": "r", "templates": [
            {"name": "r", "timeout": "no duration", "retryStrategy": {"retryPolicy": "Always"}, "container": {"image": "i", "command": ["c"]}},
        ]})),
        small(),
    );
    assert_eq!(play.phase(), "Error", "{:?}", play.engine.waits());
}

#[test]
fn a_replay_ends_at_the_same_limit() {
    let mut once = Play::new(
        object(json!({"entrypoint": "m", "templates": [
            {"name": "m", "steps": [[{"name": "p", "template": "pod"}], [{"name": "again", "template": "m"}, {"name": "more", "template": "m"}]]},
            pod_template(),
        ]})),
        small(),
    );
    let mut often = Play::new(object(serde_json::to_value(&once.engine.object().spec).expect("JSON")), small());
    for play in [&mut once, &mut often] {
        assert_eq!(play.phase(), "Running");
    }
    once.run();
    while let Some(next) = often.possible().into_iter().next() {
        often.happen(next, false, |_| None);
        if !often.engine.is_completed() {
            often.restart();
        }
    }
    assert_eq!(once.engine.object().status.nodes.len(), often.engine.object().status.nodes.len());
    assert_eq!(once.message(), often.message());
}

fn two_steps(container: Value, arguments: Value) -> Value {
    json!({"entrypoint": "m", "arguments": arguments, "templates": [
        {"name": "m", "steps": [[{"name": "a", "template": "p"}], [{"name": "b", "template": "p"}]]},
        {"name": "p", "container": container, "outputs": {"parameters": [{"name": "x", "valueFrom": {"path": "/x"}}]}},
    ]})
}

#[test]
fn a_manifest_that_no_message_can_hold_is_an_error_of_its_node() {
    let large = "x\u{2}".repeat(20_000);
    for container in [
        json!({"image": "i", "command": ["c"], "args": [large]}),
        json!({"image": "i", "command": ["c"], "args": ["{{workflow.parameters.p}}"]}),
    ] {
        let arguments = json!({"parameters": [{"name": "p", "value": large}]});
        let config = || Config { message_bytes_max: 100_000, ..Config::default() };
        let play = Play::new(object(two_steps(container.clone(), arguments.clone())), config());
        assert_eq!(play.phase(), "Failed");
        let node = play.node("wf[0].a").expect("the node");
        assert_eq!(node.phase, NodePhase::Error);
        assert!(node.message.contains("100000") && node.message.contains("--message-bytes-max"), "{}", node.message);
        assert!(play.pods.is_empty());
        // It fits by default.
        assert_eq!(Play::of(two_steps(container, arguments)).pods.len(), 1);
    }
}

#[test]
fn what_is_created_is_never_larger_than_a_message() {
    let config = Config { message_bytes_max: 100_000, ..Config::default() };
    for size in (2_000..18_000).step_by(1_500) {
        let text = "\"".repeat(size);
        let container = json!({"image": "i", "command": ["c"], "args": [text]});
        let play = Play::new(object(two_steps(container, json!({}))), config.clone());
        for command in &play.last {
            if let argosy_engine::Command::Cluster { command, .. } = command {
                let bytes = serde_json::to_vec(command).expect("JSON").len();
                assert!(bytes <= 100_000 + 100, "{bytes}");
            }
        }
    }
}

#[test]
fn outputs_that_no_message_can_hold_are_an_error_of_their_node() {
    let config = Config { message_bytes_max: 200_000, ..Config::default() };
    let mut play = Play::new(object(two_steps(json!({"image": "i", "command": ["c"]}), json!({}))), config);
    let (name, (node, _)) = play.pods.iter().next().map(|(n, p)| (n.clone(), p.clone())).expect("a pod");
    let value = "y".repeat(200_000);
    let parameter = Parameter { name: "x".into(), value: Some(value.into()), ..Parameter::default() };
    let outputs = Some(Outputs { parameters: vec![parameter], ..Outputs::default() });
    let summary = argosy_api::message::PodSummary { outputs, ..pod(&node, &name, "Succeeded") };
    play.pods.clear();
    play.feed(Observed::PodChanged { pod: Box::new(summary) });
    let node = play.node("wf[0].a").expect("the node");
    assert_eq!(node.phase, NodePhase::Error);
    assert!(node.message.contains("--message-bytes-max"), "{}", node.message);
    assert_eq!(node.outputs, None);
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn every_node_that_is_published_fits_into_a_message() {
    let limit = 200_000;
    let config = Config { message_bytes_max: limit, ..Config::default() };
    let item = "z".repeat(50_000);
    let bad = format!("[\"{}\"", "q".repeat(150_000));
    for (step, spec) in [
        ("long item", json!({"name": "l", "template": "p", "withItems": [item, "short"]})),
        ("bad withParam", json!({"name": "l", "template": "p", "withParam": bad})),
        ("bad when", json!({"name": "l", "template": "p", "when": format!("{bad} ==")})),
    ] {
        for main in [json!({"name": "m", "steps": [[spec]]}), json!({"name": "m", "dag": {"tasks": [spec]}})] {
            let object = object(
                json!({"entrypoint": "m", "templates": [main, {"name": "p", "container": {"image": "i", "command": ["c"]}}]}),
            );
            let mut play = Play::new(object, config.clone());
            play.run();
            assert!(play.engine.is_completed(), "{step}");
            for event in &play.events {
                for node in &event.nodes {
                    let bytes = serde_json::to_vec(node).expect("JSON").len();
                    assert!(bytes <= limit, "{step}: node {} takes {bytes}", &node.id);
                }
                let bytes = serde_json::to_vec(&event.workflow_status).expect("JSON").len();
                assert!(bytes <= limit, "{step}: the status takes {bytes}");
            }
        }
    }
}

#[test]
fn values_that_add_up_end_the_workflow_and_not_the_process() {
    let value = "v".repeat(10_000);
    let template =
        json!({"name": "p", "inputs": {"parameters": [{"name": "p"}]}, "container": {"image": "i", "command": ["c"]}});
    let arguments = |value: &str| json!({"parameters": [{"name": "p", "value": value}]});
    let spec = |count: i32, given: &str| {
        let step =
            json!({"name": "l", "template": "p", "withSequence": {"count": count}, "arguments": arguments(given)});
        json!({"entrypoint": "m", "arguments": {"parameters": [{"name": "g", "value": value}]},
            "templates": [{"name": "m", "steps": [[step]]}, template]})
    };
    let config = Config { values_bytes_max: 1_000_000, loop_bytes_max: 3_000_000, ..Config::default() };
    let given = format!("{}{{{{item}}}}", value);
    for (count, given, expected, setting) in [
        (50, given.as_str(), "Running", ""),
        (200, "{{workflow.parameters.g}}", "Error", "--values-bytes-max"),
        (400, given.as_str(), "Failed", "--loop-bytes-max"),
    ] {
        let play = Play::new(object(spec(count, given)), config.clone());
        assert_eq!(play.phase(), expected, "{}", play.message());
        assert!(play.message().contains(setting), "{}", play.message());
    }
}

#[test]
fn a_recursion_names_its_limit() {
    let mut play = Play::of(json!({"entrypoint": "m", "templates": [
        {"name": "m", "steps": [[{"name": "a", "template": "m"}]]},
    ]}));
    play.run();
    assert_eq!(play.phase(), "Failed");
    let nodes = &play.engine.object().status.nodes;
    let told = nodes.unordered().find(|n| n.message.contains("Maximum recursion depth exceeded: 100")).expect("told");
    assert!(told.message.contains("--depth-max"), "{}", told.message);
}

/// Each task's condition is far below the limit of one evaluation.
#[test]
fn expressions_of_one_event_share_a_budget() {
    let of = |tasks: usize, steps: u64| {
        let when = "{{=count(1..300, # > 0) > 1}}";
        let tasks: Vec<Value> =
            (0..tasks).map(|i| json!({"name": format!("t{i}"), "template": "pod", "when": when})).collect();
        let main = json!({"name": "main", "dag": {"failFast": false, "tasks": tasks}});
        let config = Config { expression_steps_per_event_max: steps, ..Config::default() };
        Play::new(object(json!({"entrypoint": "main", "templates": [main, pod_template()]})), config)
    };
    assert_eq!(of(5, 100_000).phase(), "Running");
    let play = of(200, 100_000);
    assert_eq!(play.phase(), "Error");
    let message = play.message();
    assert!(message.contains("100000") && message.contains("--expression-steps-per-event-max"), "{message}");
    assert!(play.pods.is_empty(), "nothing of it is begun");
    assert_eq!(of(200, 10_000_000).phase(), "Running");
    // Each event has all of it, and taking a workflow up again has no limit: it lived with that.
    let mut play = of(50, 100_000);
    play.restart();
    play.run();
    assert_eq!(play.phase(), "Succeeded", "{}", play.message());
}

#[test]
fn a_status_that_no_message_can_hold_ends_its_workflow_without_the_nodes_it_was_about_to_add() {
    let main = json!({"name": "main", "steps": [[{"name": "a", "template": "pod"}]]});
    let large = json!({"name": "large", "container": {"image": "i", "command": ["c"], "args": ["x".repeat(20_000)]}});
    let spec = json!({"entrypoint": "main", "templates": [main, pod_template(), large]});
    let config = Config { message_bytes_max: 16_000, ..Config::default() };
    let mut play = Play::new(object(json!({"workflowTemplateRef": {"name": "t"}})), config);
    while let Some(key) = play.lookups.pop_front() {
        let template = json!({"metadata": {"name": "t"}, "spec": spec.clone()});
        play.feed(Observed::LookedUp { key, object: Some(template), refused: String::new() });
    }
    assert_eq!(play.phase(), "Error");
    assert!(play.message().contains("--message-bytes-max"), "{}", play.message());
    assert!(play.engine.object().status.nodes.is_empty() && play.pods.is_empty(), "nothing of it is begun");
}
