//! CronWorkflow.
//!
//! Source: Argo Workflows v4.1.2, `pkg/apis/workflow/v1alpha1/*_types.go`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

/// Argo's `CronWorkflowSpec`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CronWorkflowSpec {
    pub workflow_spec: WorkflowSpec,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub concurrency_policy: String,
    #[serde(skip_serializing_if = "is_default")]
    pub suspend: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_deadline_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful_jobs_history_limit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_jobs_history_limit: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_metadata: Option<ObjectMeta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_strategy: Option<StopStrategy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub when: String,
}

/// Argo's `CronWorkflowStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CronWorkflowStatus {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<Value>,
    pub last_scheduled_time: Option<Time>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    pub succeeded: i64,
    pub failed: i64,
    pub phase: String,
}

/// Argo's `StopStrategy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StopStrategy {
    pub expression: String,
}
