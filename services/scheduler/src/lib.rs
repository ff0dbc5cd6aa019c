//! The scheduler: hosts the engine. It owns shards by lease, keeps one actor per live workflow, and for each event of the
//! log does the same: step, publish what the step asks for, acknowledge last.

mod actor;
mod adopt;
mod context;
mod factory;
mod lookups;
mod metrics;
mod outbox;
mod quarantine;
mod rebuild;
mod service;
mod shard;
mod stamp;
mod timers;
mod unfinished;

pub use context::Options;
pub use service::Service;
pub use stamp::PART_BYTES_MAX;
