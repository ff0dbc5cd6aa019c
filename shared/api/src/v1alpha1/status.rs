//! WorkflowStatus and NodeStatus: what an engine writes and every client reads.
//!
//! Source: Argo Workflows v4.1.2, `pkg/apis/workflow/v1alpha1/*_types.go`.

use std::collections::BTreeMap;

use arcstr::ArcStr;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

/// Argo's `WorkflowStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkflowStatus {
    #[serde(skip_serializing_if = "is_default")]
    pub phase: WorkflowPhase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    #[serde(skip_serializing_if = "is_default")]
    pub estimated_duration: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub compressed_nodes: String,
    #[serde(skip_serializing_if = "Nodes::is_empty")]
    pub nodes: Nodes,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub offload_node_status_version: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stored_templates: BTreeMap<String, Template>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub persistent_volume_claims: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources_duration: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_workflow_template_spec: Option<WorkflowSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronization: Option<SynchronizationStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_repository_ref: Option<ArtifactRepositoryRefStatus>,
    #[serde(rename = "artifactGCStatus", skip_serializing_if = "Option::is_none")]
    pub artifact_gc_status: Option<ArtGCStatus>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub task_results_completion_status: BTreeMap<String, bool>,
}

/// Argo's `NodeStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeStatus {
    pub id: ArcStr,
    pub name: ArcStr,
    #[serde(skip_serializing_if = "ArcStr::is_empty")]
    pub display_name: ArcStr,
    pub r#type: NodeType,
    #[serde(skip_serializing_if = "ArcStr::is_empty")]
    pub template_name: ArcStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_ref: Option<Box<TemplateRef>>,
    #[serde(skip_serializing_if = "ArcStr::is_empty")]
    pub template_scope: ArcStr,
    #[serde(skip_serializing_if = "is_default")]
    pub phase: NodePhase,
    #[serde(rename = "boundaryID", skip_serializing_if = "ArcStr::is_empty")]
    pub boundary_id: ArcStr,
    #[serde(skip_serializing_if = "ArcStr::is_empty")]
    pub message: ArcStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    #[serde(skip_serializing_if = "is_default")]
    pub estimated_duration: i64,
    #[serde(skip_serializing_if = "ArcStr::is_empty")]
    pub progress: ArcStr,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources_duration: BTreeMap<String, i64>,
    #[serde(rename = "podIP", skip_serializing_if = "ArcStr::is_empty")]
    pub pod_ip: ArcStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daemoned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_flag: Option<NodeFlag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Box<Inputs>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Box<Outputs>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ArcStr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outbound_nodes: Vec<ArcStr>,
    #[serde(skip_serializing_if = "ArcStr::is_empty")]
    pub host_node_name: ArcStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memoization_status: Option<Box<MemoizationStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronization_status: Option<Box<NodeSynchronizationStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_result_synced: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub failed_pod_restarts: i32,
    #[serde(rename = "restartingPodUID", skip_serializing_if = "ArcStr::is_empty")]
    pub restarting_pod_uid: ArcStr,
}

/// Argo's `NodeFlag`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeFlag {
    #[serde(skip_serializing_if = "is_default")]
    pub hooked: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub retried: bool,
}

/// Argo's `Condition`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub r#type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Argo's `SynchronizationStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SynchronizationStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semaphore: Option<SemaphoreStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutex: Option<MutexStatus>,
}

/// Argo's `SemaphoreStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SemaphoreStatus {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holding: Vec<SemaphoreHolding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<SemaphoreHolding>,
}

/// Argo's `SemaphoreHolding`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SemaphoreHolding {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub semaphore: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
}

/// Argo's `MutexStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MutexStatus {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holding: Vec<MutexHolding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<MutexHolding>,
}

/// Argo's `MutexHolding`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MutexHolding {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mutex: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub holder: String,
}

/// Argo's `NodeSynchronizationStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSynchronizationStatus {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub waiting: String,
}

/// Argo's `MemoizationStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MemoizationStatus {
    pub hit: bool,
    pub key: String,
    pub cache_name: String,
}

/// Argo's `ArtGCStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtGCStatus {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub strategies_processed: BTreeMap<String, bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pods_recouped: BTreeMap<String, bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub not_specified: bool,
}

/// Argo's `ArtifactRepositoryRefStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArtifactRepositoryRefStatus {
    #[serde(flatten)]
    pub reference: ArtifactRepositoryRef,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "is_default")]
    pub default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_repository: Option<ArtifactRepository>,
}
