//! Leases held in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Lease};

/// Shortest time to live.
pub(crate) const TTL_MIN: Duration = Duration::from_secs(1);

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
    pub(super) fn acquire(
        &mut self,
        name: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, Error> {
        check(name, holder)?;
        let (now, ttl) = (Instant::now(), ttl.max(TTL_MIN));
        let slot = self.slots.entry(name.to_owned()).or_insert(Slot {
            epoch: 0,
            held: None,
        });
        match &mut slot.held {
            Some((other, expires)) if now < *expires && other != holder => return Ok(None),
            Some((_, expires)) if now < *expires => *expires = now + ttl,
            _ => {
                slot.epoch += 1;
                slot.held = Some((holder.to_owned(), now + ttl));
            }
        }
        Ok(Some(lease(name, holder, slot.epoch, ttl, now)))
    }

    pub(super) fn renew(&mut self, old: &Lease) -> Result<Lease, Error> {
        let now = Instant::now();
        if let Some(Slot {
            epoch,
            held: Some((holder, expires)),
        }) = self.slots.get_mut(&old.name)
            && *epoch == old.epoch
            && *holder == old.holder
            && now < *expires
        {
            *expires = now + old.ttl;
            return Ok(lease(&old.name, &old.holder, *epoch, old.ttl, now));
        }
        Err(Error::LeaseLost {
            lease: old.name.clone(),
            holder: old.holder.clone(),
        })
    }

    pub(super) fn release(&mut self, old: &Lease) {
        if let Some(slot) = self.slots.get_mut(&old.name)
            && slot.epoch == old.epoch
        {
            slot.held = None;
        }
    }
}

/// Checks the names of a lease and its holder, as every implementation does.
pub(crate) fn check(name: &str, holder: &str) -> Result<(), Error> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'=');
    let reason = if name.is_empty()
        || !name.bytes().all(plain)
        || name.starts_with('.')
        || name.ends_with('.')
    {
        "a lease's name takes letters, digits and `-_/=.`, with no dot at its ends"
    } else if holder.is_empty() {
        "the lease's holder has no name"
    } else {
        return Ok(());
    };
    Err(Error::BadSubject {
        subject: name.to_owned(),
        reason,
    })
}

fn lease(name: &str, holder: &str, epoch: u64, ttl: Duration, now: Instant) -> Lease {
    Lease {
        name: name.to_owned(),
        holder: holder.to_owned(),
        epoch,
        ttl,
        expires: now + ttl,
        revision: epoch,
    }
}
