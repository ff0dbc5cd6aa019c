//! What an operator sets, as far as decisions depend on it.

use argosy_api::v1alpha1::WorkflowSpec;
use argosy_template::Limits;
use serde_json::Value;

/// Largest message of the bus, in bytes: the default of NATS.
const BUS_MESSAGE_BYTES: usize = 1024 * 1024;
/// Room that is left in a message for its envelope and headers, in bytes.
const BUS_HEADROOM_BYTES: usize = 64 * 1024;

/// Settings of the engine; the same for all workflows of an installation.
#[derive(Clone, Debug)]
pub struct Config {
    /// Image of the init and wait containers.
    pub executor_image: String,
    /// What the init and wait containers have beside what they need: `resources`, `securityContext`, `imagePullPolicy`, `env`.
    /// Source: Argo ConfigMap key `executor`.
    pub executor: Option<Value>,
    /// Merged under the user's main containers. Source: Argo ConfigMap key `mainContainer`.
    pub main_container: Option<Value>,
    /// Marks pods as of this one of several installations in a cluster; empty: of the one without a mark. Source: Argo
    /// ConfigMap key `instanceID`.
    pub instance_id: String,
    /// Merged under every workflow's spec. Source: Argo ConfigMap key `workflowDefaults`.
    pub workflow_defaults: Option<WorkflowSpec>,
    /// Where artifacts with only a key go, and keys of unnamed output artifacts. Source: Argo `artifactRepository`.
    pub artifact_repository: Option<argosy_api::v1alpha1::ArtifactRepository>,
    /// Milliseconds that a pod stays once its `podGC` says that it goes, where that says nothing of it. Source: Argo ConfigMap
    /// key `podGCDeleteDelayDuration`, 5 s.
    pub pod_gc_delay_ms: u64,
    /// Depth of template calls at which a workflow is taken to recurse for ever. Source: Argo, 100.
    pub depth_max: usize,
    /// Nodes that a workflow may have, those included that wait for their turn. A workflow that wants more ends with Error.
    /// Default: 200,000, twice of what is supported. Each costs about 1 to 4 KB of memory while the workflow runs.
    pub nodes_max: usize,
    /// Nodes that a workflow may add because of one event. A workflow that wants more ends with Error, without those nodes.
    /// Default: 150,000, more than a loop over all the nodes that are supported.
    pub nodes_per_event_max: usize,
    /// Pieces of work (calls, starts and ends of nodes) that one event may cause. A workflow that causes more ends with
    /// Error. Default: 2,000,000, ten for each node that there may be.
    pub work_per_event_max: usize,
    /// Steps that all evaluations of expressions because of one event may take together. A workflow that wants more ends with
    /// Error. Default: 3,000,000, three of the largest there may be; they take about a fifth of a second.
    pub expression_steps_per_event_max: u64,
    /// Bytes that the inputs and outputs of a workflow's nodes may take together, while it runs. A workflow that wants more
    /// ends with Error. Default: 512 MiB, about 5 KB for each of 100,000 nodes.
    pub values_bytes_max: usize,
    /// Bytes of JSON that the steps of one loop may take together, before they run. A loop that wants more is an error of
    /// its step. Default: 256 MiB.
    pub loop_bytes_max: usize,
    /// Size at which a pod's manifest or a node cannot be sent over the bus, in bytes of JSON; its node ends with Error.
    /// Default: 960 KiB, that is the 1 MiB that NATS takes, less 64 KiB for the envelope.
    pub message_bytes_max: usize,
    /// What users may write beside a reference to a template. Source: Argo ConfigMap key
    /// `workflowRestrictions.templateReferencing`. Default: none.
    pub restrictions: Option<TemplateReferencing>,
    /// What one evaluation of an expression, one rendering of a text and one loop may use.
    pub limits: Limits,
}

/// Workflows only come from templates. Source: Argo docs/workflow-restrictions.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateReferencing {
    /// A workflow must have a `workflowTemplateRef`, and beside it only what does not change what its pods are.
    Strict,
    /// The same, and what the workflow runs by must stay what its template says.
    Secure,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            executor_image: "argosy/executor".to_owned(),
            executor: None,
            main_container: None,
            instance_id: String::new(),
            workflow_defaults: None,
            artifact_repository: None,
            pod_gc_delay_ms: 5_000,
            depth_max: 100,
            nodes_max: 200_000,
            nodes_per_event_max: 150_000,
            work_per_event_max: 2_000_000,
            expression_steps_per_event_max: 3_000_000,
            values_bytes_max: 512 * 1024 * 1024,
            loop_bytes_max: 256 * 1024 * 1024,
            message_bytes_max: BUS_MESSAGE_BYTES - BUS_HEADROOM_BYTES,
            restrictions: None,
            limits: Limits::default(),
        }
    }
}
