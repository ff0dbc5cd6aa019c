//! The variables that steps and tasks see of each other: `steps.NAME.*` and `tasks.NAME.*`.
//!
//! Looked up when asked for, so that a reference costs the same in a DAG of ten tasks and of ten thousand.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{Artifact, NodePhase, NodeStatus, NodeType, Template, WorkflowStep};
use argosy_template::{
    Entry,
    tags::{self, Layered, Scope},
};
use serde_json::Value;

use crate::{
    Workflow,
    json::json,
    state::{Body, FrameId, TemplateScope},
    values::{
        aggregate,
        args::{has_location, input_variables},
        expressions,
    },
};

/// The variables inside a Steps or DAG frame: its inputs, and what its steps or tasks have brought so far.
pub(crate) struct LocalScope<'a> {
    workflow: &'a Workflow,
    frame: FrameId,
    inputs: BTreeMap<String, String>,
    /// What the template's own texts can name: the node's name, the step's, the attempt before.
    locals: OnceCell<BTreeMap<String, String>>,
    /// All of them, for expressions, which need to know what exists.
    all: OnceCell<BTreeSet<String>>,
}

impl<'a> LocalScope<'a> {
    pub fn new(workflow: &'a Workflow, frame: FrameId) -> Self {
        let inputs =
            workflow.frame(frame).map(|f| input_variables(&f.template.inputs, &f.template)).unwrap_or_default();
        Self { workflow, frame, inputs, locals: OnceCell::new(), all: OnceCell::new() }
    }

    fn locals(&self) -> &BTreeMap<String, String> {
        self.locals.get_or_init(|| {
            let Some(frame) = self.workflow.frame(self.frame) else { return BTreeMap::new() };
            let mut locals = self.workflow.locals(&frame.call, &frame.template, false);
            let has_gone_on = frame.children().is_some_and(|children| children.next() > children.open());
            if frame.call.attempt.is_some() && has_gone_on {
                // Argo asks again, and the last attempt is this one then.
                let running = [("exitCode", "0"), ("status", "Running"), ("message", "")];
                let running = running.map(|(name, value)| (format!("lastRetry.{name}"), value.to_owned()));
                locals.extend(running);
            }
            locals
        })
    }

    fn all(&self) -> &BTreeSet<String> {
        self.all.get_or_init(|| {
            let mut all: BTreeSet<String> = self.inputs.keys().chain(self.locals().keys()).cloned().collect();
            for name in self.workflow.step_names(self.frame) {
                all.extend(self.workflow.step_variables(self.frame, &name));
            }
            all
        })
    }
}

impl Scope for LocalScope<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(value) = self.inputs.get(name) {
            return Some(Cow::Borrowed(value));
        }
        let of_step = self.workflow.step_variable(self.frame, name).map(Cow::Owned);
        of_step.or_else(|| self.locals().get(name).map(|value| Cow::Borrowed(value.as_str())))
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.all().iter().map(String::as_str))
    }

    fn keys_under<'s>(&'s self, root: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        match root.split('.').next() {
            Some("steps" | "tasks") => {
                let is_under =
                    move |key: &&str| key.strip_prefix(root).is_some_and(|r| r.is_empty() || r.starts_with('.'));
                Box::new(self.keys().filter(is_under))
            }
            _ => Box::new(self.inputs.keys_under(root).chain(self.locals().keys_under(root))),
        }
    }

    fn entry(&self, name: &str) -> Option<Entry<'_>> {
        match self.get(name) {
            Some(text) => Some(Entry::Text(text)),
            None => self.workflow.is_absent(self.frame, name).then_some(Entry::Absent),
        }
    }
}

/// `steps.NAME.REST` or `tasks.NAME.REST`, as NAME and REST.
fn split(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("steps.").or_else(|| name.strip_prefix("tasks."))?.split_once('.')
}

impl Workflow {
    /// Names of the steps or tasks of a frame.
    fn step_names(&self, frame: FrameId) -> Vec<String> {
        let mut names: Vec<String> = match self.frame(frame).map(|f| &f.body) {
            Some(Body::Steps(steps)) => steps.names().cloned().collect(),
            Some(Body::Dag(dag)) => dag.names().map(ToString::to_string).collect(),
            Some(Body::Leaf | Body::Retry(_)) | None => Vec::new(),
        };
        names.sort();
        names
    }

