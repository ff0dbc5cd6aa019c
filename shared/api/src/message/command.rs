//! COMMANDS: wishes for the pod-runner.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Manifest;
use crate::digest::Position;

/// One wish, with the lease epoch of the scheduler that uttered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandMessage {
    pub schema: u32,
    pub at: Timestamp,
    pub epoch: u64,
    /// How far the log was stepped when it was uttered. What is uttered of one node has this order, whatever becomes of
    /// deliveries.
    pub sequence: u64,
    pub namespace: String,
    pub workflow: String,
    pub workflow_uid: String,
    /// The node it is about; the workflow's name for objects of the whole workflow.
    pub node_id: String,
    #[serde(flatten)]
    pub body: ClusterCommand,
}

/// A wish about the cluster. Each may be carried out twice without harm: names are deterministic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClusterCommand {
    /// The pod should exist, of this wish or of one that was uttered at `not_before` of the log or later. An older pod by that
    /// name is of before a retry, and goes first.
    CreatePod {
        manifest: Manifest,
        #[serde(default, skip_serializing_if = "super::is_zero")]
        not_before: u64,
    },
    /// How the pod is should be told if nobody watches it, or that it is gone. Changes nothing. `is_check`: everything has been
    /// told already, unless there is a bug.
    ConfirmPod { name: String, is_check: bool },
    /// The pod should end: its containers get SIGTERM, and SIGKILL after the grace period. One that has ended already stays,
    /// and is told how it ended.
    StopPod { name: String },
    /// The pod object should be gone.
    DeletePod { name: String },
    /// The ended pod gets the label `completed=true`.
    LabelPodCompleted { name: String },
    /// The ended pod should be gone, by the workflow's `podGC`.
    CollectPod {
        name: String,
        #[serde(flatten)]
        terms: Collection,
    },
    /// The workflow has ended: those of its pods that are not dealt with yet should be gone (`deletes`), or get the label
    /// `completed=true`.
    CollectPods {
        deletes: bool,
        #[serde(flatten)]
        terms: Collection,
    },
    /// An object that belongs to the workflow (a PVC, a PodDisruptionBudget) should exist.
    CreateObject { manifest: Value },
    /// The cache, a ConfigMap that is made when there is none, should have this entry (JSON text) under the key.
    SaveCacheEntry { config_map: String, key: String, entry: String },
    /// An object of the workflow should be gone.
    DeleteObject { api_version: String, resource_kind: String, name: String },
}

/// How pods are collected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// Labels of the pods that are meant, as Kubernetes writes selectors; without it, all are. The others get the label
    /// `completed=true` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Value>,
    /// Milliseconds from the wish on, in which nothing is deleted.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub delay_ms: u64,
    /// The object must have been brought this far before: what was published last when it was wished for. Until then the pod
    /// may be all that is left of its node's end.
    #[serde(default)]
    pub published: Position,
}

impl ClusterCommand {
    /// The kind, as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreatePod { .. } => "createPod",
            Self::ConfirmPod { .. } => "confirmPod",
            Self::StopPod { .. } => "stopPod",
            Self::DeletePod { .. } => "deletePod",
            Self::LabelPodCompleted { .. } => "labelPodCompleted",
            Self::CollectPod { .. } => "collectPod",
            Self::CollectPods { .. } => "collectPods",
            Self::CreateObject { .. } => "createObject",
            Self::SaveCacheEntry { .. } => "saveCacheEntry",
            Self::DeleteObject { .. } => "deleteObject",
        }
    }
}
