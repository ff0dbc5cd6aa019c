//! The table `operate.json`: workflows brought step by step to a state, and what must then be true of them.
//!
//! One case is one or more workflows; a step reconciles one, applies or patches objects, or sets the phase of pods.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use argosy_api::{
    message::{ClusterCommand, LockOwner, LookupKey, LookupKind, Observed, PodSummary},
    names,
    v1alpha1::{self as api, Time},
};
use argosy_engine::{Command, Config, Event, TemplateReferencing, Workflow};
use argosy_testkit::locks::AllLocks;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::facts;

#[derive(clap::Args)]
pub struct Args {
    /// The conformance directory [default: $ARGOSY_CONFORMANCE, else ../shared/conformance beside the checkout]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Only these cases
    #[arg(long, num_args = 1.., value_name = "ID")]
    case: Vec<String>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    objects: Vec<String>,
    #[serde(default)]
    config: Value,
    steps: Vec<Step>,
    expect: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    reconcile: Value,
    apply: Vec<String>,
    patch: Value,
    pods: BTreeMap<String, Value>,
    workflow: Option<String>,
    expect: Value,
}

/// One workflow in the engine, and the pods that it asked for, by node name.
pub(crate) struct Run {
    engine: Workflow,
    begun: bool,
    sequence: u64,
    pub pods: BTreeMap<String, Value>,
}

pub(crate) struct World {
    config: Arc<Config>,
    objects: BTreeMap<LookupKey, Value>,
    pub runs: BTreeMap<String, Run>,
    locks: AllLocks,
    first: String,
    now: Timestamp,
}

