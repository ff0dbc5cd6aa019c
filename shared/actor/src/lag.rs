//! How far the consumer of an owned shard is behind, as metrics.

use std::convert::Infallible;
use std::time::Duration;

use argosy_bus::{ConsumerSpec, Lag};

use crate::{Host, metrics};

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(10);

/// Tells the lag of the shard's consumer for as long as this is polled. Dropped, it takes the figures away: the next owner
/// of the shard tells them.
pub(crate) async fn tell(host: &Host, spec: &ConsumerSpec) -> Infallible {
    let told = Told(&spec.name);
    loop {
        tokio::time::sleep(LOOK).await;
        match host.bus.lag(spec.stream, &spec.name).await {
            Ok(lag) => told.set(lag.unwrap_or_default()),
            // The figures stay as they were: the feed says more loudly that the bus does not answer.
            Err(error) => tracing::debug!(
                consumer = spec.name,
                error = &error as &dyn std::error::Error,
                "the lag of a shard is not known"
            ),
        }
    }
}

/// The figures of a consumer; gone with this.
struct Told<'a>(&'a str);

impl Told<'_> {
    fn set(&self, lag: Lag) {
        let figure = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        metrics::LAG.with_label_values(&[self.0]).set(figure(lag.pending));
        metrics::UNACKNOWLEDGED.with_label_values(&[self.0]).set(figure(lag.unacknowledged));
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        for gauge in [&metrics::LAG, &metrics::UNACKNOWLEDGED] {
            // It is not there when nothing was told yet.
            _ = gauge.remove_label_values(&[self.0]);
        }
    }
}
