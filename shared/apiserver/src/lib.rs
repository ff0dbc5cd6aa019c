//! A Kubernetes API in one process.
//!
//! [`Server`] keeps objects on one revisioned log and serves them through an `axum` router. The same
//! router is the transport of in-process clients ([`Server::client`], an ordinary `kube::Client`
//! without a socket) and answers `kubectl` over TCP ([`Server::serve`]), there only to who holds the token ([`Access`]).
//!
//! In memory mode nothing happens by itself: no thread, no clock but [`Options::clock`], no
//! randomness but [`Options::uids`], so a seeded test sees the same revisions and names every time.
//!
//! It knows no node. What runs the pods is an ordinary client, and gives their logs through [`LogSource`].

mod access;
mod accounts;
mod admission;
mod age;
mod byte_cache;
mod call;
mod column;
mod columns;
mod deletion;
mod discovery;
mod durable;
mod event_age;
mod failure;
mod field_check;
mod guard;
mod handler;
mod json;
mod json_map;
pub mod kinds;
mod logs;
mod object;
mod openapi;
mod patch;
mod pod_columns;
mod pods;
mod protobuf;
mod quota;
mod read;
mod render;
mod request;
mod reviews;
mod schemas;
mod selector;
mod server;
mod signals;
mod size;
mod sources;
mod state;
mod store;
mod table;
mod validation;
mod watching;
mod write;

pub use access::{Access, AccessError};
pub use durable::OpenError;
pub use logs::LogSource;
pub use server::{Options, Server};
pub use sources::{Clock, Fault, Faults, RandomUids, SystemClock, UidSource};
