//! Operations on whole objects: merging specs, submitting, retrying, resuming.

pub mod strategic;
