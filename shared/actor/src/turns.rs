//! Turns that many ask for at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::rate::TokenBucket;

/// Hands out turns to do something: so many at once, so many per second, and to each asker in rotation. Who asks thousands of
/// times waits for the turns of nobody but itself: another's first turn is one of the next.
#[derive(Debug)]
pub struct Turns {
    lines: Mutex<Lines>,
    /// Held by the one who gives the next turn, a waiting one itself.
    giver: tokio::sync::Mutex<()>,
    permits: Arc<Semaphore>,
}

/// Those who wait, a line for each asker.
#[derive(Debug, Default)]
struct Lines {
    waiting: BTreeMap<String, VecDeque<oneshot::Sender<OwnedSemaphorePermit>>>,
    /// The askers in the order in which their turns come; each that has a line, once.
    rotation: VecDeque<String>,
}

impl Lines {
    fn join(&mut self, asker: &str) -> oneshot::Receiver<OwnedSemaphorePermit> {
        let (give, given) = oneshot::channel();
        if !self.waiting.contains_key(asker) {
            self.rotation.push_back(asker.to_owned());
        }
        self.waiting.entry(asker.to_owned()).or_default().push_back(give);
        given
    }

    fn next(&mut self) -> Option<oneshot::Sender<OwnedSemaphorePermit>> {
        let asker = self.rotation.pop_front()?;
        let line = self.waiting.get_mut(&asker)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&asker);
        } else {
            self.rotation.push_back(asker);
        }
        next
    }
}

impl Turns {
    /// So many turns `at_once`, at least one.
    pub fn new(at_once: usize) -> Self {
        let permits = Arc::new(Semaphore::new(at_once.max(1)));
        Self { lines: Mutex::default(), giver: tokio::sync::Mutex::default(), permits }
    }

    /// Waits for a turn of `asker`, which lasts until the permit is dropped. `rate` says how soon one follows another.
    pub async fn take(&self, asker: &str, rate: &TokenBucket) -> Option<OwnedSemaphorePermit> {
        let mut given = self.lines.lock().join(asker);
        tokio::select! {
            biased;
            permit = &mut given => permit.ok(),
            _giver = self.giver.lock() => loop {
                if let Ok(permit) = given.try_recv() {
                    return Some(permit);
                }
                // It is never closed.
                let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
                rate.take().await;
                self.give(permit);
            },
        }
    }

    /// Whether somebody waits for a turn.
    pub fn are_awaited(&self) -> bool {
        !self.lines.lock().rotation.is_empty()
    }

    /// To the next that still waits.
    fn give(&self, permit: OwnedSemaphorePermit) {
        let mut permit = permit;
        loop {
            let Some(next) = self.lines.lock().next() else { return };
            match next.send(permit) {
                Ok(()) => return,
                Err(back) => permit = back,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    fn asking(turns: &Arc<Turns>, rate: &Arc<TokenBucket>, asker: &'static str) -> tokio::task::JoinHandle<Duration> {
        let (turns, rate, asked) = (Arc::clone(turns), Arc::clone(rate), Instant::now());
        tokio::spawn(async move {
            let permit = turns.take(asker, &rate).await;
            assert!(permit.is_some());
            asked.elapsed()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_behind_the_thousands_of_another() {
        let (turns, rate) = (Arc::new(Turns::new(4)), Arc::new(TokenBucket::new(10)));
        let many: Vec<_> = (0..1000).map(|_| asking(&turns, &rate, "many")).collect();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let few: Vec<_> = (0..3).map(|_| asking(&turns, &rate, "few")).collect();
        for (n, one) in few.into_iter().enumerate() {
            let waited = one.await.expect("a turn");
            assert!(waited <= Duration::from_millis(200) * u32::try_from(n + 1).expect("few"), "{n}: {waited:?}");
        }
        let last = many.into_iter().next_back().expect("many").await.expect("a turn");
        assert!((Duration::from_secs(98)..Duration::from_secs(102)).contains(&last), "no turn is lost: {last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_no_longer_waits_takes_no_turn() {
        let (turns, rate) = (Arc::new(Turns::new(1)), Arc::new(TokenBucket::new(1)));
        let held = turns.take("one", &rate).await;
        let gone: Vec<_> = (0..5).map(|_| asking(&turns, &rate, "gone")).collect();
        let stays = asking(&turns, &rate, "stays");
        tokio::task::yield_now().await;
        gone.iter().for_each(|one| one.abort());
        drop(held);
        let waited = stays.await.expect("a turn");
        assert!(waited <= Duration::from_secs(2), "{waited:?}");
    }
}
