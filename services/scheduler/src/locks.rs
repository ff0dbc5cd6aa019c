//! The locks of a namespace as an entity of the host.

mod entity;
mod look;
mod store;

pub(crate) use entity::{LocksEntity, want_of};
pub(crate) use store::{LocksStore, StoredLocks};
