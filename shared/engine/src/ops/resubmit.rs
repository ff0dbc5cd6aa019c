//! Resubmitting: a new workflow like an ended one, optionally with what that one already did.
//!
//! Source: Argo docs/cli/argo_resubmit.md; `workflow/util/util.go` `FormulateResubmitWorkflow`.

use std::collections::BTreeMap;

use arcstr::ArcStr;
use argosy_api::{labels, names::node_id, v1alpha1::*};
use jiff::Timestamp;

use super::{
    retry::{self, ARCHIVING_STATUS, Error, Retry},
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
    [labels::COMPLETED, labels::PHASE, labels::QUARANTINED, ARCHIVING_STATUS, "workflows.argoproj.io/action"];

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
    new.spec.shutdown.clear();
    new.spec.suspend = None;
    retry::override_arguments(&mut new, &resubmit.parameters)?;
    if let Some(random) = &resubmit.memoized {
        if !matches!(workflow.status.phase, WorkflowPhase::Failed | WorkflowPhase::Error) {
            return Err(Error::NotMemoizable);
        }
        new.metadata.name = format!("{}{random}", new.metadata.generate_name);
        new.status.nodes = memoized_nodes(workflow, &new.metadata.name, at)?;
    }
    Ok(new)
}

/// The nodes of `workflow` that need not run again, under the names and ids they have in workflow `name`.
fn memoized_nodes(workflow: &Workflow, name: &str, at: Timestamp) -> Result<Nodes, Error> {
    let mut kept = workflow.clone();
    retry::retry(&mut kept, &Retry::default(), None, at)?;
    let old_name = &workflow.metadata.name;
    let new_name = |node: &NodeStatus| match node.name.strip_prefix(old_name.as_str()) {
        Some(rest) => arcstr::format!("{name}{rest}"),
        None => node.name.clone(),
    };
    let ids: BTreeMap<ArcStr, ArcStr> =
        kept.status.nodes.values().map(|n| (n.id.clone(), node_id(name, &new_name(n)).into())).collect();
    let renamed = |id: &ArcStr| ids.get(id).cloned();
    let mut nodes = Nodes::default();
    for node in kept.status.nodes.values() {
        let mut new = node.clone();
        new.name = new_name(node);
        new.id = node_id(name, &new.name).into();
        if node.name == *old_name {
            new.display_name = name.into();
        }
        new.boundary_id = renamed(&node.boundary_id).unwrap_or_default();
        new.children = node.children.iter().filter_map(renamed).collect();
        new.outbound_nodes = node.outbound_nodes.iter().filter_map(renamed).collect();
        if node.phase == NodePhase::Succeeded && node.r#type.executes() {
            new.phase = NodePhase::Skipped;
            new.r#type = NodeType::Skipped;
            new.message = arcstr::format!("original pod: {}", node.id);
            new.task_result_synced = None;
        }
        nodes.insert(new.id.clone(), new);
    }
    Ok(nodes)
}
