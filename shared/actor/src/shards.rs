//! Owning a fair share of the shards.
//!
//! Every replica of a role announces itself under a lease of its own, counts the announced, and knows from that how many
//! shards are its share; all come to the same numbers. Who has fewer takes free ones, who has more gives some back. No
//! replica tells another what to do, and there is no leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_bus::{Error, Lease};
use argosy_telemetry::Part;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::hold::{Ended, Hold};
use crate::owned::Work;
use crate::{Backoff, Failure, Host};

/// How leases are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a lease outlives its holder. At least 1 s.
    pub ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10) }
    }
}

/// Owns its share of the shards for `role`, and runs `work` for each, until `shutdown`. Tells the host's health under that name:
/// a replica is ready while it owns a shard, or when none is left for it.
///
/// Errors: a panic within `work`; all else is logged and tried again.
pub async fn own_shards(
    host: &Host,
    role: &'static str,
    settings: &Settings,
    shutdown: CancellationToken,
    work: Work,
) -> Result<(), Failure> {
    let ttl = settings.ttl.max(Duration::from_secs(1));
    let mut owner = Owner::new(host.clone(), role, ttl, work);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = owner.turn() => {}
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = owner.tasks.join_next() => {
                if let Err(panic) = owner.note(ended) {
                    shutdown.cancel();
                    owner.tasks.shutdown().await;
                    return Err(panic.into());
                }
            }
            () = tokio::time::sleep(ttl / 10) => {}
        }
    }
    owner.leave_all().await.map_err(Failure::from)
}

/// What a replica without a shard waits for.
const NO_SHARD: &str = "a shard of its own";

struct Owner {
    host: Host,
    health: Part,
    role: &'static str,
    ttl: Duration,
    work: Work,
    /// Our announcement.
    member: Option<Lease>,
    /// How many shards are ours, as far as known.
    share: Share,
    held: BTreeMap<u16, CancellationToken>,
    /// Shards whose work ended by itself: not to be taken before this.
    resting: BTreeMap<u16, (Backoff, Instant)>,
    tasks: JoinSet<(u16, Ended)>,
}

/// A part of the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    count: usize,
    /// Where to begin looking for free ones, so that replicas seldom want the same.
    from: u16,
}

/// The share of the member at `rank` of `members`: as even as whole numbers can be, and all shares together are all shards.
fn share(shards: u16, members: usize, rank: usize) -> Share {
    let (all, members) = (usize::from(shards), members.max(1));
    let count = all / members + usize::from(rank < all % members);
    let before = rank * (all / members) + rank.min(all % members);
    Share { count, from: u16::try_from(before).unwrap_or(0) }
}

impl Owner {
    fn new(host: Host, role: &'static str, ttl: Duration, work: Work) -> Self {
        let share = share(host.shards.max(1), 1, 0);
        let (held, resting, tasks) = (BTreeMap::new(), BTreeMap::new(), JoinSet::new());
        let health = host.health.part(role, NO_SHARD);
        Self { host, health, role, ttl, work, member: None, share, held, resting, tasks }
    }

    /// Says how this replica is, after a turn that did or did not hear of the bus.
    fn tell(&self, heard: bool) {
        self.health.turns();
        if self.held.is_empty() && self.share.count > 0 {
            self.health.waits_for(NO_SHARD);
        } else if heard {
            // Its leases hold for so long.
            self.health.is_ready_for(self.ttl);
        }
    }

    /// Looks around once, and takes or gives what the share asks for.
    async fn turn(&mut self) {
        let done = async {
            self.announce().await?;
            self.count().await?;
            self.give();
            self.take().await
        };
        let result = done.await;
        self.tell(result.is_ok());
        if let Err(error) = result {
            // Who cannot be heard of for long loses its leases, here and there.
            tracing::warn!(role = self.role, error = &error as &dyn std::error::Error, "shards not shared out");
        }
    }

    fn members(&self) -> String {
        format!("{}-member", self.role)
    }

