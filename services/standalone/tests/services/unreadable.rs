//! A data directory of which an earlier version left something that nobody can read.

use std::path::Path;

use argosy_apiserver::{Options, Server};
use serde_json::{Value, json};

use crate::world::{World, container};

/// The checksum of IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

/// The first log of a data directory, with objects as the API wrote them when it took whatever it was sent.
fn write_log(dir: &Path, objects: &[(&str, &str, &str, Value)]) {
    let mut log = Vec::new();
    for (n, (group, version, plural, object)) in objects.iter().enumerate() {
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = json!((n + 1).to_string());
        let record =
            json!({"rev": n + 1, "group": group, "version": version, "plural": plural, "put": object}).to_string();
        log.extend(u32::try_from(record.len()).expect("it is short").to_le_bytes());
        log.extend(crc32(record.as_bytes()).to_le_bytes());
        log.extend(record.as_bytes());
    }
    std::fs::write(dir.join("log-00000000000000000000"), log).expect("written");
}

fn workflow(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"name": name, "namespace": "argo", "uid": format!("uid-of-{name}"), "labels": labels,
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"entrypoint": "main", "templates": [container("main")]},
    })
}

#[tokio::test]
async fn what_nobody_can_read_stops_no_other_workflow_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "odd", "namespace": "argo", "uid": "uid-of-pod",
        "labels": {argosy_api::labels::SHARD: "0"}}, "spec": "none"});
    let custom = |object| ("argoproj.io", "v1alpha1", "workflows", object);
    write_log(
        dir.path(),
        &[
            custom(workflow("text", json!("."))),
            custom(workflow("good", json!({}))),
            custom(workflow("number", json!({"a": 1}))),
            ("", "v1", "pods", pod),
        ],
    );
    // What is left out once is left out for good, and is not lost.
    for _ in 0..2 {
        Server::open(Options::default(), dir.path()).expect("opened");
    }
    let server = Server::open(Options::default(), dir.path()).expect("opened");
    let world = World { server, ..World::new() };
    let (stop, task) = world.start("a");
    world.submit("new", json!([container("main")])).await;
    for name in ["good", "new"] {
        world.until(name, "Succeeded", Some(0)).await;
    }
    stop.cancel();
    task.await.expect("joined");
    let kept = std::fs::read_dir(dir.path()).expect("listed").filter_map(|entry| {
        let path = entry.expect("listed").path();
        path.file_name()?.to_str()?.starts_with("unreadable-").then(|| std::fs::read(&path).expect("readable"))
    });
    let mut kept: Vec<String> = kept
        .map(|bytes| serde_json::from_slice::<Value>(&bytes).expect("JSON")["metadata"]["name"].to_string())
        .collect();
    kept.sort();
    assert_eq!(kept, [r#""number""#, r#""odd""#, r#""text""#]);
}
