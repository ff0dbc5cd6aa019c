//! The seeded world: all services on the in-process bus and the in-process API, in virtual time, driven by one seed.
//!
//! Pods are played by a scripted node. Faults come from the seed: messages doubled, delayed, lost and answered to
//! nobody; requests refused, conflicting, answered to nobody; watches dropped, lists stale; services that crash before
//! or after any write, and that freeze until another owner has their shard; replicas that leave in order and come back; the
//! loss of the whole bus; workflows that are terminated or resumed from outside. The grown world adds a second namespace,
//! quotas, edits, retries, sick neighbours, leases that are lost alive, and requests of the dead that arrive late. What comes out is compared with what the
//! engine alone makes of the same workflow, and the invariants of the architecture are checked on the way.

pub mod alone;
mod check;
pub mod corpus;
mod excuse;
mod faults;
mod gate;
mod hand;
mod locks;
mod node;
mod plan;
mod random;
mod services;
mod setup;
mod sick;
mod strict;
pub mod world;

pub use excuse::Excused;
pub use gate::{Crash, Plant, When};
pub use plan::{Change, Edit, Grown, Plan};
pub use services::{Role, Writes};
pub use sick::Sick;
pub use world::{Outcome, run};
