//! What a spec says about the workflow as a whole: its metadata, and the values that its variables are made of.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::{Arguments, WorkflowSpec};
use argosy_template::expr::{Program, Value};

use crate::{Workflow, flow::refusal::Refusal, state::Globals, values::expressions};

/// Texts of a spec that are not rendered with it: values of arguments, which are data, and arguments of hooks, which are
/// rendered when the hook begins.
pub(crate) struct Apart {
    arguments: Arguments,
    hooks: BTreeMap<String, Arguments>,
}

impl Apart {
    pub fn take(spec: &mut WorkflowSpec) -> Self {
        let arguments = spec.arguments.clone();
        for parameter in &mut spec.arguments.parameters {
            parameter.value = None;
            parameter.default = None;
        }
        let hooks = spec.hooks.iter_mut().map(|(key, hook)| (key.clone(), std::mem::take(&mut hook.arguments)));
        Self { hooks: hooks.collect(), arguments }
    }

    /// Gives the spec its arguments back, parameters with the values that the variables have.
    pub fn put_back(self, spec: &mut WorkflowSpec, globals: &Globals) {
        for (parameter, before) in spec.arguments.parameters.iter_mut().zip(self.arguments.parameters) {
            let settled = globals.value(&format!("workflow.parameters.{}", before.name));
            parameter.value = before.value.map(|value| settled.map_or(value, Into::into));
            parameter.default = before.default.map(|value| settled.map_or(value, Into::into));
        }
        for (key, arguments) in self.hooks {
            if let Some(hook) = spec.hooks.get_mut(&key) {
                hook.arguments = arguments;
            }
        }
    }
}

/// Characters that the value of a label may have.
const LABEL_CHARS_MAX: usize = 63;

impl Workflow {
    /// Puts the spec's `workflowMetadata` on the workflow, and its variables in scope.
    ///
    /// Errors, in Argo's words: a label's value that Kubernetes refuses, an expression that cannot be evaluated or gives no
    /// text.
    pub(crate) fn apply_metadata(&mut self) -> Result<(), Refusal> {
        let Some(metadata) = self.plan.spec().workflow_metadata.clone() else { return Ok(()) };
        for (name, value) in &metadata.labels {
            check_label(value).map_err(|why| {
                Refusal::error(format!("invalid label value {} for label {}: {why}", quoted(value), quoted(name)))
            })?;
            self.book.set_label(name, value);
            self.globals.set(&format!("labels.{name}"), value.clone());
        }
        for (name, value) in &metadata.annotations {
            self.book.set_annotation(name, value);
            self.globals.set(&format!("annotations.{name}"), value.clone());
        }
        let environment = expressions::environment(&self.globals);
        for (name, from) in &metadata.labels_from {
            let value = self.label_from(name, &from.expression, &environment).map_err(Refusal::error)?;
            self.book.set_label(name, &value);
        }
        // Whatever else of the spec names a label or an annotation.
        self.settle_spec()
    }

    fn label_from(&self, name: &str, expression: &str, environment: &serde_json::Value) -> Result<String, String> {
        let env = self.globals.env(environment);
        let uncompiled = |e| format!("failed to compile function for expression {}: {e}", quoted(expression));
        let program = Program::compile(expression).map_err(uncompiled)?;
        program.check(&env).map_err(uncompiled)?;
        let what = || format!("failed to evaluate label {} expression {}", quoted(name), quoted(expression));
        let value = match program.run(&env).map_err(|e| format!("{}: {e}", what()))? {
            Value::Str(text) => text.to_string(),
            other => return Err(format!("{} evaluted to {} but must be a string", what(), other.type_name())),
        };
        check_label(&value).map_err(|why| {
            format!(
                "invalid label value {} for label {} and expression {}: {why}",
                quoted(&value),
                quoted(name),
                quoted(expression)
            )
        })?;
        Ok(value)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Kubernetes' rule for the values of labels.
fn check_label(value: &str) -> Result<(), String> {
    if value.chars().count() > LABEL_CHARS_MAX {
        return Err(format!("must be no more than {LABEL_CHARS_MAX} characters"));
    }
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if ends(value.chars().next()) && ends(value.chars().last()) && value.chars().all(inside) {
        return Ok(());
    }
    Err("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
         end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
         '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        .to_owned())
}
