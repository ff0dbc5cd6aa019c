//! Suspending, resuming, stopping, terminating a workflow, and setting suspended nodes.
//!
//! Source: Argo docs/cli/argo_{suspend,resume,stop,terminate,node}.md; `workflow/util/util.go`.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::*;
use jiff::Timestamp;

use super::{
    selector::{self, NodeSelector},
    submit,
    user::User,
};

/// Why an operation on a running workflow is refused; the texts are Argo's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Selector(#[from] selector::Error),
    #[error(transparent)]
    Overrides(#[from] submit::Error),
    #[error("currently, set only targets suspend nodes: no suspend nodes matching nodeFieldSelector: {selector}")]
    NothingSelected { selector: String },
    #[error("cannot {action} a completed workflow: workflow: \"{name}\", namespace: \"{namespace}\"")]
    Completed { action: &'static str, name: String, namespace: String },
    #[error("cannot set output parameters because node is not expecting any raw parameters")]
    NoParametersExpected,
    #[error("node is not expecting output parameter '{name}'")]
    ParameterNotExpected { name: String },
    #[error("cannot set output parameter '{name}' because it does not use valueFrom.raw or it was already set")]
    ParameterSet { name: String },
    #[error("raw output parameter '{name}' has not been set and does not have a default value")]
    ParameterMissing { name: String },
    #[error("{phase} is an invalid phase to set to")]
    Phase { phase: NodePhase },
}

/// What `argo node set` writes into a suspended node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeValues {
    pub phase: Option<NodePhase>,
    /// Takes the place of the node's message, unless it is empty.
    pub message: String,
    pub output_parameters: BTreeMap<String, String>,
}

/// Keeps a workflow from starting more nodes. Errors: [`Error::Completed`].
pub fn suspend(workflow: &mut Workflow, user: Option<&User>) -> Result<(), Error> {
    refuse_completed(workflow, "suspend")?;
    workflow.spec.suspend = Some(true);
    User::label_actor(user, "Suspend", &mut workflow.metadata.labels);
    Ok(())
}

/// Lets a workflow go on. With a `selector` only the suspended nodes it matches end; without one, all do, and
/// `spec.suspend` is lifted: also of a workflow that has ended, where there is nothing to do.
///
/// Errors: nothing selected; a supplied output of a node that has neither value nor default.
pub fn resume(workflow: &mut Workflow, selector: &str, user: Option<&User>, at: Timestamp) -> Result<(), Error> {
    let message = user.map(User::resumed_by).unwrap_or_default();
    if !selector.is_empty() {
        let values = NodeValues { phase: Some(NodePhase::Succeeded), message, ..NodeValues::default() };
        set(workflow, selector, &values, at)?;
    } else if !resume_all(workflow, &message, at)? {
        return Ok(());
    }
    User::label_actor(user, "Resume", &mut workflow.metadata.labels);
    Ok(())
}

/// Lifts `spec.suspend`, and ends all suspended nodes. What they say already stays, with `; ` behind it whatever follows, as in
/// Argo. Answers whether there was something to do.
fn resume_all(workflow: &mut Workflow, message: &str, at: Timestamp) -> Result<bool, Error> {
    let mut was_suspended = workflow.spec.suspend.take() == Some(true);
    for node in workflow.status.nodes.values_mut().filter(|n| is_waiting(n)) {
        was_suspended = true;
        let message = match node.message.as_str() {
            "" => message.to_owned(),
            before => format!("{before}; {message}"),
        };
        set_node(node, &NodeValues { phase: Some(NodePhase::Succeeded), message, ..NodeValues::default() }, at)?;
    }
    Ok(was_suspended)
}

/// Shuts a workflow down. A stop with a `selector` only fails the suspended nodes it matches, with `message`.
pub fn shut_down(
    workflow: &mut Workflow,
    how: Shutdown,
    selector: &str,
    message: &str,
    user: Option<&User>,
    at: Timestamp,
) -> Result<(), Error> {
    let word = how.as_str();
    if how == Shutdown::Stop && !selector.is_empty() {
        let values =
            NodeValues { phase: Some(NodePhase::Failed), message: message.to_owned(), ..NodeValues::default() };
        set(workflow, selector, &values, at)?;
    } else {
        refuse_completed(workflow, "shutdown")?;
        word.clone_into(&mut workflow.spec.shutdown);
    }
    User::label_actor(user, word, &mut workflow.metadata.labels);
    Ok(())
}

