//! The engine: a pure state machine per workflow.
//!
//! [`Workflow::step`] takes one [`Event`] and answers with [`Command`]s. It does no IO, reads no clock and draws no
//! random numbers: time comes in with the events, timers go out as commands. Equal events give equal commands.
//! The state *is* the Workflow object; everything else the engine holds is derived from it.

pub mod command;
pub mod config;
pub mod depends;
pub mod ops;
pub mod pod;
pub mod validate;

pub use command::{Command, Event, EventBody, Lookup};
pub use config::Config;
