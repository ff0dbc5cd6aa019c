//! The status service: folds EVENTS into Workflow objects. The only writer of their status.

mod actor;
mod budget;
mod diff;
mod expire;
mod fold;
mod metrics;
mod service;

pub use fold::{Applied, BYTES_MAX, Error, Fold};
pub use service::{Options, Service};
