//! A Kubernetes API in one process.
//!
//! [`Server`] keeps objects on one revisioned log and serves them through an `axum` router. The same
//! router is the transport of in-process clients ([`Server::client`], an ordinary `kube::Client`
//! without a socket) and answers `kubectl` over TCP ([`Server::serve`]).
//!
//! In memory mode nothing happens by itself: no thread, no clock but [`Options::clock`], no
//! randomness but [`Options::uids`], so a seeded test sees the same revisions and names every time.

mod admission;
mod byte_cache;
mod columns;
mod deletion;
mod discovery;
mod durable;
mod failure;
mod handler;
mod json;
mod json_map;
pub mod kinds;
mod logs;
mod object;
mod patch;
mod pod_columns;
mod pods;
mod protobuf;
mod read;
mod render;
mod request;
mod reviews;
mod selector;
mod server;
mod signals;
mod sources;
mod state;
mod store;
mod table;
mod watching;
mod write;

pub use durable::OpenError;
pub use logs::{LogError, LogOptions, LogSource};
pub use server::{Options, Server};
pub use sources::{Clock, Fault, Faults, RandomUids, SystemClock, UidSource};
