//! What the services share around their cores: keyed actors, owned shards and their feeds, the clock. Knows nothing of
//! Kubernetes, and of workflows only the names that a message which is put aside bears.

mod actor;
pub mod aside;
mod backoff;
mod clock;
mod failure;
mod feed;
mod hold;
mod host;
mod key;
mod lag;
mod metrics;
mod owned;
mod rate;
mod router;
mod set_aside;
mod shards;
mod turns;

pub use actor::{Actor, Factory, Inbound, MessageOf, Next};
pub use backoff::Backoff;
pub use clock::Clock;
pub use failure::{Failure, Stopped};
pub use feed::{Routed, WhenFull, feed};
pub use host::{HEADER_NAME, HEADER_NAMESPACE, HEADER_ORIGIN, Host};
pub use key::EntityKey;
pub use owned::{Owned, Work};
pub use rate::TokenBucket;
pub use router::{FAILURES_MAX, Offer, Router};
pub use set_aside::{keep, keep_unsent, poison};
pub use shards::{Settings, own_shards};
pub use turns::Turns;