    async fn announce(&mut self) -> Result<(), Error> {
        let is_fresh = |lease: &Lease| lease.expires > Instant::now() + self.ttl * 2 / 3;
        if self.member.as_ref().is_some_and(is_fresh) {
            return Ok(());
        }
        let name = format!("{}.{}", self.members(), self.host.holder);
        self.member = self.host.bus.acquire(&name, &self.host.holder, self.ttl).await?;
        Ok(())
    }

    async fn count(&mut self) -> Result<(), Error> {
        let own = format!("{}.{}", self.members(), self.host.holder);
        let mut members = self.host.bus.held(&self.members()).await?;
        // The answer may be older than our announcement.
        let rank = members.binary_search(&own).unwrap_or_else(|rank| {
            members.insert(rank, own);
            rank
        });
        let share = share(self.host.shards.max(1), members.len(), rank);
        if share != self.share {
            tracing::info!(role = self.role, replicas = members.len(), shards = share.count, "share of the shards");
            self.share = share;
        }
        Ok(())
    }

    /// Lets go of what is more than the share. It is free when its work has ended.
    fn give(&mut self) {
        let kept: Vec<u16> =
            self.held.iter().filter(|(_, leave)| !leave.is_cancelled()).map(|(shard, _)| *shard).collect();
        for shard in kept.iter().skip(self.share.count) {
            tracing::info!(role = self.role, shard, "shard given away");
            self.held[shard].cancel();
        }
    }

    /// Takes free shards up to the share.
    async fn take(&mut self) -> Result<(), Error> {
        if self.held.len() >= self.share.count {
            return Ok(());
        }
        let taken = self.host.bus.held(self.role).await?;
        let shards = self.host.shards.max(1);
        let order = (0..shards).map(|n| (self.share.from + n) % shards);
        for shard in order.collect::<Vec<_>>() {
            let name = format!("{}.{shard}", self.role);
            let rests = self.resting.get(&shard).is_some_and(|(_, until)| *until > Instant::now());
            if self.held.contains_key(&shard) || rests || taken.contains(&name) {
                continue;
            }
            if let Some(lease) = self.host.bus.acquire(&name, &self.host.holder, self.ttl).await? {
                self.hold(shard, lease);
                if self.held.len() >= self.share.count {
                    break;
                }
            }
        }
        Ok(())
    }

    fn hold(&mut self, shard: u16, lease: Lease) {
        tracing::info!(lease = lease.name, epoch = lease.epoch, "shard owned");
        let leave = CancellationToken::new();
        self.held.insert(shard, leave.clone());
        let (bus, clock) = (Arc::clone(&self.host.bus), self.host.clock);
        let hold = Hold { bus, clock, ttl: self.ttl, shard, leave, work: Arc::clone(&self.work) };
        self.tasks.spawn(async move { (shard, hold.run(lease).await) });
    }

    /// A shard's work has ended.
    fn note(&mut self, ended: Result<(u16, Ended), JoinError>) -> Result<(), JoinError> {
        let (shard, ended) = ended?;
        self.held.remove(&shard);
        let short = || Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        match ended {
            Ended::Left => _ = self.resting.remove(&shard),
            Ended::Early | Ended::Late => {
                let (backoff, until) = self.resting.entry(shard).or_insert_with(|| (short(), Instant::now()));
                if ended == Ended::Late {
                    backoff.reset();
                }
                *until = Instant::now() + backoff.delay();
            }
        }
        Ok(())
    }

    /// Says goodbye, so that the others take what becomes free, and gives everything away.
    async fn leave_all(&mut self) -> Result<(), JoinError> {
        if let Some(member) = self.member.take()
            && let Err(error) = self.host.bus.release(member).await
        {
            tracing::debug!(role = self.role, error = &error as &dyn std::error::Error, "announcement not withdrawn");
        }
        self.held.values().for_each(CancellationToken::cancel);
        while let Some(ended) = self.tasks.join_next().await {
            self.note(ended)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
