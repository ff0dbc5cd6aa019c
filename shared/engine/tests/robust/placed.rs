//! Which pods are put off, and where they may not run.

use argosy_api::{
    message::{ClusterCommand, Observed},
    v1alpha1::NodePhase,
};
use argosy_engine::Command;
use serde_json::{Value, json};

use crate::play::{Play, at, pod};

/// Manifests of the last step's pods.
fn manifests(play: &Play) -> Vec<Value> {
    let created = play.last.iter().filter_map(|command| match command {
        Command::Cluster { command: ClusterCommand::CreatePod { manifest, .. }, .. } => Some(manifest.to_value()),
        _ => None,
    });
    created.collect()
}

/// The attempt's pod fails on this host.
fn fail_on(play: &mut Play, node: &str, host: &str) {
    let id = play.node(node).unwrap_or_else(|| panic!("no node {node}")).id.to_string();
    let name = play.pods.iter().find(|(_, (of, _))| *of == id).map(|(name, _)| name.clone()).expect("a pod");
    play.pods.insert(name.clone(), (id.clone(), "Failed"));
    let failed = argosy_api::message::PodSummary { host_node_name: host.into(), ..pod(&id, &name, "Failed") };
    play.feed(Observed::PodChanged { pod: Box::new(failed) });
}

fn avoided(manifest: &Value) -> Value {
    let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    manifest.pointer(&format!("{terms}/0/matchExpressions/0/values")).cloned().unwrap_or_default()
}

#[test]
fn the_next_attempt_avoids_the_hosts_of_failed_ones() {
    let strategy = json!({"limit": 5, "affinity": {"nodeAntiAffinity": {}}});
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "retryStrategy": strategy, "container": {"image": "i", "command": ["c"], "args": ["{{retries}}"]}},
    ]}));
    fail_on(&mut play, "wf(0)", "b");
    assert_eq!(avoided(&manifests(&play)[0]), json!(["b"]));
    fail_on(&mut play, "wf(1)", "a");
    let next = manifests(&play).remove(0);
    assert_eq!(avoided(&next), json!(["a", "b"]));
    assert!(next["spec"]["containers"].to_string().contains(r#""2""#), "its own variables are put in: {next}");
    // Whoever takes the workflow up wishes for the same.
    play.restart();
    assert_eq!(manifests(&play), [next]);
    // One that nobody has placed has no host.
    fail_on(&mut play, "wf(2)", "");
    assert_eq!(avoided(&manifests(&play)[0]), json!(["a", "b"]));
}

#[test]
fn pods_of_a_template_that_is_retried_avoid_the_hosts_of_its_pods() {
    let strategy = json!({"limit": 5, "affinity": {"nodeAntiAffinity": {}}});
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "retryStrategy": strategy, "steps": [[{"name": "a", "template": "pod"}]]},
        {"name": "pod", "container": {"image": "i", "command": ["c"]}},
    ]}));
    fail_on(&mut play, "wf(0)[0].a", "h");
    assert_eq!(avoided(&manifests(&play)[0]), json!(["h"]));
    // Without the affinity all pods of a template are alike.
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "retryStrategy": {"limit": 5}, "container": {"image": "i", "command": ["c"]}},
    ]}));
    fail_on(&mut play, "wf(0)", "h");
    assert_eq!(manifests(&play)[0].pointer("/spec/affinity"), None);
}

#[test]
fn a_pod_that_is_pending_for_too_long_ends_its_node_and_one_that_runs_goes_on() {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "dag": {"tasks": [{"name": "a", "template": "pod"}, {"name": "b", "template": "pod"}]}},
        {"name": "pod", "pendingTimeout": "10s", "timeout": "1h", "container": {"image": "i", "command": ["c"]}},
    ]}));
    let timers: Vec<_> = play.timers.iter().map(|(key, due)| (key.clone(), *due)).collect();
    assert!(timers.len() == 2 && timers.iter().all(|(_, due)| *due == at(10)), "{timers:?}");
    let id = play.node("wf.b").expect("b").id.to_string();
    let name = play.pods.iter().find(|(_, (of, _))| *of == id).map(|(name, _)| name.clone()).expect("its pod");
    play.now = at(5);
    play.pods.insert(name.clone(), (id.clone(), "Running"));
    play.feed(Observed::PodChanged { pod: Box::new(pod(&id, &name, "Running")) });
    play.restart();
    play.now = at(10);
    for (key, _) in timers {
        play.feed(Observed::TimerFired { key });
    }
    let told = |play: &Play, name: &str| play.node(name).map(|node| (node.phase, node.message.to_string()));
    assert_eq!(told(&play, "wf.a"), Some((NodePhase::Failed, "Step exceeded its deadline".to_owned())));
    assert_eq!(told(&play, "wf.b").map(|(phase, _)| phase), Some(NodePhase::Running));
    play.run();
    assert_eq!(play.phase(), "Failed");
}

