//! The pod-runner: carries out the scheduler's wishes in the cluster, and tells each workflow's log what its pods do.
//! The only one who creates or deletes pods.

mod bin;
mod collect;
mod command;
mod context;
mod duration;
mod identity;
mod images;
mod known;
mod marks;
mod metrics;
mod objects;
mod observer;
mod report;
mod service;
mod summary;
mod watch;

pub use context::{CreateLimit, Options};
pub use duration::resources_duration;
pub use images::{BadMirror, ImageCommand, Mirror};
pub use service::Service;
pub use summary::summarize;
