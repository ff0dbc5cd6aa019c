//! Clients of `argosy dev`: our own commands, and kubectl where it is installed.

mod commands;
mod completion;
mod cron;
mod gc;
mod kubectl;
mod private;
mod quarantine;
mod restrictions;
mod several;
mod support;
