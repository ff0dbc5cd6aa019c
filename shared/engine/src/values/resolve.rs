//! Putting into a step what it refers to: outputs of earlier steps, inputs, variables of the workflow, items.
//!
//! Every text is rendered once, when its step begins, with all that can be named then. What is put in is data: tags in it
//! are not looked at.

use std::{collections::BTreeMap, sync::Arc};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{self as api, Artifact, LifecycleHook, Parameter, TemplateRef, WorkflowStep};
use argosy_template::{
    Scope,
    tags::{self, Layered, Options},
    when,
};

use crate::{
    Workflow,
    json::json,
    state::{Body, Frame, FrameId},
    tagged::mentions_tags,
    values::{
        args::input_variables,
        expand::{self, Failure, Item, Loop},
        scope::LocalScope,
    },
};

impl Workflow {
    /// The step with everything put in, or the steps that its loop stands for; and whether it is a loop. Its `when`
    /// comes first: if it is false, nothing else is resolved.
    ///
    /// Errors: a reference that has no value; an artifact that is not there; a loop without a list.
    pub(crate) fn resolve(
        &self,
        frame: FrameId,
        name: &ArcStr,
        step: &Arc<WorkflowStep>,
        before: usize,
    ) -> Result<(bool, Vec<Item>), Failure> {
        if !expand::is_loop(step) {
            let step = self.resolve_step(frame, step).map_err(|message| self.of_task(frame, name, message))?;
            return Ok((false, vec![Item { name: name.clone(), step }]));
        }
        let local = LocalScope::new(self, frame);
        let scope = Layered::new([&local as &dyn Scope, &self.globals]);
        if let Some(when) = expand::false_anyway(&step.when, &scope) {
            let outer = self.outside_steps(frame);
            return Ok((
                true,
                expand::skipped(name, step, &when, &Layered::new([&outer as &dyn Scope, &self.globals]))?,
            ));
        }
        let Some(items) = expand::items(step, &scope)? else {
            let parts = Parts::of(WorkflowStep::clone(step));
            let plain = WorkflowStep { arguments: step.arguments.clone(), hooks: parts.hooks, ..parts.step };
            return self.resolve(frame, name, &Arc::new(plain), before);
        };
        self.check_items(step, items.len(), before).map_err(Failure::Loop)?;
        let with_defaults = self.with_defaults_for_absent(frame, step).map_err(Failure::Reference)?;
        let mut parts = Parts::of(with_defaults);
        let (fixed, of_items): (Vec<_>, Vec<_>) = parts.artifacts.drain(..).partition(|a| !a.mentions("item"));
        let fixed = self.resolve_artifacts(frame, fixed).map_err(Failure::Reference)?;
        let whole = Loop::new(parts.step, &scope)?;
        let mut unrolled = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let mut step = whole.step(item)?;
            if !parts.hooks.is_empty() || !fixed.is_empty() || !of_items.is_empty() {
                let variables = expand::variables(item);
                let of_item = of_items.iter().map(|a| a.with_item(&variables)).collect::<Result<Vec<_>, _>>();
                let mut artifacts = fixed.clone();
                artifacts.extend(of_item.and_then(|a| self.resolve_artifacts(frame, a)).map_err(Failure::Loop)?);
                let step = Arc::make_mut(&mut step);
                step.hooks = self.hooks_of_item(frame, &parts.hooks, &variables)?;
                put_back(step, artifacts);
            }
            unrolled.push(Item { name: ArcStr::from(item.name(name, index)), step });
        }
        Self::check_names(&unrolled).map_err(Failure::Loop)?;
        Ok((true, unrolled))
    }

    /// In steps an item is known to the hooks too; those of a task in a DAG are the whole loop's.
    fn hooks_of_item(
        &self,
        frame: FrameId,
        hooks: &BTreeMap<String, LifecycleHook>,
        item: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, LifecycleHook>, Failure> {
        let is_steps = self.frame(frame).is_some_and(|f| matches!(f.body, Body::Steps(_)));
        if !is_steps || !mentions_tags(hooks) {
            return Ok(hooks.clone());
        }
        let mut value = json(hooks);
        let options = Options { keep_expressions: true, ..Options::once() };
        tags::render_value(&mut value, item, &options).map_err(|e| Failure::Loop(e.to_string()))?;
        api::from_value(value).map_err(|e| Failure::Loop(e.to_string()))
    }

    /// What a template can name besides its steps and tasks.
    fn outside_steps(&self, frame: FrameId) -> BTreeMap<String, String> {
        let Some(owner) = self.frame(frame) else { return BTreeMap::new() };
        let mut variables = input_variables(&owner.template.inputs, &owner.template);
        variables.extend(self.locals(&owner.call, &owner.template, false));
        variables
    }

    /// A step without a loop, with everything put in.
    pub(crate) fn resolve_step(&self, frame: FrameId, step: &Arc<WorkflowStep>) -> Result<Arc<WorkflowStep>, String> {
        if is_literal(step) {
            return Ok(step.clone());
        }
        let scope = LocalScope::new(self, frame);
        let scope = Layered::new([&scope as &dyn Scope, &self.globals]);
        let options = expand::reference_options();
        let missing = |error: tags::Error| error.to_string();
        let mut when = None;
        if !step.when.is_empty() {
            let text = tags::render(&step.when, &scope, &options).map_err(missing)?.into_owned();
            if !when::evaluate_within(&text, &scope.limits()).map_err(|e| e.to_string())? {
                return Ok(Arc::new(WorkflowStep { when: text, ..WorkflowStep::clone(step) }));
            }
            when = Some(text);
        }
        let mut parts = Parts::of(self.with_defaults_for_absent(frame, step)?);
        parts.step.when.clear();
        let mut value = json(&parts.step);
        tags::render_value(&mut value, &scope, &options).map_err(missing)?;
        let mut step: WorkflowStep = api::from_value(value).map_err(|e| e.to_string())?;
        step.when = when.unwrap_or_default();
        step.hooks = parts.hooks;
        let artifacts = self.resolve_artifacts(frame, parts.artifacts)?;
        put_back(&mut step, artifacts);
        Ok(Arc::new(step))
    }

    /// As [`Workflow::resolve_step`] for a call without `when`, with another scope; what that does not have stays as it is.
    pub(crate) fn resolve_texts(
        &self,
        frame: FrameId,
        step: &Arc<WorkflowStep>,
        scope: &dyn Scope,
    ) -> Result<Arc<WorkflowStep>, String> {
        if is_literal(step) {
            return Ok(step.clone());
        }
        let parts = Parts::of(WorkflowStep::clone(step));
        let mut value = json(&parts.step);
        tags::render_value(&mut value, scope, &Options::once()).map_err(|e| e.to_string())?;
        let mut step: WorkflowStep = api::from_value(value).map_err(|e| e.to_string())?;
        let artifacts = self.resolve_artifacts(frame, parts.artifacts)?;
        put_back(&mut step, artifacts);
        Ok(Arc::new(step))
    }

    fn resolve_artifacts(&self, frame: FrameId, wanted: Vec<Wanted>) -> Result<Vec<(usize, Artifact)>, String> {
        let mut found = Vec::with_capacity(wanted.len());
        for Wanted { place, artifact } in wanted {
            match self.resolve_artifact(frame, &artifact) {
                Ok(artifact) => found.push((place, artifact)),
                Err(_) if artifact.optional => {}
                Err(error) => return Err(format!("unable to resolve references: {error}")),
            }
        }
        Ok(found)
    }

    /// What Argo finds out when it calls the template of a task is the task's error, not its reference's.
    fn of_task(&self, frame: FrameId, name: &str, message: String) -> Failure {
        match self.frame(frame) {
            Some(owner) if message.ends_with(ABSENT) && matches!(owner.body, Body::Dag(_)) => {
                Failure::Reference(format!("task '{}.{name}' errored: {message}", owner.call.name))
            }
            _ => Failure::Reference(message),
        }
    }

    /// The step, where an argument that is nothing but the output of a step that was skipped is left out if the called
    /// template has a default for it. Errors: it has none.
    fn with_defaults_for_absent(&self, frame: FrameId, step: &WorkflowStep) -> Result<WorkflowStep, String> {
        let mut step = step.clone();
        let Some(scope) = self.frame(frame).map(Frame::inner_scope) else { return Ok(step) };
        let absent = |value: &str| {
            let name = value.trim().strip_prefix("{{").and_then(|v| v.strip_suffix("}}")).map(str::trim);
            name.is_some_and(|name| !name.starts_with('=') && self.is_absent(frame, name))
        };
        if !step.arguments.parameters.iter().any(|p| p.value.as_deref().is_some_and(absent)) {
            return Ok(step);
        }
        let Ok(template) = self.peek_template(&step, &scope) else { return Ok(step) };
        let defaulted = |name: &str| {
            template.inputs.parameters.iter().any(|i| i.name == name && (i.default.is_some() || i.value.is_some()))
        };
        step.arguments.parameters.retain(|p| !(p.value.as_deref().is_some_and(absent) && defaulted(&p.name)));
        match step.arguments.parameters.iter().find(|p| p.value.as_deref().is_some_and(absent)) {
            Some(parameter) => Err(format!("inputs.parameters.{}: {ABSENT}", parameter.name)),
            None => Ok(step),
        }
    }
}

