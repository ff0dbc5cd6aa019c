//! What the services share around their cores: keyed actors, owned shards, the clock, and how the Kubernetes API fails.

pub mod api;
pub mod aside;
mod backoff;
mod clock;
pub mod compressed;
mod failure;
mod feed;
mod hold;
mod host;
mod lag;
pub mod merge_patch;
mod metrics;
pub mod offload;
mod rate;
mod router;
mod set_aside;
mod shards;
pub mod sight;
mod turns;

pub use backoff::Backoff;
pub use clock::Clock;
pub use failure::Failure;
pub use feed::{Routed, WhenFull, feed};
pub use host::{
    HEADER_JUDGED, HEADER_NAMESPACE, HEADER_PART, HEADER_POSITION, HEADER_PREVIOUS, HEADER_WORKFLOW, Host, PODS_LISTED,
    WorkflowKey,
};
pub use rate::TokenBucket;
pub use router::{Actor, FAILURES_MAX, Factory, Inbound, MessageOf, Next, Offer, Router, Stopped};
pub use set_aside::{keep, keep_unsent, poison};
pub use shards::{Owned, Settings, Work, own_shards};
pub use turns::Turns;
