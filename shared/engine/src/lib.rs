//! The engine: a pure state machine per workflow.
//!
//! [`Workflow::step`] takes one [`Event`] and answers with [`Command`]s. It does no IO, reads no clock and draws no
//! random numbers: time comes in with the events, timers go out as commands. Equal events give equal commands.
//! The state *is* the Workflow object; everything else the engine holds is derived from it.

mod aggregate;
mod args;
mod assess;
mod call;
mod children;
pub mod command;
pub mod config;
mod dag;
mod deferred;
pub mod depends;
mod due;
mod edits;
mod expand;
mod expressions;
mod finish;
mod growth;
mod items;
mod json;
mod library;
mod limits;
mod memoize;
mod metadata;
mod nodes;
pub mod ops;
mod outputs;
pub mod pod;
mod pods;
mod prepare;
mod references;
mod resolve;
mod retry;
mod scope;
mod size;
mod state;
mod steps;
mod suspend;
mod tagged;
pub mod validate;
mod variables;
mod waits;
mod wishes;
mod workflow;

pub use command::{Command, Event, EventBody, Lookup};
pub use config::{Config, TemplateReferencing};
pub use state::{Behavior, Bug};
pub use waits::{Hold, Overlooked, Wait};
pub use workflow::Workflow;
