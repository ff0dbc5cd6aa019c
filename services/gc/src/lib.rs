//! The garbage collector of workflows: deletes those whose `ttlStrategy` says so, and the oldest of more than the
//! `retentionPolicy` keeps.
//!
//! Everything is derived from the objects. When a workflow expires is noted in its metadata as it ends, by the same write, and
//! only metadata is watched: a finished workflow costs a few dozen bytes here, and nothing anywhere else. One replica acts at a
//! time, by a lease; that saves requests, and nothing rests on it.

mod expiries;
mod metrics;
mod remove;
mod service;
mod ttl;
mod watch;

pub use expiries::Retention;
pub use service::{Options, Service};
