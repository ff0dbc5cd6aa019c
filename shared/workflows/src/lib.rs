//! A Workflow between its object and the bus: how it is named there, what is told to its log, how its object is read and
//! reported, and where nodes are kept that do not fit into it.

mod headers;
mod key;
mod log;
pub mod offload;
pub mod read;
mod report;

pub use headers::{HEADER_JUDGED, HEADER_PART, HEADER_POSITION, HEADER_PREVIOUS};
pub use key::{PODS_LISTED, WorkflowKey};
pub use log::WorkflowLog;
pub use report::workflow_changed;
