//! What the services share around their cores: keyed actors, owned shards, the clock, and how the Kubernetes API fails.

pub mod api;
mod backoff;
mod clock;
pub mod compressed;
mod feed;
mod hold;
mod host;
mod router;
mod shards;
pub mod sight;

pub use backoff::Backoff;
pub use clock::Clock;
pub use feed::Feed;
pub use host::{HEADER_NAMESPACE, HEADER_PART, HEADER_PREVIOUS, HEADER_WORKFLOW, Host, WorkflowKey};
pub use router::{Actor, Factory, Next, Router, Stopped};
pub use shards::{Owned, Settings, Work, own_shards};

/// Why an actor or a shard's work gave up; it is logged, counted and started again.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
