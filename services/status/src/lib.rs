//! The status service: folds EVENTS into Workflow objects. The only writer of their status.

mod actor;
mod diff;
mod expire;
mod metrics;
mod projection;
mod quarantine;
mod service;

pub use projection::{Applied, BYTES_MAX, Error, Place, StatusProjection};
pub use service::{Options, Service};

/// Field manager of the writes.
const MANAGER: &str = "argosy-status";
