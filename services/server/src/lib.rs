//! Argo's server: the REST API that Argo's web page, command line, Hera and webhooks call, for the Kubernetes API behind it.
//!
//! Every request is the caller's: reads and writes go to the Kubernetes API with the caller's token, which decides what may
//! be done. The operations and the validation are the engine's own. Source of the routes, names and answers: Argo's
//! `api/openapi-spec/swagger.json`; `server/` for what the specification leaves open.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod app;
mod body;
mod caller;
mod failure;
mod fields;
mod place;
mod query;
mod routes;
mod serve;
mod stream;

pub use app::Options;
pub use caller::{Mode, UnknownMode};
pub use serve::{router, serve};
