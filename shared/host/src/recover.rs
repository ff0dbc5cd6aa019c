//! Loads an entity as it was stored, and recovers it from the tail of its log.

use std::sync::Arc;

use argosy_actor::Failure;
use argosy_bus::Publish;
use tokio::time::Instant;

use crate::live::Live;
use crate::quarantine;
use crate::shard::Shard;
use crate::store::{Doing, KeyOf, Loaded, QuestionOf};
use crate::{Entity as _, Outgoing, Store};

/// Timers may arm others that are due as well; those of later rounds fire as all do.
const DUE_ROUNDS: usize = 8;

/// Builds the entity from what is stored, read anew and never from a cache, steps what the log holds behind that, and asks
/// again for what may have been lost. `None`: it is gone or out of service.
pub(crate) async fn recover<S: Store>(
    shard: &Arc<Shard<S>>,
    key: &KeyOf<S>,
    stored: S::Stored,
) -> Result<Option<Live<S>>, Failure> {
    let store = &shard.store;
    let Some(stored) = settled(shard, key, stored).await? else {
        return Ok(None);
    };
    if store.marks(&stored).is_out_of_service {
        return Ok(None);
    }
    store.meters().rebuilds.inc();
    let (entity, stored, life) = match store.load(key, stored).await? {
        Loaded::Entity { entity, stored, life } => (entity, stored, life),
        Loaded::Gone => return Ok(None),
        Loaded::Broken { stored, reason } => {
            quarantine::give_up(shard, key, &stored, &reason).await?;
            return Ok(None);
        }
    };
    let from = store.marks(&stored).sequence;
    let mut live = Live {
        shard: Arc::clone(shard),
        key: key.clone(),
        entity,
        last: from,
        stepped: Default::default(),
        unpurged: 0,
        life,
        is_out_of_service: false,
        is_slow: false,
        check_at: Instant::now(),
    };
    let mut out = Outgoing::default();
    live.take_up(&mut out);
    live.step_log(0, &mut out, true).await?;
    let mut written = Some(from);
    let is_cut_off = from <= shard.base_sequence;
    if let Some(report) = store.lacking(&shard.process.host, &live.entity, stored, is_cut_off) {
        live.tell(&mut written, vec![report]).await?;
        live.step_log(0, &mut out, true).await?;
    }
    live.tell_due(&mut written, &mut out).await?;
    // All that is known has been stepped: what was wished for meanwhile and taken back need not be carried out.
    let messages = std::mem::take(&mut out.messages);
    out.messages = messages.into_iter().filter_map(|message| live.entity.still_wished(message)).collect();
    live.send(out).await?;
    live.check_at = live.next_check();
    Ok(Some(live))
}

/// What is stored of the entity. If the bus was lost after that was written, a former owner may still write what only it
/// knows; this then waits until none can, and reads again.
async fn settled<S: Store>(shard: &Shard<S>, key: &KeyOf<S>, stored: S::Stored) -> Result<Option<S::Stored>, Failure> {
    let written = shard.store.marks(&stored).sequence;
    if (1..=shard.base_sequence).contains(&written) && Instant::now() < shard.sole_owner_at {
        shard
            .store
            .span(key, Doing::Tell)
            .in_scope(|| tracing::warn!("the bus was lost, going on from what is stored"));
        shard.store.meters().bus_loss.inc();
        tokio::time::sleep_until(shard.sole_owner_at).await;
        return shard.store.fetch(key).await;
    }
    Ok(Some(stored))
}

impl<S: Store> Live<S> {
    /// Has the entity ask for all that it still waits for. Each owner asks anew: what its predecessor asked for may have got
    /// lost since.
    fn take_up(&mut self, out: &mut Outgoing<QuestionOf<S>>) {
        let at = self.shard.process.host.clock.now();
        let commands = self.entity.recover(at);
        let id = format!("r{}.{}.{}", self.shard.epoch, self.last, at.as_second());
        let cause = self.shard.cause(&self.key, self.last, id, at);
        self.entity.stamp(&cause, commands, out);
    }

    /// Timers that came due while nobody was there are told, and what follows from them is stepped, before anything is wished
    /// for: a deadline that has passed takes back what would be asked for again.
    async fn tell_due(&mut self, written: &mut Option<u64>, out: &mut Outgoing<QuestionOf<S>>) -> Result<(), Failure> {
        for _ in 0..DUE_ROUNDS {
            let now = self.shard.process.host.clock.now();
            let due = out.timers.iter().filter(|(_, due)| **due <= now);
            let reports: Vec<_> =
                due.map(|(timer, due)| self.shard.timers.report(&self.key, timer, *due, self.last)).collect();
            if reports.is_empty() {
                break;
            }
            self.tell(written, reports).await?;
            self.step_log(0, out, true).await?;
        }
        Ok(())
    }

    /// Tells the log. All logs together may be full, and wait for their owners to make room: so what is stored goes first,
    /// once.
    async fn tell(&self, written: &mut Option<u64>, reports: Vec<Publish>) -> Result<(), argosy_bus::Error> {
        if let Some(written) = written.take() {
            self.purge(written).await?;
        }
        self.shard.process.host.publish(reports).await.map(|_| ())
    }
}
