use std::sync::Arc;

use argosy_bus::memory::{Chaos, Memory, Options, PublishFault};

use super::*;

fn host(bus: Memory) -> Host {
    Host::new(Arc::new(bus), "t", 4)
}

fn key() -> WorkflowKey {
    WorkflowKey { uid: "u".into(), namespace: "ns".into(), name: "w.x".into() }
}

#[tokio::test]
async fn versions_are_kept_apart_and_in_pieces_that_the_bus_takes() {
    let host = host(Memory::new());
    let large: String = (0..CHUNK_BYTES / 2).map(|n| format!("{n:05}")).collect();
    host.put(&key(), "fnv:1", &large).await.expect("stored");
    host.put(&key(), "fnv:2", "small").await.expect("stored");
    host.put(&key(), "fnv:2", "small").await.expect("a repeat is harmless");
    assert_eq!(host.get("u", "fnv:1").await.expect("read").as_ref(), Some(&large));
    assert_eq!(host.get("u", "fnv:2").await.expect("read").as_deref(), Some("small"));
    assert_eq!(host.get("other", "fnv:1").await.expect("read"), None);
    host.remove("u", "fnv:1").await.expect("removed");
    host.remove("u", "fnv:1").await.expect("removing again succeeds");
    assert_eq!(host.get("u", "fnv:1").await.expect("read"), None);
    // The bus knows ids for two minutes: what was removed is stored anew all the same.
    host.put(&key(), "fnv:1", "again").await.expect("stored");
    assert_eq!(host.get("u", "fnv:1").await.expect("read").as_deref(), Some("again"));
    let huge = "x".repeat(BYTES_MAX + 1);
    assert!(matches!(host.put(&key(), "fnv:3", &huge).await, Err(Error::TooLarge(_))));
}

/// Refuses the second chunk of the first write.
struct SecondLost(AtomicU64);

impl Chaos for SecondLost {
    fn on_publish(&self, message: &Publish) -> PublishFault {
        let is_second = message.headers.get(HEADER_CHUNK).is_some_and(|text| text.starts_with("1/"));
        if is_second && self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            PublishFault::Refused
        } else {
            PublishFault::None
        }
    }
}

#[tokio::test]
async fn a_write_that_broke_off_is_not_read_and_its_repeat_is() {
    let options = Options { chaos: Some(Arc::new(SecondLost(AtomicU64::new(0)))), ..Options::default() };
    let host = host(Memory::with_options(options));
    let text = "x".repeat(2 * CHUNK_BYTES + 1);
    let failed = host.put(&key(), "fnv:1", &text).await.expect_err("the bus does not answer");
    assert!(failed.passes());
    assert_eq!(host.get("u", "fnv:1").await.expect("read"), None);
    host.put(&key(), "fnv:1", &text).await.expect("stored");
    assert_eq!(host.get("u", "fnv:1").await.expect("read"), Some(text));
}

#[tokio::test(start_paused = true)]
async fn what_has_been_stored_for_long_is_found_with_its_workflow() {
    let host = host(Memory::new());
    host.put(&key(), "fnv:1", "old").await.expect("stored");
    tokio::time::sleep(Duration::from_secs(100)).await;
    host.put(&key(), "fnv:2", "new").await.expect("stored");
    let shard = host.shard_of("u");
    let found = host.older_than(shard, Duration::from_secs(50)).await.expect("found");
    let old = Stored { key: Some(key()), uid: "u".into(), version: "fnv:1".into() };
    assert_eq!(found, [old]);
    assert_eq!(host.older_than(shard, Duration::from_secs(500)).await.expect("found"), []);
}
