//! CronWorkflows: what their schedules say, and what is to be done at a moment. Pure: no IO, clock or randomness.
//!
//! - [`Schedule`]: one schedule, and its moments
//! - [`Timetable`]: all schedules of a CronWorkflow, and which of their moments is due
//! - [`look`]: what is to be done now, by the object and its workflows; [`started`] and [`refused`]: what became of it
//! - [`problems`]: what is wrong with one
//! - [`workflow`]: the Workflow of a moment
//! - [`backfill`]: the moments of a range
//!
//! Everything is derived from the object: equal objects give equal decisions, and the name of a run is that of its moment.

pub mod backfill;
mod child;
mod history;
mod look;
mod policy;
mod problems;
mod run;
mod schedule;
mod timetable;
mod variables;
mod workflow;

pub use child::Child;
pub use history::unknown_times;
pub use look::{Around, Look, look};
pub use policy::{StopError, WhenError, Why, reconcile, when};
pub use problems::problems;
pub use run::{Run, Verdict, refused, run, started};
pub use schedule::{Error, Schedule, zone};
pub use timetable::{Due, ON_TIME_SECS, Timetable, schedule_texts, used_schedule};
pub use workflow::{name, workflow};