/// Runs the table; true when every case holds.
pub fn run(args: &Args) -> Result<bool> {
    let dir = crate::cases::directory(args.dir.clone());
    let text = std::fs::read_to_string(dir.join("operate.json"))
        .with_context(|| format!("read operate.json in {}", dir.display()))?;
    let cases: Vec<Case> = serde_json::from_str(&text)?;
    let (mut passed, mut failed) = (0, 0);
    for case in cases.iter().filter(|c| args.case.is_empty() || args.case.contains(&c.id)) {
        let outcome = std::panic::catch_unwind(|| play(case)).unwrap_or_else(|_| bail!("the engine panicked"));
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("ok    {}", case.id);
            }
            Err(error) => {
                failed += 1;
                println!("FAIL  {}  {error:#}", case.id);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn play(case: &Case) -> Result<()> {
    let defaults = case.config.get("workflowDefaults").and_then(|d| d.get("spec")).cloned();
    let referencing = case.config.get("workflowRestrictions").and_then(|r| r.get("templateReferencing"));
    let restrictions = match referencing.and_then(Value::as_str) {
        None => None,
        Some("Strict") => Some(TemplateReferencing::Strict),
        Some("Secure") => Some(TemplateReferencing::Secure),
        Some(other) => bail!("templateReferencing {other} is not known"),
    };
    let workflow_defaults = defaults.map(api::from_value).transpose()?;
    let config = Config { workflow_defaults, restrictions, ..Config::default() };
    let mut world = World {
        config: Arc::new(config),
        objects: BTreeMap::new(),
        runs: BTreeMap::new(),
        locks: AllLocks::default(),
        first: String::new(),
        now: Timestamp::from_second(1_800_000_000)?,
    };
    for text in &case.objects {
        world.apply(text)?;
    }
    for (index, step) in case.steps.iter().enumerate() {
        world.step(step).with_context(|| format!("step {index}"))?;
    }
    facts::check(&world, None, &case.expect)
}

impl World {
    pub fn run(&self, name: Option<&str>) -> Result<&Run> {
        let name = name.unwrap_or(&self.first);
        self.runs.get(name).with_context(|| format!("no workflow {name}"))
    }

    fn apply(&mut self, text: &str) -> Result<()> {
        let mut value: Value = serde_saphyr::from_str(text)?;
        let name = value["metadata"]["name"].as_str().unwrap_or("my-wf").to_owned();
        let namespace = value["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let kind = match value["kind"].as_str().unwrap_or_default() {
            "Workflow" => {
                value["metadata"]["name"] = json!(name);
                value["metadata"]["namespace"] = json!(namespace);
                if value["metadata"].get("uid").is_none() {
                    value["metadata"]["uid"] = json!(format!("uid-{name}"));
                }
                let mut object: api::Workflow = api::from_value(value)?;
                object.metadata.creation_timestamp.get_or_insert(Time::new(self.now));
                if self.first.is_empty() {
                    self.first.clone_from(&name);
                }
                let engine = Workflow::new(self.config.clone(), object, 0);
                self.runs.insert(name, Run { engine, begun: false, sequence: 0, pods: BTreeMap::new() });
                return Ok(());
            }
            "WorkflowTemplate" => LookupKind::WorkflowTemplate,
            "ClusterWorkflowTemplate" => LookupKind::ClusterWorkflowTemplate,
            "ConfigMap" => LookupKind::ConfigMap,
            _ => return Ok(()),
        };
        let namespace = if kind == LookupKind::ClusterWorkflowTemplate { String::new() } else { namespace };
        self.objects.insert(LookupKey { kind, namespace, name, data_key: None }, value);
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        for text in &step.apply {
            self.apply(text)?;
        }
        let target = step.workflow.clone().unwrap_or_else(|| self.first.clone());
        if !step.patch.is_null() {
            self.patch(&target, &step.patch)?;
        }
        for (node, state) in &step.pods {
            self.set_pod(&target, node, state)?;
        }
        match &step.reconcile {
            Value::Bool(true) => self.reconcile(&target)?,
            Value::String(name) => self.reconcile(&name.clone())?,
            _ => {}
        }
        if step.expect.is_null() { Ok(()) } else { facts::check(self, Some(&target), &step.expect) }
    }

    fn reconcile(&mut self, name: &str) -> Result<()> {
        let now = self.now;
        let run = self.runs.get_mut(name).with_context(|| format!("no workflow {name}"))?;
        if run.begun {
            return Ok(());
        }
        run.begun = true;
        let object = run.engine.object().clone();
        if object.status.phase == api::WorkflowPhase::Unknown {
            self.feed(name, Observed::WorkflowChanged { object: Box::new(object), status_edited: true })
        } else {
            let commands = run.engine.resume(now);
            self.carry_out(name, commands)
        }
    }

    fn set_pod(&mut self, name: &str, node: &str, state: &Value) -> Result<()> {
        let summary = PodSummary {
            node_id: names::node_id(name, node),
            name: self
                .run(Some(name))?
                .pods
                .get(node)
                .and_then(|p| p["metadata"]["name"].as_str())
                .unwrap_or_default()
                .to_owned(),
            uid: format!("pod-{node}"),
            phase: state["phase"].as_str().unwrap_or_default().into(),
            message: state["message"].as_str().unwrap_or_default().to_owned(),
            deleted: state["delete"].as_bool() == Some(true),
            ready: true,
            ..Default::default()
        };
        self.feed(name, Observed::PodChanged { pod: Box::new(summary) })
    }

    fn patch(&mut self, name: &str, patch: &Value) -> Result<()> {
        let run = self.run(Some(name))?;
        let mut object = serde_json::to_value(run.engine.object())?;
        merge(&mut object, patch);
        let object: api::Workflow = api::from_value(object)?;
        if patch.get("status").is_none() && run.begun {
            return self.feed(name, Observed::WorkflowChanged { object: Box::new(object), status_edited: false });
        }
        let (sequence, pods) = (run.sequence, run.pods.clone());
        let engine = Workflow::new(self.config.clone(), object, sequence);
        self.runs.insert(name.to_owned(), Run { engine, begun: false, sequence, pods });
        Ok(())
    }

    fn feed(&mut self, name: &str, body: Observed) -> Result<()> {
        let now = self.now;
        let run = self.runs.get_mut(name).with_context(|| format!("no workflow {name}"))?;
        run.sequence += 1;
        let commands = run.engine.step(Event { sequence: run.sequence, at: now, body });
        self.carry_out(name, commands)
    }

    fn carry_out(&mut self, name: &str, commands: Vec<Command>) -> Result<()> {
        for command in commands {
            match command {
                Command::Lookup(key) => {
                    let object = self.objects.get(&LookupKey { data_key: None, ..key.clone() }).cloned();
                    self.feed(name, Observed::LookedUp { key, object, refused: String::new() })?;
                }
                Command::Cluster { command: ClusterCommand::CreatePod { manifest, .. }, .. } => {
                    let manifest = manifest.to_value();
                    let node = manifest
                        .pointer("/metadata/annotations/workflows.argoproj.io~1node-name")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned();
                    if let Some(run) = self.runs.get_mut(name) {
                        run.pods.insert(node, manifest);
                    }
                }
                Command::WantLocks { .. } | Command::ReleaseLocks { .. } => self.tell_locks(name, &command)?,
                Command::ArmTimer { key, due } if due <= self.now => self.feed(name, Observed::TimerFired { key })?,
                Command::Cluster { .. }
                | Command::ArmTimer { .. }
                | Command::DisarmTimer { .. }
                | Command::Publish(_) => {}
            }
        }
        Ok(())
    }
}

impl World {
    fn tell_locks(&mut self, name: &str, command: &Command) -> Result<()> {
        let meta = &self.run(Some(name))?.object().metadata;
        let of = LockOwner { uid: meta.uid.clone(), namespace: meta.namespace.clone(), name: meta.name.clone() };
        let objects = &self.objects;
        let limit = |namespace: &str, name: &str, key: &str| {
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            let map = LookupKey { kind: LookupKind::ConfigMap, namespace, name, data_key: None };
            Some(objects.get(&map)?["data"][key].as_str()?.to_owned())
        };
        for (uid, fact) in self.locks.obey(of, command, self.now, &limit) {
            let told = self.runs.iter().find(|(_, run)| run.object().metadata.uid == uid);
            if let Some(name) = told.map(|(name, _)| name.clone()) {
                self.feed(&name, fact)?;
            }
        }
        Ok(())
    }
}

impl Run {
    pub fn object(&self) -> &api::Workflow {
        self.engine.object()
    }
}

/// JSON merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(map) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
