//! OBSERVED: facts from outside.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::LockAnswer;
use crate::v1alpha1::{NodePhase, Outputs, Workflow};

/// One fact about one workflow, with the moment at which the one who reports it saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedMessage {
    pub schema: u32,
    pub at: Timestamp,
    #[serde(flatten)]
    pub body: Observed,
}

/// A fact from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Observed {
    /// The Workflow object was created, or edited by someone other than the status service: its spec or metadata
    /// (`shutdown`, `suspend`, …). The object's status is left out unless `status_edited`.
    WorkflowChanged { object: Box<Workflow>, status_edited: bool },
    /// The same of an object that is too large for a message, or that cannot be read as a Workflow: whoever steps this event
    /// reads the object, which is then at least as new as `resource_version`.
    WorkflowReferenced { resource_version: String, status_edited: bool },
    /// The Workflow object was created or edited so that it cannot be read as one. The workflow goes on by what it was, if it
    /// has begun; `error` says what is wrong.
    WorkflowUnreadable { error: String },
    /// The Workflow object is gone, or is about to go (it has a deletion timestamp).
    WorkflowDeleted,
    /// A pod of the workflow changed in a way that matters.
    PodChanged { pod: Box<PodSummary> },
    /// The pod could not be created, for good (the API refused it).
    PodRejected { node_id: String, message: String },
    /// A wish for a pod was handed back without a pod being created. The workflow wishes for it anew, if it still wants it.
    PodNotCreated { node_id: String, reason: NotCreated },
    /// A timer that the engine armed is due.
    TimerFired { key: String },
    /// The answer to a lookup; `object` is absent when there is none by that name, or when it cannot be had.
    LookedUp {
        key: LookupKey,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        object: Option<Value>,
        /// Why it cannot be had, though it may be there; empty otherwise.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        refused: String,
    },
    /// What the locks of a namespace say to what `holder` wanted when the workflow's log was stepped up to `since`.
    LocksAnswered { namespace: String, holder: String, since: u64, answer: LockAnswer },
}

/// Why a wish for a pod was handed back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum NotCreated {
    /// It was delivered again, perhaps long after it was first carried out, so that what came after it may have ended the
    /// pod. Only the log knows.
    Redelivered,
    /// The API refuses it for now: a quota is full, or an admission webhook fails.
    Refused { message: String },
}

/// What the engine asks to see of the cluster. Secrets are never looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupKey {
    pub kind: LookupKind,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
    /// The only key of a ConfigMap's data that is wanted: a ConfigMap may be larger than a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key: Option<String>,
}

/// The kinds that can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LookupKind {
    WorkflowTemplate,
    ClusterWorkflowTemplate,
    ConfigMap,
}

/// What a pod looks like from outside, cut to what the engine decides from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSummary {
    /// From the pod's annotation.
    pub node_id: String,
    pub name: String,
    pub uid: String,
    /// How far the log was stepped when the pod was wished for; of a pod that is not there, when it was asked after. 0 where
    /// nothing says so.
    #[serde(skip_serializing_if = "super::is_zero")]
    pub wished_at: u64,
    /// Kubernetes' pod phase.
    pub phase: PodPhase,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The message of condition PodScheduled=False, with its reason in front: `Unschedulable: …`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unschedulable: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod_ip: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_node_name: String,
    /// The pod's condition Ready.
    pub ready: bool,
    /// The pod object has been asked to go: it has a deletion timestamp.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// The pod object is gone from the API.
    pub deleted: bool,
    pub init_containers: Vec<ContainerSummary>,
    pub containers: Vec<ContainerSummary>,
    /// What the `wait` container reported (its termination message, or the WorkflowTaskResult it names).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// Why that report could not be had though the pod has ended; its node cannot succeed then.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub report_error: String,
    /// `N/M`, from the same report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Seconds × quantity per resource. Source: Argo `util/resource/summary.go`.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub resources_duration: std::collections::BTreeMap<String, i64>,
}

impl PodSummary {
    /// The pod object says how it ended.
    pub fn has_ended(&self) -> bool {
        self.phase.has_ended()
    }
}

/// Kubernetes' phase of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodPhase {
    /// Nobody has said yet: the pod's status is empty, or the pod is not there.
    #[default]
    #[serde(rename = "")]
    Unset,
    Pending,
    Running,
    Succeeded,
    Failed,
    /// Kubernetes cannot tell, or says what this version does not know.
    #[serde(other)]
    Unknown,
}

impl PodPhase {
    /// The pod runs no more.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// As it stands in `status.phase`.
impl From<&str> for PodPhase {
    fn from(text: &str) -> Self {
        match text {
            "" => Self::Unset,
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// One container's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerSummary {
    pub name: String,
    /// Pending while waiting, Running, Succeeded or Failed once terminated.
    pub phase: NodePhase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Of the waiting or terminated state.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    pub ready: bool,
}
