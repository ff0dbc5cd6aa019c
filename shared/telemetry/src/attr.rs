//! Names of span attributes.

/// Uid of the workflow.
pub const WORKFLOW_UID: &str = "workflow.uid";
/// Namespace of the workflow.
pub const WORKFLOW_NAMESPACE: &str = "workflow.namespace";
/// Name of the workflow.
pub const WORKFLOW_NAME: &str = "workflow.name";
/// Id of the node.
pub const NODE_ID: &str = "node.id";
/// Kind of the event.
pub const EVENT_KIND: &str = "event.kind";
/// Sequence of the event in its stream.
pub const EVENT_SEQUENCE: &str = "event.seq";
/// Shard of the workflow.
pub const SHARD: &str = "shard";
