//! Resubmitting: a new workflow like an ended one, optionally with what that one already did.
//!
//! Source: Argo docs/cli/argo_resubmit.md; `workflow/util/util.go` `FormulateResubmitWorkflow`.

use std::collections::BTreeMap;

use arcstr::ArcStr;
use argosy_api::{labels, names::node_id, v1alpha1::*};
use jiff::Timestamp;

use super::{
    retry::{self, Error},
    user::User,
};

/// How to run a workflow anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resubmit {
    /// Do not run again what succeeded. The new workflow then needs a name of its own beforehand, as the ids of its
    /// nodes depend on it: the random part, drawn by the caller.
    pub memoized: Option<String>,
    /// New values for the workflow's arguments, each `NAME=VALUE`.
    pub parameters: Vec<String>,
}

/// Labels that speak of the old run.
const OF_THE_RUN: [&str; 5] =
    [labels::COMPLETED, labels::PHASE, labels::QUARANTINED, labels::ARCHIVING_STATUS, "workflows.argoproj.io/action"];

/// The workflow to create. Errors: memoized, and the old one did not fail.
pub fn resubmit(
    workflow: &Workflow,
    resubmit: &Resubmit,
    user: Option<&User>,
    at: Timestamp,
) -> Result<Workflow, Error> {
    let old = &workflow.metadata;
    let mut metadata =
        ObjectMeta { namespace: old.namespace.clone(), annotations: old.annotations.clone(), ..ObjectMeta::default() };
    metadata.generate_name =
        if old.generate_name.is_empty() { format!("{}-", old.name) } else { old.generate_name.clone() };
    for ours in [
        labels::WATERMARK,
        labels::BEHAVIOR,
        labels::FOLLOWED,
        labels::ENDED_AT,
        labels::EXPIRES_AT,
        labels::QUARANTINE_REASON,
        labels::TAKEN_BACK,
    ] {
        metadata.annotations.remove(ours);
    }
    metadata.labels = old.labels.clone();
    metadata
        .labels
        .retain(|name, _| !OF_THE_RUN.contains(&name.as_str()) && !name.starts_with("workflows.argoproj.io/actor"));
    User::label_creator(user, &mut metadata.labels);
    metadata.labels.insert(labels::RESUBMITTED_FROM.to_owned(), old.name.clone());
    if let Some(owners) = old.rest.get("ownerReferences") {
        metadata.rest.insert("ownerReferences".to_owned(), owners.clone());
    }

    let mut new = Workflow {
        api_version: API_VERSION.to_owned(),
        kind: "Workflow".to_owned(),
        metadata,
        spec: workflow.spec.clone(),
        status: WorkflowStatus::default(),
    };
    retry::lift_end(&mut new.spec);
    retry::override_arguments(&mut new, &resubmit.parameters)?;
    if let Some(random) = &resubmit.memoized {
        if !matches!(workflow.status.phase, WorkflowPhase::Failed | WorkflowPhase::Error) {
            return Err(Error::NotMemoizable);
        }
        new.metadata.name = format!("{}{random}", new.metadata.generate_name);
        new.status.nodes = memoized_nodes(workflow, &new.metadata.name, at);
    }
    Ok(new)
}

/// The nodes of the workflow `name` that does what `workflow` did, but not again what pods of that did with success: these are
/// skipped. Everything else is there and has not begun, so that what comes behind it keeps its place; exit handlers are not.
fn memoized_nodes(workflow: &Workflow, name: &str, at: Timestamp) -> Nodes {
    let old_name = &workflow.metadata.name;
    let new_name = |node: &NodeStatus| match node.name.strip_prefix(old_name.as_str()) {
        Some(rest) => arcstr::format!("{name}{rest}"),
        None => node.name.clone(),
    };
    let exit = format!("{old_name}.onExit");
    let nodes = &workflow.status.nodes;
    let kept = nodes.values().filter(|n| !n.name.starts_with(&exit));
    let kept: Vec<(&NodeStatus, Fate)> =
        kept.filter_map(|node| Fate::of(node, nodes).map(|fate| (node, fate))).collect();
    let ids: BTreeMap<&ArcStr, ArcStr> =
        kept.iter().map(|(n, _)| (&n.id, node_id(name, &new_name(n)).into())).collect();
    let renamed = |id: &ArcStr| ids.get(id).cloned();
    let mut new_nodes = Nodes::default();
    for (node, fate) in kept {
        let mut new = node.clone();
        new.name = new_name(node);
        new.id = node_id(name, &new.name).into();
        new.boundary_id = renamed(&node.boundary_id).unwrap_or_default();
        new.children = node.children.iter().filter_map(renamed).collect();
        new.outbound_nodes = node.outbound_nodes.iter().filter_map(renamed).collect();
        new.task_result_synced = None;
        match fate {
            Fate::Memoized => {
                new.phase = NodePhase::Skipped;
                new.r#type = NodeType::Skipped;
                new.message = arcstr::format!("original pod: {}", node.id);
            }
            Fate::Again => begin_again(&mut new, at),
            Fate::AsItWas => {}
        }
        new_nodes.insert(new.id.clone(), new);
    }
    new_nodes
}

/// What becomes of a node in a workflow that remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its pod did what it should, and need not be run again.
    Memoized,
    /// It begins anew when it is its turn.
    Again,
    /// It tells what was before: an attempt that was followed by another one, a container of a pod that is not run again.
    AsItWas,
}

impl Fate {
    /// None for what was skipped and has nothing behind it that was done: it is judged anew.
    fn of(node: &NodeStatus, nodes: &Nodes) -> Option<Self> {
        let is_done = |node: &NodeStatus| node.phase.is_fulfilled() && !node.phase.is_failed_or_error();
        match node.r#type {
            NodeType::Pod if is_done(node) => Some(Self::Memoized),
            NodeType::Pod if is_followed(node, nodes) => Some(Self::AsItWas),
            NodeType::Container if nodes.get(&node.boundary_id).is_some_and(is_done) => Some(Self::AsItWas),
            NodeType::Skipped if !retry::has_succeeded_after(nodes, node) => None,
            _ => Some(Self::Again),
        }
    }
}

/// An attempt of a retried node, and not the last one.
fn is_followed(node: &NodeStatus, nodes: &Nodes) -> bool {
    let is_attempt = node.node_flag.as_ref().is_some_and(|flag| flag.retried);
    let Some((of, number)) = node.name.strip_suffix(')').and_then(|name| name.rsplit_once('(')) else { return false };
    let Some(next) = number.parse::<u64>().ok().and_then(|number| number.checked_add(1)) else { return false };
    let next = format!("{of}({next})");
    is_attempt && nodes.values().any(|node| node.name == next)
}

fn begin_again(node: &mut NodeStatus, at: Timestamp) {
    node.phase = NodePhase::Pending;
    node.message = ArcStr::new();
    node.started_at = Some(Time::new(at));
    node.finished_at = None;
    (node.inputs, node.outputs) = (None, None);
    node.daemoned = None;
    if node.r#type.executes() {
        node.progress = arcstr::literal!("0/1");
    }
}
