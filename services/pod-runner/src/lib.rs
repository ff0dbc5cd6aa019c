//! The pod-runner: carries out the scheduler's wishes in the cluster, and tells each workflow's log what its pods do.
//! The only one who creates or deletes pods.

mod command;
mod duration;
mod metrics;
mod missing;
mod observer;
mod service;
mod summary;
mod watch;

pub use duration::resources_duration;
pub use service::{Options, Service};
pub use summary::{Report, summarize};
