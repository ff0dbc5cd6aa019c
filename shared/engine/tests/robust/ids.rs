//! Nodes of a large workflow whose ids would be the same.

use std::{collections::BTreeMap, sync::Arc};

use argosy_api::{
    message::{ClusterCommand, Observed, PodSummary},
    names,
    v1alpha1::{NodePhase, WorkflowPhase},
};
use serde_json::json;

use arcstr::ArcStr;
use argosy_engine::{Command, Event, Workflow};

/// Pods that are to be created, by node id.
fn pods(commands: &[Command]) -> BTreeMap<ArcStr, String> {
    let pod = |command: &Command| match command {
        Command::Cluster { node_id, command: ClusterCommand::CreatePod { manifest, .. } } => {
            Some((node_id.clone(), manifest.pod_name().to_owned()))
        }
        _ => None,
    };
    commands.iter().filter_map(pod).collect()
}

#[test]
fn nodes_whose_names_hash_alike_both_run() {
    assert_eq!(names::node_id("wf", "wf.aalvlo"), names::node_id("wf", "wf.aa4pda"));
    let object: argosy_api::v1alpha1::Workflow = serde_json::from_value(json!({
        "metadata": {"name": "wf", "namespace": "ns", "uid": "u"},
        "spec": {"entrypoint": "main", "templates": [
            {"name": "main", "dag": {"tasks": [
                {"name": "aalvlo", "template": "work"},
                {"name": "aa4pda", "template": "work"},
                {"name": "last", "template": "work", "dependencies": ["aa4pda"]},
            ]}},
            {"name": "work", "container": {"image": "i", "command": ["c"]}},
        ]},
    }))
    .expect("fits");
    let mut workflow = Workflow::new(Arc::default(), object.clone(), 0);
    let mut sequence = 0;
    let mut event = |body| {
        sequence += 1;
        Event { sequence, at: jiff::Timestamp::UNIX_EPOCH, body }
    };
    let started = Observed::WorkflowChanged { object: Box::new(object), status_edited: false };
    let first = pods(&workflow.step(event(started)));
    let id = ArcStr::from(names::node_id("wf", "wf.aalvlo"));
    let second = ArcStr::from(names::numbered_id(&id, 1));
    assert_eq!(first.keys().collect::<Vec<_>>(), [&id, &second]);
    assert_eq!(first[&second], format!("{}-1", first[&id]));

    let mut workflow = Workflow::new(Arc::default(), workflow.object().clone(), workflow.watermark());
    assert_eq!(pods(&workflow.resume(jiff::Timestamp::UNIX_EPOCH)), first);
    let mut waiting: Vec<(ArcStr, String)> = first.into_iter().collect();
    while let Some((node_id, name)) = waiting.pop() {
        let pod = PodSummary { node_id: node_id.to_string(), name, phase: "Succeeded".into(), ..Default::default() };
        waiting.extend(pods(&workflow.step(event(Observed::PodChanged { pod: Box::new(pod) }))));
    }
    let status = &workflow.object().status;
    assert_eq!(status.phase, WorkflowPhase::Succeeded);
    assert_eq!(status.nodes.values().filter(|n| n.phase == NodePhase::Succeeded).count(), 4);
}
