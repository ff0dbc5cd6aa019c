//! Leases and their epochs.

use argosy_bus::{Class, Error};

use crate::{Place, millis};

const TTL_MS: u64 = 4000;

pub async fn one_holder_at_a_time(place: Place) {
    let name = format!("shard-{}", place.shard);
    let acquire = |holder: &'static str| place.bus.acquire(&name, holder, millis(TTL_MS));
    let first = acquire("a").await.unwrap().expect("it is free");
    assert!(
        (first.name.as_str(), first.holder.as_str()) == (name.as_str(), "a") && first.epoch > 0 && first.is_valid()
    );
    assert!(acquire("b").await.unwrap().is_none());
    let again = acquire("a").await.unwrap().expect("it is held by the same");
    assert_eq!(again.epoch, first.epoch);
    let other = place.bus.acquire(&format!("{name}-other"), "b", millis(TTL_MS)).await.unwrap();
    assert!(other.is_some(), "leases do not touch each other");
    place.bus.release(again.clone()).await.unwrap();
    let second = acquire("b").await.unwrap().expect("it was released");
    assert!(second.epoch > first.epoch);
    let lost = place.bus.renew(&again).await.unwrap_err();
    assert!(matches!(&lost, Error::LeaseLost { lease, holder } if *lease == name && holder == "a"), "{lost:?}");
    assert_eq!(lost.class(), Class::Permanent);
    place.bus.release(again).await.expect("releasing what was lost is fine");
    assert!(acquire("c").await.unwrap().is_none(), "and takes nothing from the new holder");
    place.bus.release(second.clone()).await.unwrap();
    let third = acquire("b").await.unwrap().expect("it was released");
    assert!(third.epoch > second.epoch, "taking it anew is a new epoch, even for the same holder");
}

pub async fn a_lapsed_lease_goes_to_the_next(place: Place) {
    let name = format!("shard-{}", place.shard);
    let first = place.bus.acquire(&name, "a", millis(TTL_MS)).await.unwrap().unwrap();
    let began = tokio::time::Instant::now();
    let second = loop {
        if let Some(lease) = place.bus.acquire(&name, "b", millis(TTL_MS)).await.unwrap() {
            break lease;
        }
        tokio::time::sleep(millis(100)).await;
    };
    assert!(began.elapsed() >= millis(TTL_MS - 700), "taken after {:?}", began.elapsed());
    assert!(!first.is_valid() || began.elapsed() < millis(TTL_MS), "the holder knows by its own clock");
    assert!(second.epoch > first.epoch);
    assert!(matches!(place.bus.renew(&first).await, Err(Error::LeaseLost { .. })));
    place.bus.renew(&second).await.expect("the failed renewal changed nothing");
}

pub async fn renewing_keeps_a_lease(place: Place) {
    let name = format!("shard-{}", place.shard);
    let first = place.bus.acquire(&name, "a", millis(TTL_MS)).await.unwrap().unwrap();
    let mut lease = first.clone();
    for _ in 0..5 {
        tokio::time::sleep(millis(TTL_MS / 3)).await;
        assert!(place.bus.acquire(&name, "b", millis(TTL_MS)).await.unwrap().is_none());
        lease = place.bus.renew(&lease).await.unwrap();
    }
    assert_eq!(lease.epoch, first.epoch);
    assert!(lease.is_valid() && !first.is_valid());
    let renewed = place.bus.renew(&first).await.expect("the same holding, whose later answers were lost");
    assert_eq!(renewed.epoch, first.epoch);
}

pub async fn one_of_many_racing_holders_wins(place: Place) {
    let mut racers = tokio::task::JoinSet::new();
    for holder in 0..8 {
        let (bus, name) = (place.bus.clone(), format!("shard-{}", place.shard));
        racers.spawn(async move { bus.acquire(&name, &format!("holder-{holder}"), millis(30_000)).await.unwrap() });
    }
    assert_eq!(racers.join_all().await.iter().flatten().count(), 1);
}

pub async fn held_leases_can_be_listed(place: Place) {
    let (group, other) = (format!("group-{}", place.shard), format!("group-{}x", place.shard));
    let held = || async { place.bus.held(&group).await.unwrap() };
    assert_eq!(held().await, Vec::<String>::new());
    let names = ["c", "a", "b.x"].map(|name| format!("{group}.{name}"));
    let mut leases = Vec::new();
    for name in names.iter().chain([&format!("{other}.d")]) {
        leases.push(place.bus.acquire(name, "me", millis(30_000)).await.unwrap().expect("it is free"));
    }
    assert_eq!(held().await, [&names[1], &names[2], &names[0]].map(String::clone));
    place.bus.release(leases.remove(1)).await.unwrap();
    let lapsing = place.bus.acquire(&format!("{group}.e"), "me", millis(TTL_MS)).await.unwrap().expect("it is free");
    assert_eq!(held().await, [&names[2], &names[0], &lapsing.name].map(String::clone), "the released one is not held");
    while held().await.contains(&lapsing.name) {
        tokio::time::sleep(millis(100)).await;
    }
    assert_eq!(held().await.len(), 2, "nor the lapsed one");
}

/// A process may renew one lease from several places.
pub async fn many_renewals_of_one_holding_lose_nothing(place: Place) {
    let name = format!("shard-{}", place.shard);
    let lease = place.bus.acquire(&name, "a", millis(30_000)).await.unwrap().expect("it is free");
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (bus, name, mut lease) = (place.bus.clone(), name.clone(), lease.clone());
        tasks.spawn(async move {
            for _ in 0..15 {
                lease = bus.renew(&lease).await?;
                if task == 0 {
                    let again = bus.acquire(&name, "a", millis(30_000)).await?;
                    assert_eq!(again.map(|lease| lease.epoch), Some(lease.epoch), "its holder gets it again");
                }
            }
            Ok::<_, Error>(lease.epoch)
        });
    }
    for epoch in tasks.join_all().await {
        assert_eq!(epoch.unwrap(), lease.epoch);
    }
    assert!(place.bus.acquire(&name, "b", millis(30_000)).await.unwrap().is_none());
}
