//! The mini-languages of Argo Workflows, without IO, clock or randomness.
//!
//! - [`render`], [`render_value`]: `{{name}}` and `{{=expression}}` tags
//! - [`expr`]: the expression language (expr-lang 1.17 with Argo's functions and Sprig)
//! - [`when`]: the conditions of steps and tasks (govaluate)
//! - [`sequence`], [`printf`]: `withSequence`
//! - [`limits`]: what an evaluation may use
//! - [`strftime`], [`duration`]: texts of times and durations

pub mod duration;
pub mod expr;
mod gofmt;
mod gotime;
pub mod limits;
pub mod printf;
pub mod sequence;
pub mod strftime;
pub mod tags;
pub mod when;

pub use limits::Limits;
pub use tags::{
    Entry, Error, Layered, Options, Scope, Tag, Template, has_tags, render, render_value, resolve_variable, tags,
};
