use argosy_bus::Delivery;
use async_trait::async_trait;

use super::*;

/// Somebody did not answer of whom only the factory knows.
#[derive(Debug, thiserror::Error)]
#[error("nobody answers")]
struct Away;

/// What failed for that.
#[derive(Debug, thiserror::Error)]
#[error("not done")]
struct NotDone(#[source] Away);

/// Stands for a message of the bus: its number is its sequence.
impl Inbound for u32 {
    fn sequence(&self) -> Option<u64> {
        Some(u64::from(*self))
    }

    fn into_delivery(self) -> Option<Delivery> {
        None
    }
}

#[derive(Default)]
struct World {
    left: Mutex<Vec<u32>>,
    built: Mutex<Vec<u32>>,
    seen: Mutex<Vec<(u32, Vec<u32>)>>,
    refused: Mutex<Vec<u32>>,
    caught_up: Mutex<Vec<u32>>,
    poked: Mutex<Vec<u32>>,
    /// Keys whose actors fail whatever they are sent, until they are put out of service.
    sick: Mutex<Vec<u32>>,
    /// Keys whose actors cannot be built: that panics each time, until they are put out of service.
    unbuildable: Mutex<Vec<u32>>,
    quarantined: Mutex<Vec<(u32, u32, String)>>,
}

struct Echo {
    key: u32,
    world: Arc<World>,
    idle_at: Instant,
}

#[async_trait]
impl Actor for Echo {
    type Message = u32;

    async fn handle(&mut self, batch: Vec<u32>) -> Result<(), Failure> {
        if self.world.sick.lock().contains(&self.key) {
            return Err("sick".into());
        }
        for message in &batch {
            match message {
                16 => return Err(argosy_bus::Error::Unavailable { doing: "test", source: None }.into()),
                17 => return Err(NotDone(Away).into()),
                13 => panic!("thirteen"),
                14 => return Err("fourteen".into()),
                15 => tokio::time::sleep(Duration::from_secs(15)).await,
                _ => {}
            }
        }
        self.world.seen.lock().push((self.key, batch));
        self.idle_at = Instant::now() + Duration::from_secs(10);
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.idle_at)
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        Ok(Next::Stop)
    }

    async fn catch_up(&mut self) -> Result<(), Failure> {
        self.world.caught_up.lock().push(self.key);
        Ok(())
    }

    async fn poke(&mut self) -> Result<(), Failure> {
        self.world.poked.lock().push(self.key);
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        self.world.left.lock().push(self.key);
        Ok(())
    }
}

struct Echoes(Arc<World>);

#[async_trait]
impl Factory for Echoes {
    type Key = u32;
    type Actor = Echo;

    async fn build(&self, key: &u32) -> Result<Option<Echo>, Failure> {
        self.0.built.lock().push(*key);
        let idle_at = Instant::now() + Duration::from_secs(10);
        let is_there = *key != 404 && !self.0.quarantined.lock().iter().any(|(quarantined, ..)| quarantined == key);
        assert!(!is_there || !self.0.unbuildable.lock().contains(key), "what is stored makes no actor");
        Ok(is_there.then(|| Echo { key: *key, world: Arc::clone(&self.0), idle_at }))
    }

    async fn refuse(&self, _key: &u32, batch: Vec<u32>) -> Result<(), Failure> {
        self.0.refused.lock().extend(batch);
        Ok(())
    }

    async fn quarantine(&self, key: &u32, failures: u32, reason: &str) -> Result<bool, Failure> {
        self.0.quarantined.lock().push((*key, failures, reason.to_owned()));
        Ok(true)
    }

