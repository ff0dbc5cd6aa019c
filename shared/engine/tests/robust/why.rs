//! What a workflow says of why it waits.

use argosy_engine::ReasonKind;
use serde_json::{Value, json};

use crate::play::Play;

/// `name: reason` of all that waits.
fn reasons(play: &Play) -> Vec<String> {
    play.engine.reasons().iter().map(|reason| format!("{}: {}", reason.node_name, reason.text)).collect()
}

fn templates(main: Value) -> Value {
    let pod = json!({"image": "i", "command": ["c"]});
    json!([main, {"name": "pod", "container": pod}, {"name": "gate", "suspend": {}},
        {"name": "nap", "suspend": {"duration": "30s"}},
        {"name": "again", "container": pod, "retryStrategy": {"limit": 2, "backoff": {"duration": "1m"}}}])
}

#[test]
fn each_node_that_waits_says_what_for() {
    let main = json!({"name": "main", "dag": {"tasks": [
        {"name": "a", "template": "again"}, {"name": "b", "template": "gate"}, {"name": "c", "template": "nap"},
        {"name": "d", "template": "pod", "depends": "b && c"}, {"name": "e", "template": "pod", "depends": "d"}]}});
    let mut play = Play::of(json!({"entrypoint": "main", "templates": templates(main)}));
    assert_eq!(
        reasons(&play),
        [
            "wf.a(0): its pod `wf-again-669262296` has not started yet",
            "wf.b: it is suspended until a person resumes it",
            "wf.c: it is suspended for a while",
            "wf.d: it comes after b, c",
            "wf.e: it comes after d",
        ]
    );
    play.end_pod("wf.a(0)", "Failed");
    let found = play.engine.reasons();
    assert_eq!((found[0].node_name.as_str(), found[0].kind), ("wf.a", ReasonKind::Time));
    assert!(found[0].until.is_some() && found[2].until.is_some());
    // Another owner tells the same.
    let told = reasons(&play);
    play.restart();
    assert_eq!(reasons(&play), told);
}

#[test]
fn limits_say_who_uses_them_up() {
    let main = json!({"name": "main", "parallelism": 1, "steps": [
        [{"name": "a", "template": "pod", "withItems": [1, 2, 3]}], [{"name": "b", "template": "pod"}]]});
    let mut play = Play::of(json!({"entrypoint": "main", "templates": templates(main)}));
    let used = "`parallelism: 1` of wf is used up by wf[0].a(0:1)";
    assert_eq!(
        reasons(&play)[1..],
        [
            format!("wf[0].a(1:2): {used}"),
            format!("wf[0].a(2:3): {used}"),
            "wf[1].b: it comes after the steps of [0]".to_owned(),
        ]
    );
    play.run();
    assert_eq!(reasons(&play), [""; 0]);
}
