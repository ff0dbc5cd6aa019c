//! Whom the messages of a log speak of.

use argosy_bus::Stream;

use crate::store::KeyOf;
use crate::{EntityKey as _, Process, Store};

/// Messages of a log read at once.
const PAGE: usize = 512;
/// Entities that the messages of one log may name; it is of one, and each of the others costs a look.
const PLACES_MAX: usize = 32;

/// Whom the messages of a log speak of.
pub(crate) struct Log<K> {
    /// As the reports of what is stored say.
    pub own: Option<K>,
    /// As its other messages say, which may be anybody's: each once, in the order of the log.
    pub others: Vec<K>,
}

/// Reads the log of `uid`.
pub(crate) async fn read_log<S: Store>(
    process: &Process,
    store: &S,
    uid: &str,
) -> Result<Log<KeyOf<S>>, argosy_bus::Error> {
    let host = &process.host;
    let (subject, mut after, mut dropped) = (host.observed_subject(uid), 0, 0_u64);
    let mut log = Log { own: None, others: Vec::new() };
    loop {
        let page = host.bus.read(Stream::Observed, &subject, after, PAGE).await?;
        let Some(newest) = page.last() else { break };
        after = newest.sequence;
        for message in &page {
            let Some(key) = KeyOf::<S>::of_log(message) else { continue };
            if store.is_of_store(message) {
                log.own = Some(key);
            } else if !log.others.contains(&key) {
                if log.others.len() < PLACES_MAX {
                    log.others.push(key);
                } else {
                    dropped += 1;
                }
            }
        }
    }
    if dropped > 0 {
        store.meters().places_dropped.inc_by(dropped);
        tracing::warn!(kind = S::KIND, uid, dropped, "messages of one log name too many owners");
    }
    Ok(log)
}
