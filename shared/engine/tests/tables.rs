//! The engine's pure functions against the tables recorded from Argo.
//!
//! What was recorded for this project is in the repository. Argo's own tables lie beside the checkout, in
//! `../shared/conformance`, or where `ARGOSY_CONFORMANCE` points; tests of those alone are ignored unless asked for, and then
//! need them. Differences that are meant to stay are listed in `known-differences.txt`.

// The ban on reading files is for the crate; its tables are files.
#![allow(clippy::disallowed_methods)]

#[path = "tables/depends.rs"]
mod depends;
#[path = "tables/harness.rs"]
mod harness;
#[path = "tables/misc.rs"]
mod misc;
#[path = "../../../tests/conformance/recorded/cases.rs"]
mod recorded;
#[path = "tables/retry.rs"]
mod retry;
#[path = "tables/submit.rs"]
mod submit;
#[path = "tables/validate.rs"]
mod validate;