    fn step_prefix(&self, frame: FrameId) -> &'static str {
        match self.frame(frame).map(|f| &f.body) {
            Some(Body::Dag(_)) => "tasks",
            Some(Body::Steps(_) | Body::Leaf | Body::Retry(_)) | None => "steps",
        }
    }

    /// The id of the node of a step or task, whether it exists or not; and of the node that holds the items of its loop.
    fn step_node(&self, frame: FrameId, step: &str) -> Option<(ArcStr, ArcStr)> {
        let owner = self.frame(frame)?;
        match &owner.body {
            Body::Steps(steps) => {
                let group = format!("{}[{}]", owner.call.name, steps.group_of(step)?);
                Some((self.book.id_of(&format!("{group}.{step}")), self.book.id_of(&group)))
            }
            Body::Dag(dag) => {
                dag.task_named(step)?;
                let id = self.task_id(frame, step);
                Some((id.clone(), id))
            }
            Body::Leaf | Body::Retry(_) => None,
        }
    }

    /// The items of a step's loop that exist, in the order of their index.
    fn items_of(&self, holder: &str, step: &str) -> Vec<&NodeStatus> {
        let Some(holder) = self.book.node(holder) else { return Vec::new() };
        let mut items: Vec<(usize, &NodeStatus)> = holder
            .children
            .iter()
            .filter_map(|id| {
                let node = self.book.node(id)?;
                Some((aggregate::index_of(&node.display_name, &node.name, step)?, node))
            })
            .collect();
        items.sort_by_key(|(index, _)| *index);
        items.into_iter().map(|(_, node)| node).collect()
    }

    /// Why the results of a loop cannot be put into a list: one of them is no JSON. `holder`: the node that has the items as
    /// children.
    pub(crate) fn results_problem(&self, holder: &str, step: &str) -> Option<String> {
        aggregate::results_problem(&self.items_of(holder, step))
    }

    fn step_variable(&self, frame: FrameId, name: &str) -> Option<String> {
        let (step, rest) = split(name)?;
        let (id, holder) = self.step_node(frame, step)?;
        match self.book.node(&id) {
            Some(node) if node.r#type == NodeType::TaskGroup => {
                aggregate::variable(&self.items_of(&holder, step), rest).or_else(|| node_variable(node, rest))
            }
            Some(node) => {
                node_variable(self.told_of(node), rest).or_else(|| self.output_default(frame, step, node, rest))
            }
            None => aggregate::variable(&self.items_of(&holder, step), rest),
        }
    }

    /// Names of all that is known of a step, and of the outputs that it does not have because it was skipped.
    fn step_variables(&self, frame: FrameId, step: &str) -> Vec<String> {
        let Some((id, holder)) = self.step_node(frame, step) else { return Vec::new() };
        let prefix = self.step_prefix(frame);
        let mut found = self.book.node(&id).map(|node| node_variables(self.told_of(node))).unwrap_or_default();
        if self.book.node(&id).is_some_and(|n| matches!(n.phase, NodePhase::Skipped | NodePhase::Omitted)) {
            found.extend(self.declared_outputs(frame, step));
        }
        found.extend(aggregate::variables(&self.items_of(&holder, step)));
        found.into_iter().map(|rest| format!("{prefix}.{step}.{rest}")).collect()
    }

    /// The node that the variables of a step tell of: of a retry it is the last attempt.
    fn told_of<'n>(&'n self, node: &'n NodeStatus) -> &'n NodeStatus {
        let last = || self.attempts_of(&node.id).last().and_then(|id| self.book.node(id));
        if node.r#type == NodeType::Retry { last().unwrap_or(node) } else { node }
    }

    fn declared_outputs(&self, frame: FrameId, step: &str) -> Vec<String> {
        let Some(owner) = self.frame(frame) else { return Vec::new() };
        let template =
            find_step(&owner.template, step).and_then(|step| self.peek_template(&step, &owner.inner_scope()).ok());
        let parameters = template.iter().flat_map(|t| &t.outputs.parameters);
        let parameters = parameters.map(|p| format!("outputs.parameters.{}", p.name));
        parameters.chain(["outputs.result".to_owned()]).collect()
    }

    fn declared_artifacts(&self, frame: FrameId, step: &str) -> Vec<String> {
        let Some(owner) = self.frame(frame) else { return Vec::new() };
        let template =
            find_step(&owner.template, step).and_then(|step| self.peek_template(&step, &owner.inner_scope()).ok());
        template.iter().flat_map(|t| &t.outputs.artifacts).map(|artifact| artifact.name.clone()).collect()
    }

    /// The output of a step that was skipped is the default that its template declares.
    fn output_default(&self, frame: FrameId, step: &str, node: &NodeStatus, rest: &str) -> Option<String> {
        if !matches!(node.phase, NodePhase::Skipped | NodePhase::Omitted) {
            return None;
        }
        let parameter = rest.strip_prefix("outputs.parameters.")?;
        let owner = self.frame(frame)?;
        let step = find_step(&owner.template, step)?;
        let template = self.peek_template(&step, &owner.inner_scope()).ok()?;
        let output = template.outputs.parameters.iter().find(|p| p.name == parameter)?;
        output.value_from.as_ref()?.default.as_ref().map(ToString::to_string)
    }

    /// True when `name` is an output of a step that was skipped or omitted, and has no default.
    pub(crate) fn is_absent(&self, frame: FrameId, name: &str) -> bool {
        let Some((step, rest)) = split(name) else { return false };
        let node = self.step_node(frame, step).and_then(|(id, _)| self.book.node(&id));
        let skipped = node.is_some_and(|n| matches!(n.phase, NodePhase::Skipped | NodePhase::Omitted));
        skipped && rest.starts_with("outputs.") && self.step_variable(frame, name).is_none()
    }

    /// A template, without keeping it: for a look at its inputs or outputs.
    pub(crate) fn peek_template(&self, step: &WorkflowStep, scope: &TemplateScope) -> Result<Arc<Template>, String> {
        if let Some(inline) = &step.inline {
            return Ok(Arc::new(inline.as_ref().clone()));
        }
        match &step.template_ref {
            Some(r) if r.cluster_scope => {
                self.find_template(&TemplateScope::Cluster(r.name.as_str().into()), &r.template)
            }
            Some(r) => self.find_template(&TemplateScope::Namespaced(r.name.as_str().into()), &r.template),
            None => self.find_template(scope, &step.template),
        }
    }

    /// The artifact that an argument or an output takes `from` elsewhere, under the argument's name.
    ///
    /// Errors: nothing by that name, or nothing there.
    pub(crate) fn resolve_artifact(&self, frame: FrameId, wanted: &Artifact) -> Result<Artifact, String> {
        let found = if wanted.from_expression.is_empty() {
            let name = wanted.from.trim();
            let name = name.strip_prefix("{{").and_then(|n| n.strip_suffix("}}")).unwrap_or(name).trim();
            self.artifact_named(frame, name).ok_or_else(|| format!("Unable to resolve: \"{name}\""))?
        } else {
            self.artifact_by_expression(frame, &wanted.from_expression)?
        };
        let mut artifact = Artifact { name: wanted.name.clone(), ..found };
        artifact.path.clone_from(&wanted.path);
        artifact.optional = wanted.optional;
        artifact.global_name.clone_from(&wanted.global_name);
        if !wanted.sub_path.is_empty() {
            let scope = LocalScope::new(self, frame);
            let options = tags::Options::once();
            let sub = tags::render(&wanted.sub_path, &Layered::new([&scope as &dyn Scope, &self.globals]), &options)
                .map_err(|e| e.to_string())?;
            append_key(&mut artifact, &sub)?;
        }
        Ok(artifact)
    }

    fn artifact_named(&self, frame: FrameId, name: &str) -> Option<Artifact> {
        let named =
            |artifacts: &[Artifact], name: &str| artifacts.iter().find(|a| a.name == name && has_location(a)).cloned();
        if let Some(input) = name.strip_prefix("inputs.artifacts.") {
            // An optional input may have no location; whoever takes it on decides what that means.
            return self.frame(frame)?.template.inputs.artifacts.iter().find(|a| a.name == input).cloned();
        }
        if let Some(output) = name.strip_prefix("workflow.outputs.artifacts.") {
            return named(&self.book.status().outputs.as_ref()?.artifacts, output);
        }
        let (step, rest) = split(name)?;
        let artifact = rest.strip_prefix("outputs.artifacts.")?;
        let (id, _) = self.step_node(frame, step)?;
        if self.has_empty_artifacts(frame, &id) {
            return Some(Artifact::default());
        }
        let node = self.book.node(&id)?;
        let outputs = &node.outputs.as_ref()?.artifacts;
        match node.r#type {
            // It may have taken on one that is empty.
            NodeType::Steps | NodeType::Dag => outputs.iter().find(|a| a.name == artifact).cloned(),
            _ => named(outputs, artifact),
        }
    }

    /// The artifacts of a step that was skipped are there, and empty; those of a task are not.
    fn has_empty_artifacts(&self, frame: FrameId, node_id: &str) -> bool {
        let is_steps = self.frame(frame).is_some_and(|f| matches!(f.body, Body::Steps(_)));
        is_steps && self.book.phase_of(node_id) == NodePhase::Skipped
    }

    fn artifact_by_expression(&self, frame: FrameId, text: &str) -> Result<Artifact, String> {
        let scope = LocalScope::new(self, frame);
        let layered = Layered::new([&scope as &dyn Scope, &self.globals]);
        let mut environment = expressions::environment(&layered);
        let prefix = self.step_prefix(frame);
        for step in self.step_names(frame) {
            let Some(node) = self.step_node(frame, &step).and_then(|(id, _)| self.book.node(&id)) else { continue };
            if self.has_empty_artifacts(frame, &node.id) {
                for name in self.declared_artifacts(frame, &step) {
                    put(&mut environment, &[prefix, &step, "outputs", "artifacts", &name], json(&Artifact::default()));
                }
            }
            for artifact in node.outputs.iter().flat_map(|o| &o.artifacts) {
                put(&mut environment, &[prefix, &step, "outputs", "artifacts", &artifact.name], json(artifact));
            }
        }
        for artifact in self.frame(frame).iter().flat_map(|f| &f.template.inputs.artifacts) {
            put(&mut environment, &["inputs", "artifacts", &artifact.name], json(artifact));
        }
        let text = text.trim();
        let text = text.strip_prefix("{{=").and_then(|t| t.strip_suffix("}}")).unwrap_or(text);
        let value = expressions::eval(text, &environment, &self.globals)?;
        argosy_api::v1alpha1::from_value(value).map_err(|_| format!("Unable to resolve: \"{text}\""))
    }
}

