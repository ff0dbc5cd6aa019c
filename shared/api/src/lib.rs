//! Argo's types and names, the messages that Argosy's services exchange, and what they agree on with the executor in a pod. Pure: no IO, no clock, no randomness.

pub mod digest;
pub mod executor;
pub mod labels;
pub mod message;
pub mod names;
pub mod v1alpha1;

/// Text that is shared, not copied: ids, and what stands in very many nodes.
pub use arcstr::ArcStr;
