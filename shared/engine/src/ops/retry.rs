//! Retrying an ended workflow in place: what failed is forgotten, what held it runs again.
//!
//! Source: Argo docs/cli/argo_retry.md; outcomes of `workflow/util/util.go` `FormulateRetryWorkflow` in table retry.json.

use std::collections::{BTreeMap, BTreeSet};

use arcstr::ArcStr;
use argosy_api::{
    labels,
    names::{PodNameVersion, pod_name},
    v1alpha1::*,
};
use jiff::Timestamp;

use super::{
    selector::{self, NodeSelector},
    submit,
    user::User,
};

/// What to run again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retry {
    /// Also run again what succeeded, as far as `selector` matches it.
    pub restart_successful: bool,
    /// A node field selector.
    pub selector: String,
    /// New values for the workflow's arguments, each `NAME=VALUE`.
    pub parameters: Vec<String>,
}

/// Why a workflow cannot be retried; the texts are Argo's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Selector(#[from] selector::Error),
    #[error(transparent)]
    Overrides(#[from] submit::Error),
    #[error("Cannot retry a workflow in phase {}", phase.as_str())]
    Phase { phase: WorkflowPhase },
    #[error("To retry a succeeded workflow, set the options restartSuccessful and nodeFieldSelector")]
    Succeeded,
    #[error("Workflow must be Failed/Error to resubmit in memoized mode")]
    NotMemoizable,
}

/// Makes an ended workflow run again, and names the pods that must be gone before it does.
///
/// Forgotten are the nodes that failed (but for those whose failure was tolerated, so that a later node succeeded), the
/// selected ones, all that came after them, and the exit handler. Groups, steps and DAGs that held them run again.
pub fn retry(workflow: &mut Workflow, retry: &Retry, user: Option<&User>, at: Timestamp) -> Result<Vec<String>, Error> {
    match workflow.status.phase {
        WorkflowPhase::Failed | WorkflowPhase::Error => {}
        WorkflowPhase::Succeeded if retry.restart_successful && !retry.selector.is_empty() => {}
        WorkflowPhase::Succeeded => return Err(Error::Succeeded),
        phase @ (WorkflowPhase::Unknown | WorkflowPhase::Pending | WorkflowPhase::Running) => {
            return Err(Error::Phase { phase });
        }
    }
    let selector = NodeSelector::parse(&retry.selector)?;
    override_arguments(workflow, &retry.parameters)?;

    let mut reset = Reset::new(workflow);
    if retry.restart_successful && !selector.is_empty() {
        reset.selected(&selector);
    }
    reset.failed();
    reset.exit_handler(&workflow.metadata.name);
    let Reset { forgotten, mut reopened, .. } = reset;
    let mut forgotten = forgotten;
    if !retry.parameters.is_empty() {
        let groups = reopened.iter().filter(|id| workflow.status.nodes.get(id).is_some_and(is_group));
        let children: Vec<ArcStr> = groups.flat_map(|id| workflow.status.nodes[id].children.clone()).collect();
        for id in children {
            below(&workflow.status.nodes, &id, &mut forgotten);
        }
        reopened.retain(|id| !forgotten.contains(id));
    }
    let pods = forget(workflow, &forgotten);
    reopen(workflow, &reopened, at);
    User::label_actor(user, "Retry", &mut workflow.metadata.labels);
    Ok(pods)
}

/// New values for arguments, also in the stored spec of the workflow's template.
pub(super) fn override_arguments(workflow: &mut Workflow, parameters: &[String]) -> Result<(), Error> {
    submit::override_parameters(&mut workflow.spec.arguments.parameters, parameters)?;
    if let Some(stored) = &mut workflow.status.stored_workflow_template_spec {
        submit::override_parameters(&mut stored.arguments.parameters, parameters)?;
    }
    Ok(())
}