/// A step or task of a template, by name.
fn find_step(template: &Template, name: &str) -> Option<WorkflowStep> {
    if let Some(dag) = &template.dag {
        let task = dag.tasks.iter().find(|t| t.name == name)?;
        return Some(WorkflowStep {
            template: task.template.clone(),
            template_ref: task.template_ref.clone(),
            inline: task.inline.clone(),
            ..Default::default()
        });
    }
    template.steps.iter().flat_map(|g| &g.steps).find(|s| s.name == name).cloned()
}

fn put(environment: &mut Value, path: &[&str], leaf: Value) {
    let mut at = environment;
    for key in path {
        if !at.is_object() {
            *at = Value::Object(Default::default());
        }
        let Some(map) = at.as_object_mut() else { return };
        at = map.entry((*key).to_owned()).or_insert(Value::Null);
    }
    *at = leaf;
}

/// Adds a sub path to the key of an artifact that has one.
fn append_key(artifact: &mut Artifact, sub_path: &str) -> Result<(), String> {
    let location = &mut artifact.location;
    let key = if let Some(s3) = &mut location.s3 {
        &mut s3.key
    } else if let Some(gcs) = &mut location.gcs {
        &mut gcs.key
    } else if let Some(oss) = &mut location.oss {
        &mut oss.key
    } else if let Some(azure) = &mut location.azure {
        &mut azure.blob
    } else {
        return Err(format!("artifact {} has no key that subPath could be added to", artifact.name));
    };
    *key = format!("{}/{}", key.trim_end_matches('/'), sub_path.trim_start_matches('/'));
    Ok(())
}

