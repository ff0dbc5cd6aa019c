//! EVENTS: facts decided. The payload (`data`) of the CloudEvents; documented for subscribers in `docs/events.md`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChangedNodes, MetricSample};
use crate::{ArcStr, v1alpha1::NodePhase};

/// What one step of the engine changed in the status of a workflow. Folding all of them in order gives the status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StatusChanged {
    pub schema: u32,
    pub at: Timestamp,
    pub namespace: String,
    pub workflow: String,
    pub workflow_uid: String,
    /// The OBSERVED sequence that caused it.
    pub observed_sequence: u64,
    /// False for all but the last of the messages that one large step was cut into.
    pub last: bool,
    /// The nodes that are new or changed, whole but for `children` and `outboundNodes`: see `grown`.
    #[serde(skip_serializing_if = "ChangedNodes::is_empty")]
    pub nodes: ChangedNodes,
    /// What was added to lists of ids that a node may have very many of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grown: Vec<Growth>,
    /// Nodes that are no more (retry).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_nodes: Vec<ArcStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_status: Option<WorkflowDelta>,
    /// What is to be counted because of it. Who counts does so once for each message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricSample>,
}

/// Ids added to a list of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Growth {
    /// Id of the node.
    pub node: ArcStr,
    pub list: NodeList,
    /// How many ids the list has in front of these. Any that it has behind are no more.
    pub from: usize,
    pub ids: Vec<ArcStr>,
}

impl Growth {
    /// Brings the list up to date; twice is harmless.
    pub fn apply(&self, list: &mut Vec<ArcStr>) {
        list.truncate(self.from);
        list.extend_from_slice(&self.ids);
    }
}

/// The lists of a node that grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeList {
    #[default]
    Children,
    OutboundNodes,
}

/// The members of the object outside `status.nodes` that changed, as a JSON merge patch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkflowDelta {
    /// Merge patch of `status` less `nodes`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub status: Value,
    /// Merge patch of `metadata.labels`; null removes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Option<String>>,
    /// Merge patch of `metadata.annotations`; null removes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Option<String>>,
    /// Merge patch of `spec`. Reserved: nothing writes it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub spec: Value,
    /// The workflow has ended: nothing follows but a retry.
    pub completed: bool,
}

impl StatusChanged {
    /// The CloudEvents type, which is also the last token of the subject.
    pub fn event_type(&self) -> &'static str {
        match &self.workflow_status {
            Some(delta) if delta.completed => "completed",
            _ if self.nodes.iter().any(|n| n.phase == NodePhase::Running) => "running",
            _ => "changed",
        }
    }
}
