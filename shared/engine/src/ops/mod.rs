//! Operations on whole objects: merging specs, submitting, retrying, resuming.

pub mod merge;
pub mod resubmit;
pub mod retry;
pub mod selector;
pub mod strategic;
pub mod submit;
pub mod suspend;
pub mod user;
