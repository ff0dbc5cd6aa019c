//! The `argosy` command line.

mod absent;
mod channel;
pub mod check;
mod cleaning;
mod cli;
mod colors;
mod commands;
mod connect;
pub mod diagnostic;
mod duration;
mod ending;
mod failure;
mod follow;
pub mod load;
mod output;
mod overrides;
mod parameters;
mod phases;
mod reach;
pub mod render;
mod run;
mod running;
pub mod schema;
mod silence;
mod state;
mod suggest;
mod tails;
mod terminal;
mod view;

pub use cli::main;