/// Argo's words about an argument that is nothing but such an output, where the called template has no default.
const ABSENT: &str = "argument references an absent optional (skipped/omitted node output with no default)";

/// A step, and what of it is not rendered as text.
struct Parts {
    /// Without the rest, and without a loop.
    step: WorkflowStep,
    hooks: BTreeMap<String, LifecycleHook>,
    artifacts: Vec<Wanted>,
}

/// An argument that takes an artifact from elsewhere, and its place among the artifacts.
struct Wanted {
    place: usize,
    artifact: Artifact,
}

impl Parts {
    fn of(mut step: WorkflowStep) -> Self {
        let hooks = std::mem::take(&mut step.hooks);
        step.with_items.clear();
        step.with_param.clear();
        step.with_sequence = None;
        let mut artifacts = Vec::new();
        let mut place = 0;
        step.arguments.artifacts.retain(|artifact| {
            let refers = !artifact.from.is_empty() || !artifact.from_expression.is_empty();
            if refers {
                artifacts.push(Wanted { place, artifact: artifact.clone() });
            }
            place += 1;
            !refers
        });
        Self { step, hooks, artifacts }
    }
}

impl Wanted {
    fn mentions(&self, word: &str) -> bool {
        let a = &self.artifact;
        [&a.from, &a.from_expression, &a.sub_path].iter().any(|text| text.contains(word))
    }

