//! The scheduler: hosts the engine. It owns shards by lease, keeps one actor per live workflow, and for each event of the
//! log does the same: step, publish what the step asks for, acknowledge last. `argosy-host` does that; what is here is what it
//! must be told of workflows.

mod context;
mod entity;
mod facts;
mod kinds;
mod last_words;
mod locks;
mod lookups;
mod metrics;
mod service;
mod stamp;
mod store;
mod unfinished;

pub use context::Options;
pub use service::Service;
pub use stamp::PART_BYTES_MAX;