/// What is known of a node under a name after `steps.NAME.`.
fn node_variable(node: &NodeStatus, rest: &str) -> Option<String> {
    let outputs = node.outputs.as_ref();
    match rest {
        "id" => Some(node.id.to_string()),
        "status" => (node.phase != NodePhase::Unknown).then(|| node.phase.to_string()),
        "startedAt" => node.started_at.map(|t| t.to_string()),
        "finishedAt" => node.finished_at.map(|t| t.to_string()),
        "ip" => (!node.pod_ip.is_empty()).then(|| node.pod_ip.to_string()),
        "hostNodeName" => (!node.host_node_name.is_empty()).then(|| node.host_node_name.to_string()),
        "exitCode" => outputs?.exit_code.clone(),
        "outputs.result" => outputs?.result.clone(),
        _ => {
            let name = rest.strip_prefix("outputs.parameters.")?;
            outputs?.parameters.iter().find(|p| p.name == name)?.value.as_ref().map(ToString::to_string)
        }
    }
}

fn node_variables(node: &NodeStatus) -> Vec<String> {
    let fixed = ["id", "status", "startedAt", "finishedAt", "ip", "hostNodeName", "exitCode", "outputs.result"]
        .map(str::to_owned);
    let parameters = node.outputs.iter().flat_map(|o| &o.parameters).map(|p| format!("outputs.parameters.{}", p.name));
    fixed.into_iter().chain(parameters).filter(|rest| node_variable(node, rest).is_some()).collect()
}
