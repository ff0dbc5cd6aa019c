//! A second kind of entity on the host: a lock that several may hold, each for a while. It has no object anywhere, so its log is
//! all that there is of it.

mod lock;
mod store;
mod world;

use std::time::Duration;

use argosy_bus::{Bus as _, Stream};

use crate::lock::Fact;
use crate::store::strays;
use crate::world::{LEASE, World};

fn take(who: &str, secs: i64) -> Fact {
    Fact::Take { who: who.to_owned(), secs }
}

#[tokio::test(start_paused = true)]
async fn holders_take_turns_and_a_timer_ends_the_turn_of_one_who_says_nothing() {
    let world = World::new();
    let running = world.start("a");
    world.tell("l", Fact::Make { room: 1 }).await;
    for who in ["ann", "bob", "eve"] {
        world.tell("l", take(who, 60)).await;
    }
    world.until("a grant", async || world.granted("l").await == ["ann"]).await;
    world.tell("l", Fact::Give { who: "ann".into() }).await;
    world.until("the next", async || world.granted("l").await == ["ann", "bob"]).await;
    let began = world.now();
    world.until("the last", async || world.granted("l").await == ["ann", "bob", "eve"]).await;
    let waited = world.now().duration_since(began).as_secs();
    assert!((58..=62).contains(&waited), "bob's timer ends his turn: {waited}");
    // What is granted was in order, one to a step, behind the claim of the only owner.
    let events = world.events().await;
    assert!(events[0].starts_with("claim:0:"), "{events:?}");
    assert_eq!(events[1..], ["l:2:granted.ann", "l:5:granted.bob", "l:6:granted.eve"]);
    world.until("answers", async || world.unacknowledged().await == 0).await;
    running.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_host_died_goes_on_from_its_log_with_the_timer_that_was_armed() {
    let world = World::new();
    let running = world.start("a");
    world.tell("l", Fact::Make { room: 1 }).await;
    world.tell("l", take("ann", 100)).await;
    let began = world.now();
    world.tell("l", take("bob", 100)).await;
    world.until("a grant", async || world.granted("l").await == ["ann"]).await;
    running.die().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    // Nobody tells it anything: it is taken up, and its timer with it.
    let running = world.start("b");
    world.until("bob's turn", async || world.granted("l").await == ["ann", "bob"]).await;
    let waited = world.now().duration_since(began).as_secs();
    assert!((98..=102).contains(&waited), "the timer is the one that was armed: {waited}");
    let epochs = world.epochs("l").await;
    assert!(epochs[0] < epochs[1], "each by its owner, and ann's turn is told once: {epochs:?}");
    running.die().await;
    // The bus has long forgotten the ids, and nobody is there when bob's time is over.
    tokio::time::sleep(Duration::from_secs(1000)).await;
    let before = world.events().await.len();
    let running = world.start("c");
    world.tell("l", take("eve", 100)).await;
    world.until("eve's turn", async || world.granted("l").await == ["ann", "bob", "eve"]).await;
    let after = world.events().await.split_off(before);
    assert_eq!(after.len(), 2, "a claim and a grant, and no turn that is over is granted again: {after:?}");
    running.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_panics_at_a_step_is_put_out_of_service_and_no_other_notices() {
    let world = World::new();
    let running = world.start("a");
    for lock in ["sick", "well"] {
        world.tell(lock, Fact::Make { room: 2 }).await;
        world.tell(lock, take("ann", 10_000)).await;
    }
    world.until("grants", async || world.granted("sick").await == ["ann"]).await;
    let jam = world.tell("sick", Fact::Jam).await;
    world.tell("well", take("bob", 10_000)).await;
    world.until("a grant beside it", async || world.granted("well").await == ["ann", "bob"]).await;
    world.until("its end", async || world.events().await.iter().any(|id| id.ends_with(":broken"))).await;
    assert_eq!(store::quarantined(), 1);
    let entries = world.bus.quarantine().list(Some("sick")).await.expect("readable");
    let messages: Vec<_> = entries.iter().map(|entry| entry.message.as_ref().map(|kept| kept.sequence)).collect();
    assert!(messages.contains(&Some(jam)) && messages.contains(&None), "{messages:?}");
    assert!(
        entries.iter().all(|entry| entry.reason.contains("the locksmith failed 5 times at this lock: panic: jammed"))
    );
    // Nothing is done for it any more, by this owner or the next; its log stays for an operator.
    world.tell("sick", take("bob", 10_000)).await;
    running.die().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let running = world.start("b");
    world.tell("well", Fact::Give { who: "ann".into() }).await;
    world.tell("well", take("eve", 10_000)).await;
    world.until("a grant", async || world.granted("well").await == ["ann", "bob", "eve"]).await;
    assert_eq!(world.granted("sick").await, ["ann"]);
    assert_eq!(world.log("sick").await.len(), 4);
    running.leave().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_on_a_bus_that_was_lost_counts_for_nobody() {
    let world = World::new();
    let running = world.start("a");
    let origin = world.bus.origin(Stream::Observed).await.expect("it has one");
    world.tell("l", Fact::Make { room: 10 }).await;
    let before = strays();
    world.tell_of(origin + 1, "l", take("ann", 10_000)).await;
    world.tell_of(origin, "l", take("bob", 10_000)).await;
    world.until("a grant", async || world.granted("l").await == ["bob"]).await;
    world.until("answers", async || world.unacknowledged().await == 0).await;
    assert_eq!(strays() - before, 1);
    // Nor for the next owner, who reads the log.
    running.die().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let running = world.start("b");
    world.tell("l", take("eve", 10_000)).await;
    world.until("a grant", async || world.granted("l").await == ["bob", "eve"]).await;
    running.leave().await;
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_does_not_know_of_its_successor_grants_nothing_behind_it() {
    let world = World::new();
    let former = world.own("a").await;
    world.tell("l", Fact::Make { room: 10 }).await;
    world.tell("l", take("ann", 10_000)).await;
    world.until("a grant", async || world.granted("l").await == ["ann"]).await;
    // Its lease lapses, and nobody tells it.
    tokio::time::sleep(2 * LEASE).await;
    let successor = world.own("b").await;
    let all = ["ann", "bob", "dan", "eve", "fay", "gus"];
    for who in &all[1..] {
        world.tell("l", take(who, 10_000)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.until("all grants", async || world.granted("l").await == all).await;
    world.until("its end", async || former.is_finished()).await;
    let epochs = world.epochs("l").await;
    assert!(epochs[1..].iter().all(|epoch| *epoch == epochs[1]) && epochs[0] < epochs[1], "{epochs:?}");
    assert!(!successor.is_finished());
}
