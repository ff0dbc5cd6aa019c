//! Leases held in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::check::{TTL_MIN, check_lease};
use crate::{Error, Lease};

/// All leases ever taken. A name costs a few bytes for ever, as its epoch must never go back.
#[derive(Default)]
pub(super) struct Leases {
    slots: BTreeMap<String, Slot>,
}

struct Slot {
    epoch: u64,
    held: Option<(String, Instant)>,
}

impl Leases {
    /// Says also whether the lease was taken anew.
    pub(super) fn acquire(&mut self, name: &str, holder: &str, ttl: Duration) -> Result<Option<(Lease, bool)>, Error> {
        check_lease(name, holder)?;
        let (now, ttl) = (Instant::now(), ttl.max(TTL_MIN));
        let mut taken = false;
        let slot = self.slots.entry(name.to_owned()).or_insert(Slot { epoch: 0, held: None });
        match &mut slot.held {
            Some((other, expires)) if now < *expires && other != holder => return Ok(None),
            Some((_, expires)) if now < *expires => *expires = now + ttl,
            _ => {
                slot.epoch += 1;
                taken = true;
                slot.held = Some((holder.to_owned(), now + ttl));
            }
        }
        Ok(Some((lease(name, holder, slot.epoch, ttl, now), taken)))
    }

    /// Every epoch, for the log.
    pub(super) fn epochs(&self) -> impl Iterator<Item = (&str, u64)> {
        self.slots.iter().map(|(name, slot)| (name.as_str(), slot.epoch))
    }

    /// While the log is read back: the lease was taken, and its holder is gone with the process.
    pub(super) fn restore(&mut self, lease: String, epoch: u64) {
        self.slots.insert(lease, Slot { epoch, held: None });
    }

    pub(super) fn renew(&mut self, old: &Lease) -> Result<Lease, Error> {
        let now = Instant::now();
        if let Some(Slot { epoch, held: Some((holder, expires)) }) = self.slots.get_mut(&old.name)
            && *epoch == old.epoch
            && *holder == old.holder
            && now < *expires
        {
            *expires = now + old.ttl;
            return Ok(lease(&old.name, &old.holder, *epoch, old.ttl, now));
        }
        Err(Error::LeaseLost { lease: old.name.clone(), holder: old.holder.clone() })
    }

    pub(super) fn release(&mut self, old: &Lease) {
        if let Some(slot) = self.slots.get_mut(&old.name)
            && slot.epoch == old.epoch
        {
            slot.held = None;
        }
    }
}

fn lease(name: &str, holder: &str, epoch: u64, ttl: Duration, now: Instant) -> Lease {
    Lease { name: name.to_owned(), holder: holder.to_owned(), epoch, ttl, expires: now + ttl, revision: epoch }
}
