//! The engine under hostile input and odd orders of events: nothing is lost, nothing grows without limit, nothing panics.
//!
//! These run in debug builds, where a bug that the engine notes is a panic.

#[path = "robust/budgets.rs"]
mod budgets;
#[path = "robust/edits.rs"]
mod edits;
#[path = "robust/gc.rs"]
mod gc;
#[path = "robust/ids.rs"]
mod ids;
#[path = "robust/locks.rs"]
mod locks;
#[path = "robust/measured.rs"]
mod measured;
#[path = "robust/mutated.rs"]
mod mutated;
#[path = "robust/operated.rs"]
mod operated;
#[path = "robust/parallelism.rs"]
mod parallelism;
#[path = "robust/placed.rs"]
mod placed;
#[path = "robust/play.rs"]
mod play;
#[path = "robust/refused.rs"]
mod refused;
#[path = "robust/restrictions.rs"]
mod restrictions;
#[path = "robust/retried.rs"]
mod retried;
#[path = "robust/taken_up.rs"]
mod taken_up;
#[path = "robust/timers.rs"]
mod timers;
#[path = "robust/why.rs"]
mod why;
