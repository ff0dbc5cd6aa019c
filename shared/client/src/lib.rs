//! What programs share that speak to the API server for people: the command line, and whatever serves the same over HTTP.
//!
//! Connecting, selecting workflows, reading them whole or as far as they can be read, changing one that others change too,
//! watching them to their end, their pods and logs. Nothing here knows of terminals, flags or exit codes: what is worth
//! saying beside an answer is given to a [`Warn`].

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod connect;
pub mod edit;
mod error;
mod follow;
mod live;
mod merged;
pub mod named;
pub mod nodes;
pub mod objects;
pub mod order;
mod ordered;
pub mod pods;
pub mod read;
pub mod select;
mod silence;
mod watch;

pub use connect::Connection;
pub use error::{Error, Warn, Warning, chain};
pub use follow::FollowedLogs;
pub use live::{Cut, Line, LiveLogs, Stuck};
pub use merged::{Merged, Next};
pub use watch::Watched;
