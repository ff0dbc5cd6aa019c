//! Whether the parts of a process are ready and alive; `/readyz` and `/healthz` answer with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A part that says that it turns, and has not turned for so long, hangs. Requests to a bus or an API that does not answer end
/// long before.
pub const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What the parts of a process say of themselves. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

#[derive(Debug)]
struct State {
    /// Why it cannot do its work now; empty when it can.
    waits_for: &'static str,
    /// Until when it can all the same.
    ready_until: Option<Instant>,
    /// When it last turned; `None` for one that may rightly stand still.
    turned: Option<Instant>,
}

/// How a part says how it is. It has ended when this is dropped.
#[derive(Debug)]
pub struct Part {
    health: Health,
    name: &'static str,
}

impl Health {
    /// Adds a part that is not ready: it waits for what `waits_for` names.
    pub fn part(&self, name: &'static str, waits_for: &'static str) -> Part {
        self.with(|parts| _ = parts.insert(name, State { waits_for, ready_until: None, turned: None }));
        Part { health: self.clone(), name }
    }

    /// Parts that cannot do their work now, each with what it waits for.
    pub fn not_ready(&self) -> Vec<String> {
        let is_not = |(name, state): (&&str, &State)| {
            let can = state.waits_for.is_empty() || state.ready_until.is_some_and(|until| Instant::now() <= until);
            (!can).then(|| format!("{name}: waits for {}", state.waits_for))
        };
        self.with(|parts| parts.iter().filter_map(is_not).collect())
    }

    /// Parts that hang: they would turn if they were alive.
    pub fn hanging(&self) -> Vec<String> {
        let hangs = |(name, state): (&&str, &State)| {
            let since = state.turned?.elapsed();
            (since > HANGS_AFTER).then(|| format!("{name}: has not turned for {} s", since.as_secs()))
        };
        self.with(|parts| parts.iter().filter_map(hangs).collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<&'static str, State>) -> T) -> T {
        // Each change is one assignment, so that a panic elsewhere leaves nothing half done.
        act(&mut self.parts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Part {
    /// It can do its work.
    pub fn is_ready(&self) {
        self.waits_for("");
    }

    /// It can do its work for so long; then it waits again for what it waited for, unless it says this anew.
    pub fn is_ready_for(&self, time: Duration) {
        self.change(|state| state.ready_until = Some(Instant::now() + time));
    }

    /// It cannot do its work until it has what `what` names.
    pub fn waits_for(&self, what: &'static str) {
        self.change(|state| (state.waits_for, state.ready_until) = (what, None));
    }

    /// It is alive, and will say so again soon.
    pub fn turns(&self) {
        self.change(|state| state.turned = Some(Instant::now()));
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        self.health.with(|parts| parts.get_mut(self.name).map_or((), act));
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.change(|state| *state = State { waits_for: "its process to end", ready_until: None, turned: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_process_is_ready_when_all_its_parts_are() {
        let health = Health::default();
        let (first, second) = (health.part("first", "a bus"), health.part("second", "a shard"));
        first.is_ready();
        assert_eq!(health.not_ready(), ["second: waits for a shard"]);
        second.is_ready();
        assert_eq!(health.not_ready(), [""; 0]);
        first.waits_for("a bus");
        first.is_ready_for(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(health.not_ready(), [""; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(second);
        assert_eq!(health.not_ready(), ["first: waits for a bus", "second: waits for its process to end"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_turned_once_and_no_more_hangs() {
        let health = Health::default();
        let (turning, still) = (health.part("turning", "a bus"), health.part("still", "a bus"));
        turning.turns();
        tokio::time::advance(HANGS_AFTER).await;
        assert_eq!(health.hanging(), [""; 0]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(health.hanging(), ["turning: has not turned for 121 s"]);
        turning.turns();
        assert_eq!(health.hanging(), [""; 0]);
        drop((turning, still));
    }
}
