//! The status service: folds EVENTS into Workflow objects. No other service writes their status; people do, by `argosy resume`
//! and the like, and it goes on from what they wrote.

mod actor;
mod context;
mod event_retention;
mod metrics;
mod orphaned_nodes;
mod projection;
mod quarantine;
mod service;
mod words;
mod worth;

pub use context::Options;
pub use projection::{Applied, BYTES_MAX, Error, OBJECT_BYTES_MAX, Outside, Place, Sizes, StatusProjection};
pub use service::Service;

/// Field manager of the writes.
const MANAGER: &str = "argosy-status";
