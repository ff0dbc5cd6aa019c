//! What a shard's owner takes from the bus.

use std::time::Duration;

use argosy_bus::{Consumer, Delivery, Error};
use tokio_util::sync::CancellationToken;

/// Messages taken at once.
const BATCH: usize = 256;
/// How long a consumer waits in one go.
const WAIT: Duration = Duration::from_secs(5);

/// Messages of a shard, until the shard is left.
pub struct Feed {
    consumer: Box<dyn Consumer>,
    leave: CancellationToken,
}

impl Feed {
    /// Takes from `consumer` until `leave`.
    pub fn new(consumer: Box<dyn Consumer>, leave: CancellationToken) -> Self {
        Self { consumer, leave }
    }

    /// The next messages; perhaps none. `None` once the shard is to be left: what was not taken is given back then, for the
    /// next owner.
    ///
    /// Errors: those of the consumer.
    pub async fn next(&mut self) -> Result<Option<Vec<Delivery>>, Error> {
        tokio::select! {
            biased;
            () = self.leave.cancelled() => {}
            batch = self.consumer.next_batch(BATCH, WAIT) => return batch.map(Some),
        }
        if let Err(error) = self.consumer.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "messages not given back, they come again later");
        }
        Ok(None)
    }
}
