//! The `argoproj.io/v1alpha1` types, field for field.
//!
//! Parts of a Pod that the engine passes on without looking into (affinity, tolerations, volumes, …) stay
//! [`serde_json::Value`], so that a newer Kubernetes field survives the trip. Unknown fields are not an error here:
//! strictness is the validator's job, which can name file, line and column.

mod any;
mod artifact;
mod container;
mod control;
mod cron;
mod nodes;
mod object;
mod owner;
mod phase;
mod status;
mod task_result;
mod template;
mod workflow;

pub use any::{AnyString, IntOrString, Time, number_text};
pub use artifact::*;
pub use container::*;
pub use control::*;
pub use cron::*;
pub use nodes::Nodes;
pub use object::*;
pub use owner::WorkflowOwner;
pub use phase::{NodePhase, NodeType, WorkflowPhase};
pub use status::*;
pub use task_result::{NodeResult, WorkflowTaskResult};
pub use template::*;
pub use workflow::*;

/// `argoproj.io/v1alpha1`.
pub const API_VERSION: &str = "argoproj.io/v1alpha1";

/// True for the value that a field has when it is absent; such fields are not written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