    fn with_item(&self, variables: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut artifact = self.artifact.clone();
        for text in [&mut artifact.from, &mut artifact.from_expression, &mut artifact.sub_path] {
            *text = tags::render(text, variables, &Options::once()).map_err(|e| e.to_string())?.into_owned();
        }
        Ok(Self { place: self.place, artifact })
    }
}

/// Puts artifacts back where they were among the others.
fn put_back(step: &mut WorkflowStep, mut artifacts: Vec<(usize, Artifact)>) {
    artifacts.sort_by_key(|(place, _)| *place);
    let list = &mut step.arguments.artifacts;
    for (place, artifact) in artifacts {
        list.insert(place.min(list.len()), artifact);
    }
}

/// Nothing in the step refers to anything. Told by a look at its texts: rendering goes through JSON and back.
fn is_literal(step: &WorkflowStep) -> bool {
    let plain = |text: &str| !tags::has_tags(text);
    let parameter = |p: &Parameter| p.value_from.is_none() && p.value.as_deref().is_none_or(plain);
    let reference = |r: &TemplateRef| plain(&r.name) && plain(&r.template);
    step.inline.is_none()
        && step.when.is_empty()
        && step.arguments.artifacts.is_empty()
        && step.arguments.parameters.iter().all(parameter)
        && step.template_ref.as_ref().is_none_or(reference)
        && plain(&step.template)
}
