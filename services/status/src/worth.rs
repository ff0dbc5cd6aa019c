//! Which changes are worth a write of their own.

use argosy_api::message::{StatusChanged, WorkflowDelta};
use argosy_api::v1alpha1::NodePhase;

/// What nobody decides by: nodes that go from Pending to Running, their progress, what they wait for. It can wait a little for
/// company. A workflow of one quick pod then costs two writes, its beginning and its end.
pub(crate) fn is_minor(change: &StatusChanged) -> bool {
    let is_open = |phase: NodePhase| matches!(phase, NodePhase::Pending | NodePhase::Running);
    let is_small = |delta: &WorkflowDelta| {
        let members = delta.status.as_object();
        let is_known = |name: &String| ["conditions", "progress", "resourcesDuration"].contains(&name.as_str());
        !delta.completed
            && delta.labels.is_empty()
            && delta.annotations.is_empty()
            && members.is_none_or(|members| members.keys().all(is_known))
    };
    change.grown.is_empty()
        && change.removed_nodes.is_empty()
        && change.nodes.iter().all(|node| is_open(node.phase))
        && change.workflow_status.as_ref().is_none_or(is_small)
}

#[cfg(test)]
mod tests {
    use argosy_api::message::Growth;
    use argosy_api::v1alpha1::NodeStatus;
    use serde_json::json;

    use super::*;

    fn with_node(phase: NodePhase) -> StatusChanged {
        let node = NodeStatus { phase, ..NodeStatus::default() };
        StatusChanged { nodes: [node.into()].into_iter().collect(), ..StatusChanged::default() }
    }

    #[test]
    fn what_begins_or_ends_is_worth_a_write() {
        assert!(is_minor(&with_node(NodePhase::Running)) && is_minor(&with_node(NodePhase::Pending)));
        for phase in [NodePhase::Succeeded, NodePhase::Failed, NodePhase::Error, NodePhase::Skipped] {
            assert!(!is_minor(&with_node(phase)), "{phase}");
        }
        let grown = StatusChanged { grown: vec![Growth::default()], ..with_node(NodePhase::Pending) };
        assert!(!is_minor(&grown), "a node has come");
        let with = |delta: WorkflowDelta| StatusChanged { workflow_status: Some(delta), ..StatusChanged::default() };
        let status = |status| with(WorkflowDelta { status, ..WorkflowDelta::default() });
        assert!(is_minor(&status(json!({"conditions": [], "progress": "0/1"}))));
        assert!(!is_minor(&status(json!({"phase": "Running"}))));
        assert!(!is_minor(&with(WorkflowDelta { completed: true, ..WorkflowDelta::default() })));
    }
}