#[test]
fn each_attempt_has_its_own_time_to_be_pending() {
    let mut play = Play::of(json!({"entrypoint": "main", "templates": [
        {"name": "main", "retryStrategy": {"limit": 1}, "pendingTimeout": "10s", "container": {"image": "i", "command": ["c"]}},
    ]}));
    play.now = at(10);
    let key = play.timers.keys().next().cloned().expect("a timer");
    play.feed(Observed::TimerFired { key });
    let second: Vec<_> = play.timers.values().copied().collect();
    assert_eq!((second, play.node("wf(1)").map(|n| n.phase)), (vec![at(20)], Some(NodePhase::Pending)));
    play.now = at(20);
    let key = play.timers.keys().next().cloned().expect("a timer");
    play.feed(Observed::TimerFired { key });
    assert_eq!((play.phase().as_str(), play.message()), ("Failed", "No more retries left"));
}

#[test]
fn a_budget_for_disruptions_is_there_before_the_pods_and_goes_with_the_end() {
    let spec = json!({"entrypoint": "main", "podDisruptionBudget": {"minAvailable": "{{workflow.parameters.n}}"},
        "arguments": {"parameters": [{"name": "n", "value": "90%"}]},
        "templates": [{"name": "main", "container": {"image": "i", "command": ["c"]}}]});
    let mut play = Play::of(spec);
    let wishes = |play: &Play| -> Vec<String> {
        let told = play.last.iter().filter_map(|command| match command {
            Command::Cluster { command: ClusterCommand::CreateObject { manifest }, .. } => Some(manifest.to_string()),
            Command::Cluster { command: ClusterCommand::DeleteObject { resource_kind, name, .. }, .. } => {
                Some(format!("delete {resource_kind} {name}"))
            }
            Command::Cluster { command, .. } => Some(command.kind().to_owned()),
            _ => None,
        });
        told.collect()
    };
    let told = wishes(&play);
    let made: Value = serde_json::from_str(&told[0]).expect("an object");
    assert_eq!(told[1..], ["createPod"]);
    assert_eq!((&made["kind"], &made["metadata"]["name"]), (&json!("PodDisruptionBudget"), &json!("wf")));
    let owner = &made["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["uid"], &owner["controller"]), (&json!("u"), &json!(true)));
    let expected =
        json!({"minAvailable": "90%", "selector": {"matchLabels": {"workflows.argoproj.io/workflow": "wf"}}});
    assert_eq!(made["spec"], expected);
    play.restart();
    assert!(!wishes(&play).iter().any(|wish| wish.starts_with('{')), "it is made once");
    play.end_pod("wf", "Succeeded");
    assert!(wishes(&play).contains(&"delete PodDisruptionBudget wf".to_owned()), "{:?}", wishes(&play));

    // Its owner may select others. What the API refuses is an error of the workflow.
    let spec = json!({"entrypoint": "main", "podDisruptionBudget": {"selector": {}, "maxUnavailable": 1},
        "templates": [{"name": "main", "container": {"image": "i", "command": ["c"]}}]});
    let mut play = Play::of(spec);
    assert!(wishes(&play)[0].contains(r#""selector":{}"#), "{:?}", wishes(&play));
    play.feed(Observed::PodRejected { node_id: "wf".to_owned(), message: "no".to_owned() });
    assert_eq!((play.phase().as_str(), play.message()), ("Error", "error in entry template execution: no"));
}