    fn passes(&self, cause: &(dyn std::error::Error + 'static)) -> Option<bool> {
        cause.is::<Away>().then_some(true)
    }

    fn mailbox(&self) -> usize {
        100
    }
}

fn start() -> (Arc<World>, Router<Echoes>, CancellationToken) {
    let (world, stop) = (Arc::<World>::default(), CancellationToken::new());
    (Arc::clone(&world), Router::new("echo", Echoes(world), stop.clone()), stop)
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_key_stay_in_order_and_idle_actors_leave() {
    let (world, router, _stop) = start();
    for n in 0..100 {
        router.offer(&(n % 2), 100 + n).expect("not stopped");
    }
    settle().await;
    for key in 0..2 {
        let seen: Vec<u32> =
            world.seen.lock().iter().filter(|(k, _)| *k == key).flat_map(|(_, batch)| batch.clone()).collect();
        assert_eq!(seen, (0..50).map(|n| 100 + 2 * n + key).collect::<Vec<_>>());
    }
    assert_eq!(router.live(), 2);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(router.live(), 0);
    router.offer(&1, 7).expect("not stopped");
    settle().await;
    assert_eq!(*world.built.lock(), [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_or_an_error_rebuilds_only_that_actor() {
    let (world, router, _stop) = start();
    router.offer(&2, 1).expect("not stopped");
    for bad in [13, 14] {
        router.offer(&1, bad).expect("not stopped");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    router.offer(&1, 5).expect("not stopped");
    settle().await;
    assert_eq!(router.failures(), 2);
    assert_eq!(*world.built.lock(), [2, 1, 1, 1]);
    assert!(world.seen.lock().contains(&(1, vec![5])));
}

#[tokio::test(start_paused = true)]
async fn messages_for_nobody_are_refused() {
    let (world, router, _stop) = start();
    router.offer(&404, 1).expect("not stopped");
    settle().await;
    assert_eq!((world.refused.lock().clone(), router.live()), (vec![1], 0));
}

#[tokio::test(start_paused = true)]
async fn stop_ends_all_actors() {
    let (_world, router, stop) = start();
    router.offer(&1, 1).expect("not stopped");
    stop.cancel();
    router.join().await;
    assert_eq!(router.live(), 0);
    assert!(router.offer(&1, 2).is_err());
}

#[tokio::test(start_paused = true)]
async fn drained_actors_deal_with_what_they_have_and_say_goodbye() {
    let (world, router, _stop) = start();
    for (key, message) in [(1, 15), (1, 7), (2, 8)] {
        router.offer(&key, message).expect("not stopped");
        settle().await;
    }
    router.drain().await;
    assert_eq!(*world.seen.lock(), [(2, vec![8]), (1, vec![15]), (1, vec![7])]);
    assert_eq!(*world.left.lock(), [2, 1]);
    assert!(router.offer(&3, 9).is_err() && router.touch(&3).is_err());
}

#[tokio::test(start_paused = true)]
async fn nobody_stays_where_only_a_touch_came() {
    let (world, router, _stop) = start();
    router.touch(&404).expect("not stopped");
    settle().await;
    assert_eq!((world.refused.lock().len(), router.live()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_is_an_answer_and_no_other_actor_waits() {
    let (world, router, _stop) = start();
    assert!(matches!(router.offer(&1, 15), Ok(Offer::Taken)));
    settle().await;
    // The first is at work for 15 s. What is queued or in hand is not queued again; what does not fit comes back.
    assert!(matches!(router.offer(&1, 15), Ok(Offer::Known)));
    for n in 100..200 {
        assert!(matches!(router.offer(&1, n), Ok(Offer::Taken)));
        assert!(matches!(router.offer(&1, n), Ok(Offer::Known)));
    }
    assert!(matches!(router.offer(&1, 200), Ok(Offer::Full(200))));
    router.skip(&1).expect("not stopped");
    assert!(matches!(router.offer(&2, 7), Ok(Offer::Taken)));
    settle().await;
    assert_eq!(*world.seen.lock(), [(2, vec![7])]);
    tokio::time::sleep(Duration::from_secs(20)).await;
    // What was skipped is read before what is still queued.
    assert_eq!(*world.caught_up.lock(), [1]);
    assert!(matches!(router.offer(&1, 15), Ok(Offer::Taken)), "it is dealt with, so it may come again");
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_fails_again_and_again_is_put_out_of_service_and_no_other_notices() {
    let (world, router, _stop) = start();
    world.sick.lock().push(1);
    for n in 0..20 {
        router.offer(&1, 100 + n).expect("not stopped");
        router.offer(&2, 100 + n).expect("not stopped");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(*world.quarantined.lock(), [(1, FAILURES_MAX, "sick".to_owned())]);
    let refused = world.refused.lock().clone();
    assert!(!refused.is_empty() && refused.len() < 20, "what comes later is refused: {refused:?}");
    assert_eq!(world.seen.lock().iter().filter(|(key, _)| *key == 2).count(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_actor_whose_build_panics_each_time_is_put_out_of_service_and_no_other_notices() {
    let (world, router, _stop) = start();
    world.unbuildable.lock().push(1);
    for n in 0..20 {
        router.offer(&1, 100 + n).expect("not stopped");
        router.offer(&2, 100 + n).expect("not stopped");
        settle().await;
        assert_eq!(world.seen.lock().iter().filter(|(key, _)| *key == 2).count(), n as usize + 1, "at once");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let reason = "panic: what is stored makes no actor".to_owned();
    assert_eq!(*world.quarantined.lock(), [(1, FAILURES_MAX, reason)]);
    // Nothing was lost: what waited for it, too, went where messages for nobody go.
    assert_eq!(*world.refused.lock(), (100..120).collect::<Vec<_>>());
    assert_eq!((router.failures(), router.keys()), (u64::from(FAILURES_MAX), vec![2]));
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_puts_nobody_out_of_service() {
    let (world, router, _stop) = start();
    // The bus that does not answer, and somebody else of whom the factory knows.
    for (key, message) in [(1, 16), (2, 17)] {
        let before = router.failures();
        for _ in 0..3 * FAILURES_MAX {
            router.offer(&key, message).expect("not stopped");
            tokio::time::sleep(Duration::from_secs(120)).await;
        }
        assert!(router.failures() - before >= u64::from(2 * FAILURES_MAX), "{key}");
    }
    assert_eq!(*world.quarantined.lock(), []);
}

#[tokio::test(start_paused = true)]
async fn a_poke_reaches_every_actor_that_lives() {
    let (world, router, _stop) = start();
    for key in [1, 2] {
        router.offer(&key, 7).expect("not stopped");
    }
    settle().await;
    router.poke();
    settle().await;
    assert_eq!(*world.poked.lock(), [1, 2]);
}
