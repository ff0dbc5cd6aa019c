//! Members of the wrong type, everywhere: an error, never a panic.

use argosy_api::v1alpha1::{self as api, Workflow};
use argosy_engine::{
    Config,
    ops::retry::{Retry, retry},
    validate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::play::Play;

struct NoTemplates;

impl validate::Templates for NoTemplates {
    fn get(&self, _: bool, _: &str) -> Option<std::sync::Arc<api::WorkflowSpec>> {
        None
    }
}

/// Workflows that between them use most of what there is.
fn samples() -> Vec<Value> {
    let container = json!({"image": "i", "command": ["c"], "args": ["{{inputs.parameters.p}}"],
        "env": [{"name": "E", "value": "v"}, {"name": "F", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "volumeMounts": [{"name": "work", "mountPath": "/work"}], "resources": {"limits": {"cpu": "1"}}});
    let dag = json!({
        "entrypoint": "main", "onExit": "bye", "parallelism": 3, "activeDeadlineSeconds": 100,
        "arguments": {"parameters": [{"name": "g", "value": "[1, \"é\", {\"a\": 2}]"}]},
        "volumeClaimTemplates": [{"metadata": {"name": "work", "labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "hooks": {"running": {"template": "bye", "expression": "workflow.status == 'Running'"}},
        "podMetadata": {"labels": {"l": "{{workflow.name}}"}}, "podSpecPatch": "{\"hostNetwork\": true}",
        "templates": [
            {"name": "main", "failFast": false, "parallelism": 2, "dag": {"target": "c", "tasks": [
                {"name": "a", "template": "work", "arguments": {"parameters": [{"name": "p", "value": "1"}]}},
                {"name": "b", "template": "work", "depends": "a.Succeeded || a.Failed", "withParam": "{{workflow.parameters.g}}",
                 "arguments": {"parameters": [{"name": "p", "value": "{{item}}-{{tasks.a.outputs.parameters.o}}"}]},
                 "hooks": {"exit": {"template": "bye"}}},
                {"name": "c", "template": "set", "depends": "b.AnySucceeded", "when": "{{tasks.a.status}} == Succeeded"},
            ]}, "outputs": {"parameters": [{"name": "r", "valueFrom": {"expression": "tasks.a.outputs.parameters.o"}}]}},
            {"name": "work", "inputs": {"parameters": [{"name": "p", "default": "d"}],
                "artifacts": [{"name": "in", "path": "/in", "optional": true, "raw": {"data": "x"}}]},
             "outputs": {"parameters": [{"name": "o", "valueFrom": {"path": "/o", "default": "é"}}], "artifacts": [{"name": "oa", "path": "/oa", "s3": {"key": "k"}}]},
             "retryStrategy": {"limit": "2", "retryPolicy": "Always", "backoff": {"duration": "2", "factor": 2, "maxDuration": "1m"}},
             "metadata": {"annotations": {"a": "{{inputs.parameters.p}}"}}, "timeout": "1m", "container": container,
             "sidecars": [{"name": "s", "image": "i", "mirrorVolumeMounts": true}], "initContainers": [{"name": "i", "image": "i"}],
             "nodeSelector": {"k": "v"}, "tolerations": [{"key": "k"}], "affinity": {"nodeAffinity": {}}},
            {"name": "set", "containerSet": {"retryStrategy": {"retries": 2}, "containers": [
                {"name": "main", "image": "i", "command": ["c"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                {"name": "two", "image": "i", "command": ["c"], "dependencies": ["main"]}]}},
            {"name": "bye", "script": {"image": "i", "command": ["sh"], "source": "echo {{workflow.status}}"}},
        ],
    });
    let steps = json!({
        "entrypoint": "main", "arguments": {"parameters": [{"name": "n", "value": 3}, {"name": "m", "enum": ["a"], "value": "a"}]},
        "templateDefaults": {"timeout": "30s"}, "retryStrategy": {"limit": 1}, "podGC": {"strategy": "OnPodCompletion"},
        "workflowMetadata": {"labels": {"l": "v"}, "labelsFrom": {"f": {"expression": "'x'"}}},
        "metrics": {"prometheus": [{"name": "m", "help": "h", "counter": {"value": "1"}}]}, "ttlStrategy": {"secondsAfterCompletion": 5},
        "templates": [
            {"name": "main", "inputs": {"parameters": [{"name": "n"}]}, "steps": [
                [{"name": "a", "template": "s", "withSequence": {"count": "{{inputs.parameters.n}}", "format": "%02d"},
                  "arguments": {"parameters": [{"name": "p", "value": "{{=item + 'é'}}"}]}}],
                [{"name": "w", "template": "wait"}],
                [{"name": "x", "template": "cached", "when": "'{{steps.w.outputs.parameters.q}}' != ''"},
                 {"name": "i", "inline": {"container": {"image": "i", "command": ["c"]}}}],
                [{"name": "d", "template": "daemon"}], [{"name": "z", "template": "s",
                  "withItems": [{"a": "é", "b": 1}, [1, 2], "x", 1.5, null, true], "arguments": {"parameters": [{"name": "p", "value": "{{item}}"}]},
                  "onExit": "s"}],
            ]},
            {"name": "s", "inputs": {"parameters": [{"name": "p", "value": "1"}]}, "container": {"image": "i", "command": ["c"]}, "activeDeadlineSeconds": "10"},
            {"name": "wait", "suspend": {"duration": "2"}, "outputs": {"parameters": [{"name": "q", "valueFrom": {"supplied": {}, "default": "1"}}]}},
            {"name": "cached", "memoize": {"key": "k-1", "maxAge": "1h", "cache": {"configMap": {"name": "c"}}}, "container": {"image": "i", "command": ["c"]}},
            {"name": "daemon", "daemon": true, "container": {"image": "i", "command": ["c"]}},
            {"name": "r", "resource": {"action": "create", "manifest": "a: b", "setOwnerReference": true}},
            {"name": "data", "data": {"source": {"artifactPaths": {"name": "x", "s3": {"key": "k"}}}, "transformation": [{"expression": "data"}]}},
        ],
    });
    [dag, steps].map(|spec| json!({"metadata": {"name": "wf", "namespace": "ns", "uid": "u", "labels": {"a": "b"}}, "spec": spec})).into()
}

/// Pointers to all members.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            pointers(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| pointers(value, &format!("{at}/{i}"), found))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("oops")),
        Just(json!("é")),
        Just(json!("")),
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(i64::MAX)),
        Just(json!(1.5e300)),
        Just(json!(true)),
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["oops"])),
        Just(json!([null])),
        Just(json!([["a"]])),
        Just(json!({"a": "b"})),
        Just(json!({"": {"": []}})),
        Just(json!("{{")),
        Just(json!("}}{{=")),
        Just(json!("{{=1 +}}")),
        Just(json!("{{item.é}}")),
        Just(json!("\u{0}\u{1}0")),
        Just(json!("9223372036854775807h")),
        Just(json!("-5s")),
        Just(json!("((((")),
        Just(json!("a && b.é || !")),
        Just(json!("a,b=c")),
        Just(json!("main")),
        Just(json!("a")),
        Just(json!("{\"containers\": \"x\"}")),
        Just(json!("- - -")),
        Just(json!("99999999999999999999")),
        Just(json!("%s%n%é")),
    ]
}

fn runs(value: Value, restart: bool) {
    // What is no Workflow does not reach the engine.
    let Ok(object) = api::from_value::<Workflow>(value) else { return };
    let options = [validate::Options::default(), validate::Options { lint: true, ..Default::default() }];
    for options in options {
        _ = validate::workflow(&object, &NoTemplates, &options);
    }
    let config = Config { nodes_max: 300, nodes_per_event_max: 300, work_per_event_max: 5_000, ..Config::default() };
    let mut play = Play::new(object, config);
    for step in 0..60 {
        let Some(next) = play.possible().into_iter().next() else { break };
        play.happen(next, step % 7 == 3, |_| None);
        let found = play.engine.overlooked();
        assert!(found.is_empty(), "{found:?}");
        if restart && step % 5 == 2 && !play.engine.is_completed() {
            play.restart();
        }
    }
    if play.engine.is_completed() {
        _ = retry(&mut play.engine.object().clone(), &Retry::default(), None, play.now);
    }
}

#[test]
fn the_samples_run_as_they_are() {
    for sample in samples() {
        let object: Workflow = api::from_value(sample.clone()).expect("fits");
        let problems = validate::workflow(&object, &NoTemplates, &validate::Options::default());
        assert_eq!(problems, [], "a sample that is refused tries nothing");
        runs(sample.clone(), false);
        runs(sample, true);
    }
}

#[test]
fn each_member_alone_may_be_of_each_type() {
    let odd = [
        json!("oops"),
        json!(7),
        json!([]),
        json!({}),
        json!(["oops"]),
        json!([{"a": ["b"]}]),
        json!(true),
        json!("é{{x}}"),
    ];
    for sample in samples() {
        let mut members = Vec::new();
        pointers(&sample, "", &mut members);
        for pointer in members {
            for value in &odd {
                let mut changed = sample.clone();
                *changed.pointer_mut(&pointer).expect("a member") = value.clone();
                runs(changed, false);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn several_members_may_be_odd(
        sample in 0usize..2, changes in prop::collection::vec((any::<prop::sample::Index>(), odd()), 1..4), restart in any::<bool>(),
    ) {
        let mut value = samples().swap_remove(sample);
        for (index, odd) in changes {
            let mut members = Vec::new();
            pointers(&value, "", &mut members);
            *value.pointer_mut(index.get(&members).as_str()).expect("a member") = odd;
        }
        runs(value, restart);
    }
}

#[test]
fn a_claim_whose_metadata_is_no_map_is_refused() {
    for claim in [
        json!({"metadata": "oops", "spec": {"accessModes": ["ReadWriteOnce"]}}),
        json!("oops"),
        json!({"metadata": {"name": "x", "labels": "oops"}}),
        json!({"metadata": {"name": 7}}),
    ] {
        let spec = json!({"entrypoint": "m", "volumeClaimTemplates": [claim],
            "templates": [{"name": "m", "container": {"image": "alpine", "command": ["sh"]}}]});
        let play = Play::of(spec);
        assert_eq!(play.phase(), "Failed");
        assert!(play.message().starts_with("invalid spec: spec.volumeClaimTemplates[0]"), "{}", play.message());
    }
}

#[test]
fn a_claim_without_a_name_is_found_when_claims_are_made() {
    let good = json!({"metadata": {"name": "a"}, "spec": {}});
    for claim in
        [json!({"spec": {}}), json!({"metadata": {}}), json!({"metadata": {"name": ""}}), json!({"metadata": null})]
    {
        let spec = json!({"entrypoint": "m", "volumeClaimTemplates": [good, claim], "onExit": "m",
            "templates": [{"name": "m", "container": {"image": "alpine", "command": ["sh"]}}]});
        let play = Play::of(spec);
        assert_eq!(play.phase(), "Error");
        assert_eq!(play.message(), "pvc create error: volumeClaimTemplates[1].metadata.name is required");
        let status = &play.engine.object().status;
        assert!(status.nodes.is_empty() && status.persistent_volume_claims.is_empty() && status.finished_at.is_some());
    }
}

#[test]
fn names_of_nodes_are_compared_by_characters() {
    let spec = json!({"entrypoint": "m", "templates": [
        {"name": "m", "steps": [
            [{"name": "aaaaa", "template": "p", "continueOn": {"failed": true}}],
            [{"name": "b", "template": "p", "withItems": ["é"]}],
            [{"name": "c", "template": "p"}],
        ]},
        {"name": "p", "container": {"image": "i", "command": ["c"]}},
    ]});
    let mut play = Play::of(spec);
    // The é of the second name lies where the first name ends.
    play.end_pod("wf[0].aaaaa", "Failed");
    play.end_pod("wf[1].b(0:é)", "Succeeded");
    play.end_pod("wf[2].c", "Failed");
    assert_eq!(play.phase(), "Failed");
    let mut object = play.engine.object().clone();
    retry(&mut object, &Retry::default(), None, play.now).expect("is retried");
}
