//! The watcher: tells each workflow's log what happens to its object.
//!
//! It forwards what people and programs do to Workflow objects, and keeps quiet about the status service's own writes.
//! Any number of replicas may run: message ids make their reports one.

mod metrics;
mod seen;
mod service;

pub use seen::{Report, Seen, Source};
pub use service::{Error, Options, Service};
