//! Operations on whole objects: merging specs, submitting, retrying, resuming.

pub mod merge;
pub mod strategic;
pub mod submit;