fn is_group(node: &NodeStatus) -> bool {
    matches!(node.r#type, NodeType::StepGroup | NodeType::TaskGroup)
}

/// Types that hold other nodes and do no work of their own.
fn is_holder(node: &NodeStatus) -> bool {
    is_group(node) || matches!(node.r#type, NodeType::Steps | NodeType::Dag)
}

/// Adds `id` and everything after or inside it.
fn below(nodes: &Nodes, id: &ArcStr, found: &mut BTreeSet<ArcStr>) {
    let mut stack = vec![id.clone()];
    while let Some(id) = stack.pop() {
        let Some(node) = nodes.get(&id) else { continue };
        if found.insert(id) {
            stack.extend(node.children.iter().cloned());
        }
    }
}

/// Whether something that came after `node` succeeded.
pub(super) fn has_succeeded_after(nodes: &Nodes, node: &NodeStatus) -> bool {
    let mut found = BTreeSet::new();
    for child in &node.children {
        below(nodes, child, &mut found);
    }
    found.iter().any(|id| nodes.get(id).is_some_and(|n| n.phase == NodePhase::Succeeded))
}

/// The spec without what ended the last run.
pub(super) fn lift_end(spec: &mut WorkflowSpec) {
    spec.shutdown.clear();
    // Argo once terminated workflows by this.
    if spec.active_deadline_seconds == Some(0) {
        spec.active_deadline_seconds = None;
    }
}

struct Reset<'a> {
    nodes: &'a Nodes,
    parents: BTreeMap<&'a ArcStr, Vec<&'a ArcStr>>,
    /// Nodes that the user chose.
    selected: BTreeSet<ArcStr>,
    /// Nodes to remove.
    forgotten: BTreeSet<ArcStr>,
    /// Nodes to set to Running.
    reopened: BTreeSet<ArcStr>,
}

impl<'a> Reset<'a> {
    fn new(workflow: &'a Workflow) -> Self {
        let nodes = &workflow.status.nodes;
        let mut parents: BTreeMap<&ArcStr, Vec<&ArcStr>> = BTreeMap::new();
        for (id, node) in nodes {
            for child in &node.children {
                parents.entry(child).or_default().push(id);
            }
        }
        Self { nodes, parents, selected: BTreeSet::new(), forgotten: BTreeSet::new(), reopened: BTreeSet::new() }
    }

    fn selected(&mut self, selector: &NodeSelector) {
        for (id, node) in self.nodes {
            if selector.matches(node) {
                self.selected.insert(id.clone());
                // A container runs again only with its pod.
                let id = if node.r#type == NodeType::Container { &node.boundary_id } else { id };
                self.run_again(id);
            }
        }
    }

    /// Forgets failed nodes. Argo counts a success that is to be run again only where it was selected itself.
    fn failed(&mut self) {
        let counts = |(id, node): &(&ArcStr, &NodeStatus)| {
            !self.forgotten.contains(*id) && self.is_to_repeat(node) && !self.succeeded_after(node)
        };
        let again: Vec<ArcStr> = self.nodes.iter().filter(counts).map(|(id, _)| id.clone()).collect();
        for id in again {
            self.run_again(&id);
        }
    }

    fn is_to_repeat(&self, node: &NodeStatus) -> bool {
        if !node.phase.is_failed_or_error() || self.is_settled_attempt(node) {
            return false;
        }
        // A container runs again with its pod. What a person has refused stays so, as in Argo.
        if matches!(node.r#type, NodeType::Container | NodeType::Suspend) {
            return false;
        }
        if is_holder(node) {
            // It failed without running anything, for instance as an argument could not be resolved.
            let is_inner = !node.boundary_id.is_empty() && !self.reopened.contains(&node.id);
            return is_inner && node.children.is_empty();
        }
        true
    }

    /// An attempt of a retried node is not repeated for itself: either a later one succeeded, or the whole node fails.
    fn is_settled_attempt(&self, node: &NodeStatus) -> bool {
        let parents = self.parents.get(&node.id).into_iter().flatten();
        let is_retry = |id: &&&ArcStr| {
            self.nodes[**id].r#type == NodeType::Retry && node.name.starts_with(self.nodes[**id].name.as_str())
        };
        parents.clone().any(|id| is_retry(&id))
    }

    /// Whether some node after `node`, not inside it and not one of its hooks, succeeded and stays.
    fn succeeded_after(&self, node: &NodeStatus) -> bool {
        let mut found = BTreeSet::new();
        below(self.nodes, &node.id, &mut found);
        let counts = |other: &NodeStatus| {
            let rest = other.name.strip_prefix(node.name.as_str()).filter(|_| !node.name.is_empty());
            let is_inside = rest.is_some_and(|rest| rest.starts_with(['(', '.', '[']));
            let is_hook = other.node_flag.as_ref().is_some_and(|f| f.hooked);
            other.id != node.id && other.phase == NodePhase::Succeeded && !is_hook && !is_inside
        };
        found.iter().any(|id| !self.selected.contains(id) && self.nodes.get(id).is_some_and(counts))
    }

    /// Forgets `id` with all that came after it, and reopens what held it.
    fn run_again(&mut self, id: &ArcStr) {
        below(self.nodes, id, &mut self.forgotten);
        // What is inside a forgotten steps or DAG node, even if no child link leads there.
        loop {
            let inside = |(id, node): &(&ArcStr, &NodeStatus)| {
                !self.forgotten.contains(*id) && self.forgotten.contains(&node.boundary_id)
            };
            let more: Vec<ArcStr> = self.nodes.iter().filter(inside).map(|(id, _)| id.clone()).collect();
            if more.is_empty() {
                break;
            }
            for id in more {
                below(self.nodes, &id, &mut self.forgotten);
            }
        }
        let mut stack = vec![id.clone()];
        while let Some(id) = stack.pop() {
            let Some(node) = self.nodes.get(&id) else {
                continue;
            };
            let parents = self.parents.get(&id).into_iter().flatten();
            let holds = |parent: &&&ArcStr| {
                let parent = &self.nodes[**parent];
                (is_group(parent) || parent.r#type == NodeType::Retry) && node.name.starts_with(parent.name.as_str())
            };
            for holder in parents.filter(holds).copied().chain([&node.boundary_id]) {
                if self.nodes.contains_key(holder) && self.reopened.insert(holder.clone()) {
                    stack.push(holder.clone());
                }
            }
        }
        self.reopened.retain(|id| !self.forgotten.contains(id));
    }

    fn exit_handler(&mut self, workflow: &str) {
        let name = format!("{workflow}.onExit");
        let found = self.nodes.iter().find(|(_, node)| node.name == name);
        if let Some((id, _)) = found {
            self.run_again(id);
        }
    }
}

/// Removes nodes, every link to them and what the status says about them; answers with the names of their pods.
fn forget(workflow: &mut Workflow, forgotten: &BTreeSet<ArcStr>) -> Vec<String> {
    let v1 = workflow.metadata.annotations.get(labels::POD_NAME_FORMAT).is_some_and(|v| v == "v1");
    let version = if v1 { PodNameVersion::V1 } else { PodNameVersion::V2 };
    let status = &mut workflow.status;
    let mut pods = BTreeSet::new();
    for id in forgotten {
        let Some(node) = status.nodes.remove(id) else {
            continue;
        };
        status.task_results_completion_status.remove(id.as_str());
        if node.r#type == NodeType::Pod {
            let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| &r.template);
            pods.insert(pod_name(&workflow.metadata.name, &node.name, template, &node.id, version));
        }
    }
    for node in status.nodes.values_mut() {
        node.children.retain(|id| !forgotten.contains(id));
        node.outbound_nodes.retain(|id| !forgotten.contains(id));
    }
    pods.into_iter().collect()
}

/// Sets the workflow back to where no engine has seen its end, and the nodes `reopened` to Running.
fn reopen(workflow: &mut Workflow, reopened: &BTreeSet<ArcStr>, at: Timestamp) {
    for id in reopened {
        let Some(node) = workflow.status.nodes.get_mut(id) else {
            continue;
        };
        node.phase = NodePhase::Running;
        node.message = ArcStr::new();
        node.started_at = Some(Time::new(at));
        node.finished_at = None;
        node.outbound_nodes.clear();
        node.outputs = None;
        node.daemoned = None;
    }
    let labels = &mut workflow.metadata.labels;
    labels.remove(labels::COMPLETED);
    labels.remove(labels::ARCHIVING_STATUS);
    lift_end(&mut workflow.spec);
    let status = &mut workflow.status;
    if let Some(stored) = &mut status.stored_workflow_template_spec {
        lift_end(stored);
    }
    status.phase = WorkflowPhase::Unknown;
    status.message.clear();
    status.started_at = Some(Time::new(at));
    status.finished_at = None;
    status.synchronization = None;
    status.persistent_volume_claims.clear();
    status.conditions.retain(|c| c.r#type != "Completed");
}
