//! Runs a workflow to its end, and asks what came of it.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use argosy_api::{
    message::{LookupKey, LookupKind, PodSummary},
    v1alpha1::{self as api, NodePhase, NodeStatus, Outputs, Parameter, Time},
};
use argosy_engine::Config;
use argosy_testkit::world::{self, Options, Oracle, Script};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// What a pod gives: its standard output, and the value of each output parameter that its template declares.
pub type Pod<'a> = (&'a str, &'a str);

/// A run that is over.
pub struct Run {
    pub object: api::Workflow,
    /// Manifests, by the name of their node.
    pods: BTreeMap<String, Value>,
}

/// Pods by the display name of their node; all others succeed and print nothing.
struct Scripted<'a> {
    outputs: &'a [Pod<'a>],
    failing: &'a [&'a str],
    manifests: RefCell<BTreeMap<String, Value>>,
}

impl Oracle for Scripted<'_> {
    fn script(&self, node: &NodeStatus, manifest: &Value, blank: PodSummary) -> Script {
        self.manifests.borrow_mut().insert(node.name.to_string(), manifest.clone());
        let text = self.outputs.iter().find(|(name, _)| node.display_name == *name).map(|(_, text)| *text);
        let fails = self.failing.iter().any(|name| node.display_name == *name);
        let mut pod = PodSummary { phase: "Pending".into(), ..blank };
        pod.containers = vec![Default::default()];
        pod.containers[0].name = "main".to_owned();
        let mut running = pod.clone();
        running.phase = "Running".into();
        let mut ended = running.clone();
        ended.phase = if fails { "Failed" } else { "Succeeded" }.into();
        ended.containers[0].phase = if fails { NodePhase::Failed } else { NodePhase::Succeeded };
        ended.containers[0].exit_code = Some(i32::from(fails));
        ended.containers[0].reason = if fails { "Error" } else { "Completed" }.to_owned();
        ended.outputs = text.map(|text| Outputs {
            result: Some(text.to_owned()),
            parameters: vec![Parameter { name: "o".to_owned(), value: Some(text.into()), ..Default::default() }],
            ..Default::default()
        });
        let after = SignedDuration::from_millis;
        vec![(after(10), pod), (after(200), running), (after(400), ended)]
    }
}

/// Runs the last document of `yaml`; the others are there to be looked up. The workflow is called `wf`.
pub fn run(yaml: &str, outputs: &[Pod<'_>]) -> Run {
    run_with(yaml, outputs, &[], Config::default())
}

pub fn run_with(yaml: &str, outputs: &[Pod<'_>], failing: &[&str], config: Config) -> Run {
    let documents: Vec<Value> = yaml.split("\n---\n").map(|text| serde_saphyr::from_str(text).expect("YAML")).collect();
    let (workflow, others) = documents.split_last().expect("a workflow");
    let mut object: api::Workflow = api::from_value(workflow.clone()).expect("a workflow");
    object.metadata.name = "wf".to_owned();
    drive(object, others, outputs, failing, config)
}

/// Goes on with a workflow.
pub fn drive(
    mut object: api::Workflow,
    documents: &[Value],
    outputs: &[Pod<'_>],
    failing: &[&str],
    config: Config,
) -> Run {
    let started_at: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a moment");
    object.metadata.namespace = "argo".to_owned();
    object.metadata.uid = "u-1".to_owned();
    object.metadata.creation_timestamp = Some(Time::new(started_at));
    let key = |document: &Value| {
        let (kind, namespace) = match document["kind"].as_str() {
            Some("WorkflowTemplate") => (LookupKind::WorkflowTemplate, "argo"),
            Some("ConfigMap") => (LookupKind::ConfigMap, "argo"),
            other => panic!("a document of kind {other:?}"),
        };
        let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        LookupKey { kind, namespace: namespace.to_owned(), name, data_key: None }
    };
    let oracle = Scripted { outputs, failing, manifests: RefCell::default() };
    let options = Options {
        config: Arc::new(config),
        documents: documents.iter().map(|document| (key(document), document.clone())).collect(),
        started_at,
        restart: false,
        fold: false,
        events_max: 10_000,
    };
    let run = world::run(object, &oracle, &options);
    assert_eq!(run.end, world::End::Completed, "{:?}", run.object.status);
    assert!(run.broken.is_empty(), "{:?}", run.broken);
    Run { object: run.object, pods: oracle.manifests.into_inner() }
}

impl Run {
    /// `Phase` or `Phase: message` of the workflow.
    pub fn end(&self) -> String {
        told(self.object.status.phase.as_str(), &self.object.status.message)
    }

    pub fn find(&self, name: &str) -> &NodeStatus {
        let found = self.object.status.nodes.values().find(|n| n.name == name);
        found.unwrap_or_else(|| panic!("no node {name} in {:?}", self.names()))
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.object.status.nodes.values().map(|n| n.name.to_string()).collect();
        names.sort();
        names
    }

    /// `Phase` or `Phase: message` of a node.
    pub fn node(&self, name: &str) -> String {
        let node = self.find(name);
        told(&node.phase.to_string(), &node.message)
    }

    /// The value of a node's input parameter.
    pub fn input(&self, node: &str, name: &str) -> String {
        let inputs = self.find(node).inputs.as_ref();
        let parameter = inputs.and_then(|i| i.parameters.iter().find(|p| p.name == name));
        parameter.and_then(|p| p.value.as_ref()).map(ToString::to_string).unwrap_or_else(|| format!("no input {name}"))
    }

    /// The input artifact of a node, as JSON.
    pub fn artifact(&self, node: &str, name: &str) -> Value {
        let inputs = self.find(node).inputs.as_ref();
        let artifact = inputs.and_then(|i| i.artifacts.iter().find(|a| a.name == name));
        serde_json::to_value(artifact).expect("an artifact")
    }

    /// The value of a node's output parameter.
    pub fn output(&self, node: &str, name: &str) -> String {
        let outputs = self.find(node).outputs.as_ref();
        let parameter = outputs.and_then(|o| o.parameters.iter().find(|p| p.name == name));
        parameter.and_then(|p| p.value.as_ref()).map(ToString::to_string).unwrap_or_else(|| format!("no output {name}"))
    }

    /// The arguments of the pod's main container, joined by spaces.
    pub fn args(&self, node: &str) -> String {
        let containers = self.pods[node]["spec"]["containers"].as_array().expect("containers");
        let main = containers.iter().find(|c| c["name"] == "main").expect("main");
        let list = |key: &str| main[key].as_array().cloned().unwrap_or_default();
        let texts: Vec<String> = list("args").iter().map(|a| a.as_str().unwrap_or_default().to_owned()).collect();
        texts.join(" ")
    }

    pub fn manifest(&self, node: &str) -> &Value {
        &self.pods[node]
    }
}

fn told(phase: &str, message: &str) -> String {
    if message.is_empty() { phase.to_owned() } else { format!("{phase}: {message}") }
}
