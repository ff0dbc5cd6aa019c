//! The status service: folds EVENTS into Workflow objects. The only writer of their status.

mod actor;
mod context;
mod expire;
mod metrics;
mod projection;
mod quarantine;
mod service;
mod unnamed;

pub use context::Options;
pub use projection::{Applied, BYTES_MAX, Error, OBJECT_BYTES_MAX, Outside, Place, Sizes, StatusProjection};
pub use service::Service;

/// Field manager of the writes.
const MANAGER: &str = "argosy-status";
