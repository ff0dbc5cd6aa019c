//! The scheduler: hosts the engine. It owns shards by lease, keeps one actor per live workflow, and for each event of the
//! log does the same: step, publish what the step asks for, acknowledge last.

mod actor;
mod lookups;
mod metrics;
mod outbox;
mod rebuild;
mod service;
mod shard;
mod stamp;
mod take_up;
mod timers;

pub use service::{Options, Service};
pub use stamp::PART_BYTES_MAX;
