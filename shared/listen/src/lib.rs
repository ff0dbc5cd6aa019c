//! What the project's servers share that listen for people and their programs: connections with TLS or without it on one
//! port, and the names under which a server may be addressed.

mod hosts;
mod listener;

pub use hosts::{Hosts, Refused};
pub use listener::{Connection, Listener};
