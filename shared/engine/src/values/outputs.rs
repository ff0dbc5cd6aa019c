//! Outputs: of steps and dags from what is inside them, and of the workflow from what is declared global.

use arcstr::ArcStr;
use argosy_api::v1alpha1::{Artifact, NodePhase, Outputs, Parameter, Template};
use argosy_template::{Layered, Scope};

use crate::{
    Workflow,
    state::{Body, Call, FrameId, set},
    values::{expressions, scope::LocalScope, variables},
};

impl Workflow {
    /// Sets the outputs that a Steps or DAG template declares.
    ///
    /// Errors: an output whose source has no value, and that has no default.
    pub(crate) fn outputs_of_frame(&mut self, frame: FrameId) -> Result<(), String> {
        let Some(owner) = self.frame(frame) else { return Ok(()) };
        let (id, template) = (owner.call.id.clone(), owner.template.clone());
        let mut outputs = Outputs::default();
        for parameter in &template.outputs.parameters {
            if let Some(parameter) = self.output_parameter(frame, parameter)? {
                outputs.parameters.push(parameter);
            }
        }
        for artifact in &template.outputs.artifacts {
            match self.resolve_artifact(frame, artifact) {
                Ok(found) => outputs.artifacts.push(found),
                Err(error) if artifact.optional && error.contains("Unable to resolve") => {}
                Err(error) => return Err(format!("unable to resolve outputs from scope: {error}")),
            }
        }
        if let Some(problem) = self.outputs_problem(&id, Some(&outputs)) {
            return Err(problem);
        }
        if outputs != Outputs::default() {
            self.book.update_node(&id, |n| set(&mut n.outputs, Some(Box::new(outputs))));
            // Argo lifts the outputs of steps, and of a DAG only those of its tasks.
            if !template.steps.is_empty() {
                self.lift_outputs(&id, &template);
            }
        }
        Ok(())
    }

    /// A Steps or DAG node whose outputs cannot be told is in error, and who called it learns why.
    pub(crate) fn outputs_failed(&mut self, frame: FrameId, message: &str, outbound: Vec<ArcStr>) {
        let Some(parent) = self.frame(frame).map(|f| f.call.parent.clone()) else { return };
        self.end_composite(frame, NodePhase::Error, message, outbound);
        self.caller_learns(&parent, message);
    }

    fn output_parameter(&self, frame: FrameId, parameter: &Parameter) -> Result<Option<Parameter>, String> {
        let Some(from) = &parameter.value_from else { return Ok(None) };
        let scope = LocalScope::new(self, frame);
        let layered = Layered::new([&scope as &dyn Scope, &self.globals]);
        let value = if !from.expression.is_empty() {
            // Of the workflow's variables only tags can speak here, and those are replaced already.
            expressions::eval_text(&from.expression, &expressions::environment(&scope), &self.globals)
        } else if !from.parameter.is_empty() {
            let name = from.parameter.trim();
            let name = name.strip_prefix("{{").and_then(|n| n.strip_suffix("}}")).unwrap_or(name).trim();
            let found = layered.get(name).map(std::borrow::Cow::into_owned);
            found.ok_or_else(|| format!("unable to resolve references: Unable to resolve: \"{name}\""))
        } else {
            return Ok(None);
        };
        let value = match (value, &from.default) {
            (Ok(value), _) => value,
            (Err(_), Some(default)) => default.to_string(),
            (Err(error), None) => return Err(error),
        };
        let lifted = Parameter { value: Some(value.into()), value_from: None, ..parameter.clone() };
        Ok(Some(lifted))
    }

    /// Copies outputs with a global name to the workflow; the last writer wins.
    pub(crate) fn lift_outputs(&mut self, node_id: &str, template: &Template) {
        let outputs = self.book.node(node_id).and_then(|n| n.outputs.as_ref());
        let named = outputs.filter(|outputs| !outputs.parameters.is_empty() || !outputs.artifacts.is_empty());
        let Some(outputs) = named.cloned() else { return };
        let global =
            |name: &str| template.outputs.parameters.iter().find(|p| p.name == name).map(|p| p.global_name.clone());
        let mut changed = false;
        for parameter in &outputs.parameters {
            let name = if parameter.global_name.is_empty() {
                global(&parameter.name).unwrap_or_default()
            } else {
                parameter.global_name.clone()
            };
            let Some(value) = parameter.value.clone().filter(|_| !name.is_empty()) else { continue };
            self.book.lift_parameter(Parameter { name, value: Some(value), ..Default::default() });
            changed = true;
        }
        for artifact in &outputs.artifacts {
            let declared =
                template.outputs.artifacts.iter().find(|a| a.name == artifact.name).map(|a| a.global_name.clone());
            let name = if artifact.global_name.is_empty() {
                declared.unwrap_or_default()
            } else {
                artifact.global_name.clone()
            };
            if name.is_empty() || !crate::values::args::has_location(artifact) {
                continue;
            }
            let lifted = Artifact { name, global_name: String::new(), path: String::new(), ..artifact.clone() };
            self.book.lift_artifact(lifted);
            changed = true;
        }
        if changed && let Some(outputs) = &self.book.status().outputs {
            self.globals.extend(variables::output_variables(outputs));
        }
    }

    /// True when the calling template mentions the call's result, which is then captured.
    /// Source: Argo `hasOutputResultRef`.
    pub(crate) fn wants_result(&self, call: &Call) -> bool {
        let Some(owner) = call.boundary.and_then(|b| self.frame(b)) else { return false };
        let name = call.step_name.split('(').next().unwrap_or_default();
        match &owner.body {
            Body::Steps(steps) => steps.wants_result(name),
            Body::Dag(dag) => dag.wants_result(name),
            Body::Leaf | Body::Retry(_) => false,
        }
    }
}

/// Names of steps and tasks whose result a template mentions.
pub(crate) fn results_wanted(template: &Template) -> Vec<String> {
    let text = crate::json::text(template);
    let mut names = Vec::new();
    for prefix in ["steps", "tasks"] {
        for (at, _) in text.match_indices(prefix) {
            let tail = &text[at + prefix.len()..];
            names.extend(result_of(tail).map(str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// `NAME` of `.NAME.outputs.result` or `['NAME'].outputs.result`, brackets and dots mixed.
fn result_of(tail: &str) -> Option<&str> {
    let (name, tail) = member(tail)?;
    let (outputs, tail) = member(tail)?;
    let (result, _) = member(tail)?;
    (outputs == "outputs" && result == "result").then_some(name)
}

fn member(tail: &str) -> Option<(&str, &str)> {
    let tail = tail.strip_prefix("?").unwrap_or(tail);
    if let Some(tail) = tail.strip_prefix('.') {
        let end = tail.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(tail.len());
        return Some((&tail[..end], &tail[end..]));
    }
    let tail = tail.strip_prefix('[')?;
    let tail = tail.strip_prefix("\\\"").or_else(|| tail.strip_prefix('\''))?;
    let end = tail.find(['\'', '\\'])?;
    let after = &tail[end..];
    Some((&tail[..end], after.strip_prefix("\\\"]").or_else(|| after.strip_prefix("']"))?))
}
