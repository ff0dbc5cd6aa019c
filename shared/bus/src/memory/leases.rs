//! Leases held in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::check::{TTL_MIN, check_lease};
use crate::{Error, Lease};

/// The leases that are held, or lapsed lately. Epochs are counted for all together, so that nothing need be kept of a
/// lease that is over.
#[derive(Default)]
pub(super) struct Leases {
    /// The last epoch given out.
    epoch: u64,
    held: BTreeMap<String, Held>,
}

struct Held {
    holder: String,
    epoch: u64,
    expires: Instant,
}

impl Leases {
    /// Without leases; epochs come after `epoch`.
    pub(super) fn after(epoch: u64) -> Self {
        Self { epoch, held: BTreeMap::new() }
    }

    /// Says also whether the lease was taken anew.
    pub(super) fn acquire(&mut self, name: &str, holder: &str, ttl: Duration) -> Result<Option<(Lease, bool)>, Error> {
        check_lease(name, holder)?;
        let (now, ttl) = (Instant::now(), ttl.max(TTL_MIN));
        self.held.retain(|_, held| now < held.expires);
        let taken = match self.held.get_mut(name) {
            Some(held) if held.holder != holder => return Ok(None),
            Some(held) => {
                held.expires = now + ttl;
                false
            }
            None => {
                self.epoch += 1;
                let held = Held { holder: holder.to_owned(), epoch: self.epoch, expires: now + ttl };
                self.held.insert(name.to_owned(), held);
                true
            }
        };
        let epoch = self.held[name].epoch;
        Ok(Some((lease(name, holder, epoch, ttl, now), taken)))
    }

    /// The last epoch given out, for the log.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// While the log is read back: a lease was taken, and its holder is gone with the process.
    pub(super) fn restore(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
    }

    pub(super) fn renew(&mut self, old: &Lease) -> Result<Lease, Error> {
        let now = Instant::now();
        if let Some(held) = self.held.get_mut(&old.name)
            && held.epoch == old.epoch
            && held.holder == old.holder
            && now < held.expires
        {
            held.expires = now + old.ttl;
            return Ok(lease(&old.name, &old.holder, held.epoch, old.ttl, now));
        }
        Err(Error::LeaseLost { lease: old.name.clone(), holder: old.holder.clone() })
    }

    pub(super) fn release(&mut self, old: &Lease) {
        if self.held.get(&old.name).is_some_and(|held| held.epoch == old.epoch) {
            self.held.remove(&old.name);
        }
    }

    /// Names of the held leases under `group`.
    pub(super) fn names(&self, group: &str) -> Vec<String> {
        let (now, start) = (Instant::now(), format!("{group}."));
        let of_group = self.held.range(start.clone()..).take_while(|(name, _)| name.starts_with(&start));
        of_group.filter(|(_, held)| now < held.expires).map(|(name, _)| name.clone()).collect()
    }
}

fn lease(name: &str, holder: &str, epoch: u64, ttl: Duration, now: Instant) -> Lease {
    Lease { name: name.to_owned(), holder: holder.to_owned(), epoch, ttl, expires: now + ttl, revision: epoch }
}