/// Writes `values` into every waiting suspend node that `selector` matches.
///
/// Errors: there is no such node, or nothing to write.
pub fn set(workflow: &mut Workflow, selector: &str, values: &NodeValues, at: Timestamp) -> Result<(), Error> {
    let parsed = NodeSelector::parse(selector)?;
    let mut lifted = Vec::new();
    let mut found = false;
    for node in workflow.status.nodes.values_mut().filter(|n| is_waiting(n) && parsed.matches(n)) {
        found = true;
        set_node(node, values, at)?;
        let outputs = node.outputs.iter().flat_map(|o| &o.parameters);
        lifted.extend(outputs.filter(|p| !p.global_name.is_empty() && p.value.is_some()).cloned());
    }
    if !found || *values == NodeValues::default() {
        return Err(Error::NothingSelected { selector: selector.to_owned() });
    }
    for parameter in lifted {
        lift(workflow, parameter);
    }
    Ok(())
}

/// A parameter with a `globalName` is an output of the workflow, too.
fn lift(workflow: &mut Workflow, parameter: Parameter) {
    let global = Parameter { name: parameter.global_name, value: parameter.value, ..Parameter::default() };
    let outputs = &mut workflow.status.outputs.get_or_insert_with(Outputs::default).parameters;
    match outputs.iter_mut().find(|p| p.name == global.name) {
        Some(earlier) => *earlier = global,
        None => outputs.push(global),
    }
}

fn refuse_completed(workflow: &Workflow, action: &'static str) -> Result<(), Error> {
    let metadata = &workflow.metadata;
    if !workflow.status.phase.is_completed() {
        return Ok(());
    }
    Err(Error::Completed { action, name: metadata.name.clone(), namespace: metadata.namespace.clone() })
}

fn is_waiting(node: &NodeStatus) -> bool {
    node.r#type == NodeType::Suspend && node.phase == NodePhase::Running
}

fn set_node(node: &mut NodeStatus, values: &NodeValues, at: Timestamp) -> Result<(), Error> {
    if !values.output_parameters.is_empty() {
        set_outputs(node, &values.output_parameters)?;
    }
    if !values.message.is_empty() {
        node.message = values.message.as_str().into();
    }
    let Some(phase) = values.phase else {
        return Ok(());
    };
    match phase {
        NodePhase::Succeeded => fill_in_defaults(node)?,
        NodePhase::Failed | NodePhase::Error => {}
        NodePhase::Unknown | NodePhase::Pending | NodePhase::Running | NodePhase::Skipped | NodePhase::Omitted => {
            return Err(Error::Phase { phase });
        }
    }
    node.phase = phase;
    node.finished_at = Some(Time::new(at));
    Ok(())
}

fn set_outputs(node: &mut NodeStatus, values: &BTreeMap<String, String>) -> Result<(), Error> {
    let outputs = node.outputs.as_mut().filter(|o| !o.parameters.is_empty()).ok_or(Error::NoParametersExpected)?;
    for (name, value) in values {
        let parameter = outputs.parameters.iter_mut().find(|p| p.name == *name);
        let parameter = parameter.ok_or_else(|| Error::ParameterNotExpected { name: name.clone() })?;
        if !is_supplied(parameter) {
            return Err(Error::ParameterSet { name: name.clone() });
        }
        parameter.value = Some(value.as_str().into());
        // Nobody sets it twice.
        parameter.value_from = None;
    }
    Ok(())
}

/// The output waits for somebody to give its value.
fn is_supplied(parameter: &Parameter) -> bool {
    parameter.value_from.as_ref().is_some_and(|from| from.supplied.is_some())
}

fn fill_in_defaults(node: &mut NodeStatus) -> Result<(), Error> {
    let outputs = node.outputs.iter_mut().flat_map(|o| &mut o.parameters);
    for parameter in outputs.filter(|p| is_supplied(p)) {
        let default = parameter.value_from.as_ref().and_then(|from| from.default.clone());
        parameter.value = Some(default.ok_or_else(|| Error::ParameterMissing { name: parameter.name.clone() })?);
        parameter.value_from = None;
    }
    Ok(())
}
