//! The names of pods.

use argosy_api::{
    message::ClusterCommand,
    names::{self, PodNameVersion},
    v1alpha1::WorkflowStep,
};

use crate::{
    Workflow,
    state::{Call, bug},
};

impl Workflow {
    pub(crate) fn pod_name(&self, call: &Call) -> String {
        self.pod_name_of(&call.name, &call.id, template_label(&call.step))
    }

    pub(crate) fn pod_name_of(&self, node_name: &str, node_id: &str, template: &str) -> String {
        names::pod_name(self.book.name(), node_name, template, node_id, self.pod_names())
    }

    /// Whether a pod of this name is the node's.
    pub(crate) fn is_pod_of(&self, node_id: &str, name: &str) -> bool {
        self.book.node(node_id).is_some_and(|node| {
            let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| &r.template);
            let workflow = self.book.name();
            names::is_pod_name(name, workflow, &node.name, template, &node.id, self.pod_names())
        })
    }

    fn pod_names(&self) -> PodNameVersion {
        match self.book.meta().annotations.get(argosy_api::labels::POD_NAME_FORMAT).map(String::as_str) {
            Some("v1") => PodNameVersion::V1,
            _ => PodNameVersion::V2,
        }
    }

    /// Asks for the end of a node's pod.
    pub(crate) fn stop_pod(&mut self, node_id: &str) {
        let Some(name) = self.pod_of(node_id) else {
            return bug!(self, node_id, "a pod is stopped of a node that is not in the status");
        };
        self.agenda.wish_cluster(node_id.into(), ClusterCommand::StopPod { name });
    }

    /// The name of a pod node's pod.
    pub(crate) fn pod_of(&self, node_id: &str) -> Option<String> {
        let node = self.book.node(node_id)?;
        let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| &r.template);
        Some(self.pod_name_of(&node.name, &node.id, template))
    }
}

/// The name of the template that a step calls, as it stands in the names of pods.
fn template_label(step: &WorkflowStep) -> &str {
    step.template_ref.as_ref().map_or(&step.template, |reference| &reference.template)
}
