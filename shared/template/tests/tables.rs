//! Runs the conformance tables of single semantics: the rows that were recorded for this project, and Argo's own where they
//! lie beside the checkout.

// The ban on reading files is for the crate; its tables are files.
#![allow(clippy::disallowed_methods)]

#[path = "tables/expr.rs"]
mod expr;
#[path = "tables/limits.rs"]
mod limits;
#[path = "tables/misc.rs"]
mod misc;
#[path = "tables/properties.rs"]
mod properties;
#[path = "../../../tests/conformance/recorded/cases.rs"]
#[allow(dead_code)] // others use the rest
mod recorded;
#[path = "tables/scopes.rs"]
mod scopes;
#[path = "tables/sequence.rs"]
mod sequence;
#[path = "tables/support.rs"]
mod support;
#[path = "tables/template.rs"]
mod template;
#[path = "tables/vectors.rs"]
mod vectors;
#[path = "tables/when.rs"]
mod when;
