//! Which services leave the runtime's own threads alone with a large workflow. Threads are counted, not time: one worker is
//! there from the beginning, and each further thread was started for work aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argosy_actor::Host;
use argosy_engine::Config;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::world::{World, container};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Watcher,
    Scheduler,
    PodRunner,
    Status,
}

const ROLES: [Role; 4] = [Role::Watcher, Role::Scheduler, Role::PodRunner, Role::Status];

fn start(runtime: &Runtime, role: Role, host: &Host, client: &kube::Client, stop: &CancellationToken) {
    let (host, client, stop) = (host.clone(), client.clone(), stop.clone());
    match role {
        Role::Watcher => {
            _ = runtime.spawn(argosy_watcher::Service::new(host, client, Default::default()).run(stop));
        }
        Role::Scheduler => {
            let service = argosy_scheduler::Service::new(host, client, Config::default(), Default::default());
            _ = runtime.spawn(service.run(stop));
        }
        Role::PodRunner => {
            _ = runtime.spawn(argosy_pod_runner::Service::new(host, client, Default::default()).run(stop));
        }
        Role::Status => {
            _ = runtime.spawn(argosy_status::Service::new(host, client, Default::default()).run(stop));
        }
    }
}

/// Threads of a runtime in which only the service `counted` lives, once the workflow's status is as it `is_to_be`.
fn threads(counted: Role, spec: Value, is_to_be: fn(&Value) -> bool) -> usize {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let its = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .on_thread_start(move || _ = count.fetch_add(1, Ordering::Relaxed))
        .build()
        .expect("a runtime");
    let others = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let stop = CancellationToken::new();
    others.block_on(async {
        let world = World::new();
        // The API and its clients' own tasks live with the others.
        let (host, client) = (world.host("a"), world.server.client("argo"));
        for role in ROLES {
            start(if role == counted { &its } else { &others }, role, &host, &client, &stop);
        }
        world.submit_spec("w", spec).await;
        while !is_to_be(&world.workflow("w").await["status"]) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    });
    let threads = started.load(Ordering::Relaxed);
    its.shutdown_background();
    threads
}

fn runs(status: &Value) -> bool {
    status["phase"] == "Running" && status["nodes"]["w"]["phase"] == "Pending"
}

fn has_compressed_nodes(status: &Value) -> bool {
    status["compressedNodes"].is_string()
}

fn small() -> Value {
    json!({"entrypoint": "main", "templates": [container("main")]})
}

fn large() -> Value {
    let ballast = json!([{"name": "ballast", "value": "x".repeat(400_000)}]);
    json!({"entrypoint": "main", "arguments": {"parameters": ballast}, "templates": [container("main")]})
}

/// A small object, until its status has all the nodes.
fn large_status() -> Value {
    let text = json!({"name": "text", "value": "{{workflow.parameters.text}} {{item}}"});
    let step = json!({"name": "work", "template": "work", "arguments": {"parameters": [text]}, "withSequence": {"count": "60"}});
    let mut work = container("work");
    work["inputs"] = json!({"parameters": [{"name": "text"}]});
    let parameters = json!([{"name": "text", "value": "x".repeat(25_000)}]);
    json!({"entrypoint": "main", "arguments": {"parameters": parameters},
        "templates": [{"name": "main", "steps": [[step]]}, work]})
}

/// A step that took long, be it because the machine did something else, makes the later ones of its workflow leave the
/// thread too: what never needs another thread does without one in some run of a few.
fn can_do_without_a_thread(role: Role) -> bool {
    (0..20).any(|_| threads(role, small(), runs) == 1)
}

#[test]
fn large_objects_are_read_and_hashed_aside() {
    for role in [Role::Watcher, Role::Scheduler, Role::Status] {
        assert!(can_do_without_a_thread(role), "{role:?}: no thread for a small one");
        assert!(threads(role, large(), runs) > 1, "{role:?}");
    }
}

#[test]
fn many_nodes_are_compressed_aside() {
    assert!(threads(Role::Status, large_status(), has_compressed_nodes) > 1);
}
