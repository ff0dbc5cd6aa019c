//! Hosts that the next attempt's pods avoid.

use std::collections::BTreeSet;

use argosy_api::v1alpha1::NodeType;

use crate::{
    Workflow,
    state::{Call, FrameId, Parent},
};

impl Workflow {
    /// Names of the hosts on which pods of earlier attempts have failed, where the retry strategy asks to avoid them; sorted.
    ///
    /// The strategy that counts is that of the node itself, or else of the template that calls it. Source: Argo
    /// `FindRetryNode`, `GetFailHosts`.
    pub(super) fn hosts_to_avoid(&self, call: &Call) -> Vec<String> {
        let boundary = || call.boundary.and_then(|boundary| retry_of(&self.frame(boundary)?.call));
        let Some(retry) = retry_of(call).or_else(boundary) else { return Vec::new() };
        if !self.avoids_hosts(retry) {
            return Vec::new();
        }
        let Some(root) = self.frame(retry).map(|frame| &frame.call.id) else { return Vec::new() };
        let (mut seen, mut left, mut hosts) = (BTreeSet::from([root]), vec![root], BTreeSet::new());
        while let Some(node) = left.pop().and_then(|id| self.book.node(id)) {
            if node.r#type == NodeType::Pod && node.phase.is_failed_or_error() && !node.host_node_name.is_empty() {
                hosts.insert(node.host_node_name.to_string());
            }
            left.extend(node.children.iter().filter(|id| self.book.node(id).is_some() && seen.insert(id)));
        }
        hosts.into_iter().collect()
    }
}

/// The retry node that the call is an attempt of.
fn retry_of(call: &Call) -> Option<FrameId> {
    match call.parent {
        Parent::Attempt { frame } => Some(frame),
        Parent::Entry | Parent::OnExit | Parent::WorkflowHook(_) | Parent::Child { .. } | Parent::ChildHook { .. } => {
            None
        }
    }
}
