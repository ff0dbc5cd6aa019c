//! The recorder: tells people what happens to workflows, as Kubernetes Events, which `kubectl describe` and
//! `kubectl get events` show.
//!
//! It subscribes to EVENTS as anybody may, decides nothing, and nothing waits for it.

mod measure;
mod metrics;
mod notes;
mod seen;
mod service;
mod tally;

pub use service::{Options, Service};
