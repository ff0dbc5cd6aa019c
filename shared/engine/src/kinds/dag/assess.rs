//! How a DAG ended: the phase that its targets give it.

use std::collections::{HashMap, HashSet, VecDeque};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType, WorkflowStep};

use crate::{
    Workflow,
    kinds::steps::continues_on,
    state::{FrameId, bug},
};

impl Workflow {
    /// The phase that follows from the targets. A task that did not run inherits from the branch it is on, where
    /// Failed and Error beat Succeeded. Source: Argo `assessDAGPhase`; inventory §8, row 4.
    pub(crate) fn assess_dag(&self, frame: FrameId) -> NodePhase {
        let Some((owner, dag)) = self.frame(frame).zip(self.dag(frame)) else {
            bug!(self, "", "a DAG ends that has no frame");
            return NodePhase::Error;
        };
        let targets: Vec<(&WorkflowStep, ArcStr)> =
            dag.targets().map(|task| (task.step().as_ref(), self.task_id(frame, task.name()))).collect();
        // Under a shutdown a DAG that has not got to its end fails.
        if self.is_stopping(&owner.call) && !targets.iter().all(|(_, id)| self.book.phase_of(id).is_fulfilled()) {
            return NodePhase::Failed;
        }
        let all_ran = targets.iter().all(|(_, id)| self.book.phase_of(id).is_completed());
        let inherited = if all_ran { HashMap::new() } else { self.phases_on_branches(&owner.call.id) };
        let mut result = NodePhase::Succeeded;
        for (step, id) in &targets {
            let own = self.book.phase_of(id);
            let phase = if own.is_completed() { Some(own) } else { inherited.get(id.as_str()).copied() };
            match phase {
                Some(phase) if phase.is_failed_or_error() && !continues_on(step, phase) => {
                    result = phase;
                    if owner.template.dag.as_ref().and_then(|d| d.fail_fast) != Some(false) {
                        break;
                    }
                }
                Some(_) | None => {}
            }
        }
        result
    }

    /// For each node below `root`, the phase of the last node before it that ran, or its own; the worst one where ways
    /// meet.
    fn phases_on_branches(&self, root: &str) -> HashMap<&str, NodePhase> {
        let mut worst: HashMap<&str, NodePhase> = HashMap::new();
        let mut seen: HashSet<(&str, NodePhase)> = HashSet::new();
        let roots = self.book.node(root).map(|n| n.children.as_slice()).unwrap_or_default();
        let mut queue: VecDeque<(&str, NodePhase)> =
            roots.iter().map(|id| (id.as_str(), NodePhase::Succeeded)).collect();
        while let Some((id, inherited)) = queue.pop_front() {
            if !seen.insert((id, inherited)) {
                continue;
            }
            let Some(node) = self.book.node(id) else { continue };
            let branch = if node.phase.is_completed() { node.phase } else { inherited };
            let known = worst.entry(id).or_insert(branch);
            if !known.is_failed_or_error() {
                *known = branch;
            }
            match node.r#type {
                NodeType::Retry => queue.extend(self.after_retry(node).into_iter().map(|id| (id, branch))),
                _ => queue.extend(node.children.iter().map(|id| (id.as_str(), branch))),
            }
        }
        worst
    }

    /// What follows a retry node: the children of its last attempt, and hooks.
    fn after_retry<'a>(&'a self, node: &'a NodeStatus) -> Vec<&'a str> {
        let hooked = |id: &&ArcStr| self.book.node(id).is_some_and(|n| n.node_flag.as_ref().is_some_and(|f| f.hooked));
        let hooks = node.children.iter().filter(hooked);
        let last = self.attempts_of(&node.id).last().and_then(|id| self.book.node(id));
        last.into_iter().flat_map(|last| &last.children).chain(hooks).map(ArcStr::as_str).collect()
    }
}
