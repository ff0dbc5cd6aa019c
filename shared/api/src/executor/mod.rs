//! What the engine, the pod-runner and the executor in the pod agree on. A pod may be older or newer than the services that
//! read it, as its image is an option: what stands here is a contract between versions, and has samples.

pub mod environment;
mod part;
pub mod paths;
mod report;

pub use part::{INIT, MAIN, Part, WAIT, WRAPPER};
pub use report::Report;

/// Exit code of a container whose executor failed, as opposed to the user's command; so of a container of a set that was not
/// begun, as one that it depends on has failed.
pub const FAILED: i32 = 64;
