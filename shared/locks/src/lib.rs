//! The mutexes and semaphores of one namespace: a pure state machine.
//!
//! A holder wants some locks, and gets all of them or none. Of those that want the same lock the one with the higher priority
//! comes first, then the one whose workflow is older; nobody of another workflow overtakes the first. Source: Argo
//! `workflow/sync/semaphore.go`, inventory §8, row 21.
//!
//! What is here is what the log of the locks makes of it. Every fact may come twice: a holder is told by its name and the uid
//! of its workflow, and what it wants by how far its workflow's log was stepped then.

mod kept;
mod lock;
mod machine;
mod wish;

pub use lock::limit_of;
pub use machine::Locks;
pub use wish::{LOOK, Wish};
