//! The engine: a pure state machine per workflow.
//!
//! [`Workflow::step`] takes one [`Event`] and answers with [`Command`]s. It does no IO, reads no clock and draws no
//! random numbers: time comes in with the events, timers go out as commands. Equal events give equal commands.
//! The state *is* the Workflow object; everything else the engine holds is derived from it.

pub mod advise;
pub mod command;
pub mod config;
pub mod depends;
mod flow;
mod json;
mod kinds;
pub mod ops;
pub mod pod;
mod size;
mod state;
mod tagged;
pub mod validate;
mod values;
mod workflow;

pub use command::{Command, Event, EventBody, Lookup};
pub use config::{Config, TemplateReferencing};
pub use flow::waits::{Hold, Overlooked, Wait};
pub use flow::why::{Reason, ReasonKind};
pub use state::{Behavior, Bug};
pub use workflow::Workflow;
