//! Node ids. A node's id holds 32 bits of a hash of its name, so that two nodes of a large workflow may well hash alike:
//! among 100,000 it is more likely than not. The one that comes second gets a number behind its id, and its pod behind
//! its name.

use arcstr::ArcStr;
use argosy_api::names;

use crate::Workflow;

impl Workflow {
    /// Whether there is a node of this name.
    pub(crate) fn has_node(&self, node_name: &str) -> bool {
        self.node(&self.id_of(node_name)).is_some_and(|node| node.name == node_name)
    }

    /// The id of the node by that name: of the one there is, or of one that is about to be.
    pub(crate) fn id_of(&self, node_name: &str) -> ArcStr {
        if let Some(id) = self.renumbered.get(node_name) {
            return id.clone();
        }
        let first = ArcStr::from(names::node_id(&self.object.metadata.name, node_name));
        if self.is_free_for(&first, node_name) {
            return first;
        }
        let mut others = (1u32..).map(|number| ArcStr::from(names::numbered_id(&first, number)));
        others.find(|id| self.is_free_for(id, node_name)).unwrap_or_else(|| first.clone())
    }

    /// The same, for a node that is going to be created: from now on no other name gets that id.
    pub(crate) fn claim_id(&mut self, node_name: &ArcStr) -> ArcStr {
        let id = self.id_of(node_name);
        if self.node(&id).is_none() {
            self.note_id(node_name, &id);
            self.claimed.insert(id.clone(), node_name.clone());
        }
        id
    }

    /// Remembers an id that does not follow from the name alone.
    pub(crate) fn note_id(&mut self, node_name: &ArcStr, id: &ArcStr) {
        if names::node_id(&self.object.metadata.name, node_name) != *id.as_str() {
            self.renumbered.insert(node_name.clone(), id.clone());
        }
    }

    fn is_free_for(&self, id: &str, node_name: &str) -> bool {
        let holder = self.node(id).map(|node| &node.name).or_else(|| self.claimed.get(id));
        holder.is_none_or(|holder| holder == node_name)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use argosy_api::{
        message::{ClusterCommand, Observed, PodSummary},
        v1alpha1::{NodePhase, WorkflowPhase},
    };
    use serde_json::json;

    use super::*;
    use crate::{Command, Event};

    /// Pods that are to be created, by node id.
    fn pods(commands: &[Command]) -> BTreeMap<ArcStr, String> {
        let pod = |command: &Command| match command {
            Command::Cluster { node_id, command: ClusterCommand::CreatePod { manifest } } => {
                Some((node_id.clone(), manifest.pod_name().to_owned()))
            }
            _ => None,
        };
        commands.iter().filter_map(pod).collect()
    }

    #[test]
    fn nodes_whose_names_hash_alike_both_run() {
        assert_eq!(names::node_id("wf", "wf.aalvlo"), names::node_id("wf", "wf.aa4pda"));
        let object: argosy_api::v1alpha1::Workflow = serde_json::from_value(json!({
            "metadata": {"name": "wf", "namespace": "ns", "uid": "u"},
            "spec": {"entrypoint": "main", "templates": [
                {"name": "main", "dag": {"tasks": [
                    {"name": "aalvlo", "template": "work"},
                    {"name": "aa4pda", "template": "work"},
                    {"name": "last", "template": "work", "dependencies": ["aa4pda"]},
                ]}},
                {"name": "work", "container": {"image": "i", "command": ["c"]}},
            ]},
        }))
        .expect("fits");
        let mut workflow = Workflow::new(Arc::default(), object.clone(), 0);
        let mut sequence = 0;
        let mut event = |body| {
            sequence += 1;
            Event { sequence, at: jiff::Timestamp::UNIX_EPOCH, body }
        };
        let started = Observed::WorkflowChanged { object: Box::new(object), status_edited: false };
        let first = pods(&workflow.step(event(started)));
        let id = ArcStr::from(names::node_id("wf", "wf.aalvlo"));
        let second = ArcStr::from(names::numbered_id(&id, 1));
        assert_eq!(first.keys().collect::<Vec<_>>(), [&id, &second]);
        assert_eq!(first[&second], format!("{}-1", first[&id]));

        let mut workflow = Workflow::new(Arc::default(), workflow.object().clone(), workflow.watermark());
        assert_eq!(pods(&workflow.resume(jiff::Timestamp::UNIX_EPOCH)), first);
        let mut waiting: Vec<(ArcStr, String)> = first.into_iter().collect();
        while let Some((node_id, name)) = waiting.pop() {
            let pod =
                PodSummary { node_id: node_id.to_string(), name, phase: "Succeeded".to_owned(), ..Default::default() };
            waiting.extend(pods(&workflow.step(event(Observed::PodChanged { pod: Box::new(pod) }))));
        }
        let status = &workflow.object().status;
        assert_eq!(status.phase, WorkflowPhase::Succeeded);
        assert_eq!(status.nodes.values().filter(|n| n.phase == NodePhase::Succeeded).count(), 4);
    }
}
