//! Names of the variables that all containers of a pod have. Source: Argo `workflow/common/common.go`.

/// The name of the container.
pub const CONTAINER_NAME: &str = "ARGO_CONTAINER_NAME";
/// The id of the node.
pub const NODE_ID: &str = "ARGO_NODE_ID";
/// The name of the workflow.
pub const WORKFLOW_NAME: &str = "ARGO_WORKFLOW_NAME";
/// The uid of the workflow.
pub const WORKFLOW_UID: &str = "ARGO_WORKFLOW_UID";
/// The name of the pod.
pub const POD_NAME: &str = "ARGO_POD_NAME";
/// The uid of the pod.
pub const POD_UID: &str = "ARGO_POD_UID";
/// "true" where the main container's standard output is the node's result.
pub const INCLUDE_SCRIPT_OUTPUT: &str = "ARGO_INCLUDE_SCRIPT_OUTPUT";
/// The path of the progress file: [`PROGRESS`](super::paths::PROGRESS).
pub const PROGRESS_FILE: &str = "ARGO_PROGRESS_FILE";
/// How often progress is shown, as a duration of Go's. The user may set it.
pub const PROGRESS_TICK: &str = "ARGO_PROGRESS_PATCH_TICK_DURATION";
/// The moment at which the pod must have ended (RFC 3339), where there is one.
pub const DEADLINE: &str = "ARGO_DEADLINE";
/// The artifact repository of the installation as JSON: where artifacts are that name no bucket. Argosy's own.
pub const ARTIFACT_REPOSITORY: &str = "ARGOSY_ARTIFACT_REPOSITORY";
/// Where artifacts go below the repository that say nothing of it, without the name of the artifact. Argosy's own.
pub const ARTIFACT_KEY_PREFIX: &str = "ARGOSY_ARTIFACT_KEY_PREFIX";
/// The template as JSON; only `init` and `wait` have it.
pub const TEMPLATE: &str = "ARGO_TEMPLATE";
