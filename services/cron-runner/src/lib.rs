//! The cron-runner: starts the workflows of CronWorkflows.
//!
//! Everything is derived from the objects: what is to be done is asked of `argosy-cron` with the object and its workflows as the
//! API has them at that moment, and a run is named after its moment, so that it is created once whoever tries. One replica acts
//! at a time, by a lease; that saves requests, and nothing rests on it.

mod context;
mod desk;
mod metrics;
mod run;
mod service;
mod tend;
mod watch;

pub use service::{Options, Service};
