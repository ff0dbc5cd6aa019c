//! What the services ask of the API.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use argosy_actor::Host;
use argosy_api::labels;
use argosy_apiserver::{Fault, Faults, Options, Server};
use argosy_engine::Config;
use argosy_standalone::ServiceOptions;
use http::{HeaderMap, Uri, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::world::{World, container};

const A_WHILE: Duration = Duration::from_secs(60);
const SHARDS: u16 = 16;
const METADATA_ONLY: &str = "as=PartialObjectMetadata";

/// A request.
#[derive(Clone, Debug)]
struct Asked {
    verb: String,
    path: String,
    query: String,
    accept: String,
}

impl Asked {
    fn is_of(&self, verb: &str, plural: &str) -> bool {
        self.verb == verb && self.path.split('/').any(|part| part == plural)
    }

    fn is_cluster_wide(&self) -> bool {
        is_cluster_wide(&self.path)
    }
}

fn is_cluster_wide(path: &str) -> bool {
    !path.contains("/namespaces/")
}

/// Keeps what was asked.
#[derive(Default)]
struct Clerk {
    /// What is of no one namespace is forbidden.
    is_narrow: bool,
    asked: Mutex<Vec<Asked>>,
}

impl Faults for Clerk {
    fn on_arrival(&self, verb: &str, uri: &Uri, headers: &HeaderMap) {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
        let asked = Asked { verb: verb.to_owned(), path, query, accept: accept.to_owned() };
        self.asked.lock().expect("no panic").push(asked);
    }

    fn on_request(&self, _verb: &str, path: &str) -> Fault {
        if self.is_narrow && is_cluster_wide(path) { Fault::Forbid } else { Fault::None }
    }
}

impl Clerk {
    /// What was asked since it was looked at last.
    fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

fn world(is_narrow: bool) -> (World, Arc<Clerk>) {
    let clerk = Arc::new(Clerk { is_narrow, ..Clerk::default() });
    let server = Server::new(Options { faults: Some(clerk.clone()), ..Options::default() });
    (World { server, ..World::new() }, clerk)
}

fn host(world: &World, holder: &str) -> Host {
    Host { shards: SHARDS, ..world.host(holder) }
}

/// Workflows of which most have ended, and services that have gone.
async fn past(world: &World, unfinished: &[&str]) {
    let (stop, task) = world.start_on(host(world, "before"), ServiceOptions::default());
    for n in 0..30 {
        world.submit(&format!("done{n}"), json!([container("main")])).await;
    }
    for n in 0..30 {
        world.until(&format!("done{n}"), "Succeeded", Some(0)).await;
    }
    for name in unfinished {
        world.submit(name, json!([{"name": "main", "suspend": {}}])).await;
        world.until(name, "Running", None).await;
    }
    tokio::time::sleep(A_WHILE).await;
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_takes_over_lists_metadata_once_and_reads_what_is_unfinished() {
    let (world, clerk) = world(false);
    let unfinished = ["waits1", "waits2", "waits3"];
    past(&world, &unfinished).await;
    clerk.take();
    let options = argosy_scheduler::Options::default();
    let scheduler =
        argosy_scheduler::Service::new(host(&world, "b"), world.server.client("argo"), Config::default(), options);
    let stop = CancellationToken::new();
    let task = tokio::spawn(scheduler.run(stop.clone()));
    tokio::time::sleep(A_WHILE).await;
    let asked = clerk.take();
    let lists: Vec<_> = asked.iter().filter(|asked| asked.verb == "list").collect();
    assert_eq!(lists.len(), 1, "one for all {SHARDS} shards: {lists:?}");
    assert!(lists[0].is_of("list", "workflows") && lists[0].query.contains("completed"), "{lists:?}");
    let mut looks = asked.iter().filter(|asked| asked.verb == "list" || asked.verb == "watch");
    assert!(looks.all(|asked| asked.accept.contains(METADATA_ONLY)), "{asked:?}");
    let mut read: Vec<_> = asked.iter().filter(|asked| asked.is_of("get", "workflows")).collect();
    read.sort_by(|a, b| a.path.cmp(&b.path));
    let read: Vec<_> = read.iter().filter_map(|asked| asked.path.rsplit('/').next()).collect();
    assert_eq!(read, unfinished, "each once");
    stop.cancel();
    task.await.expect("joined").expect("it ends well");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_takes_over_lists_workflows_once_and_of_each_shard_its_pods() {
    let (world, clerk) = world(false);
    past(&world, &["waits"]).await;
    clerk.take();
    let (stop, task) = world.start_on(host(&world, "b"), ServiceOptions::default());
    tokio::time::sleep(A_WHILE).await;
    let asked = clerk.take();
    let lists = |plural: &str| asked.iter().filter(|asked| asked.is_of("list", plural)).collect::<Vec<_>>();
    let workflows = lists("workflows");
    let (metadata, whole): (Vec<_>, Vec<_>) =
        workflows.into_iter().partition(|asked| asked.accept.contains(METADATA_ONLY));
    assert_eq!((metadata.len(), whole.len()), (1, 1), "the scheduler's, and the watcher's");
    let pods: Vec<&str> = lists("pods").iter().map(|asked| asked.query.as_str()).collect();
    assert_eq!(pods.len(), usize::from(SHARDS));
    let label = labels::SHARD.replace('/', "%2F");
    let shards = pods.iter().filter_map(|query| query.split(&*label).nth(1)?.split("%2C").next());
    assert_eq!(shards.collect::<BTreeSet<_>>().len(), pods.len(), "each of another shard: {pods:?}");
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn rights_in_one_namespace_are_enough() {
    let (world, clerk) = world(true);
    let mut options = ServiceOptions::default();
    options.watcher.watch_namespace = Some("argo".into());
    options.scheduler.scheduler_namespace = Some("argo".into());
    options.pod_runner.pod_namespace = Some("argo".into());
    let (stop, task) = world.start_on(world.host("a"), options);
    let steps =
        json!({"name": "main", "steps": [[{"name": "a", "template": "work"}], [{"name": "b", "template": "work"}]]});
    world.submit("narrow", json!([steps, container("work")])).await;
    world.until("narrow", "Succeeded", Some(0)).await;
    // Through the next full lists, and the looks of owners after their logs.
    tokio::time::sleep(Duration::from_secs(700)).await;
    world.workflows().delete("narrow", &Default::default()).await.expect("deleted");
    tokio::time::sleep(A_WHILE).await;
    let asked = clerk.take();
    let count = |plural: &str| asked.iter().filter(|asked| asked.is_of("list", plural)).count();
    assert!(count("workflows") >= 4 && count("pods") >= 2, "scheduler, watcher and pod-runner listed again");
    let wide: Vec<_> = asked.iter().filter(|asked| asked.is_cluster_wide()).collect();
    assert!(wide.is_empty(), "{wide:?}");
    stop.cancel();
    task.await.expect("joined");
}

/// Runs a workflow of one pod, which runs for a while, and gives what the services asked.
async fn one_pod(spec: serde_json::Value, ran: Duration) -> Vec<Asked> {
    let (world, clerk) = world(false);
    let (stop, task) = world.start_on(host(&world, "a"), ServiceOptions::default());
    tokio::time::sleep(A_WHILE).await;
    clerk.take();
    world.submit_spec("one", spec).await;
    let name = loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let pods = world.pods().list(&Default::default()).await.expect("listed");
        if let Some(pod) = pods.items.into_iter().next() {
            break pod.metadata.name.expect("pods have names");
        }
    };
    if !ran.is_zero() {
        let running = json!({"status": {"phase": "Running"}});
        let patch = kube::api::Patch::Merge(&running);
        world.pods().patch_status(&name, &Default::default(), &patch).await.expect("patched");
        tokio::time::sleep(ran).await;
    }
    world.end_pod(&world.pods(), &name, 0, "").await;
    tokio::time::sleep(A_WHILE).await;
    let asked = clerk.take();
    let status = world.workflow("one").await["status"]["phase"].clone();
    assert_eq!(status, "Succeeded");
    stop.cancel();
    task.await.expect("joined");
    // What the test itself did.
    let own = |asked: &Asked| asked.path.ends_with("/status") || asked.is_of("create", "workflows");
    asked.into_iter().filter(|asked| !own(asked)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_workflow_of_one_pod_costs_two_writes_of_its_object_and_one_of_its_pod() {
    for ran in [Duration::ZERO, Duration::from_millis(400)] {
        // Marked as dealt with, or deleted, never both.
        for (strategy, pods) in [("", [1, 1, 0]), ("OnPodCompletion", [1, 0, 1]), ("OnWorkflowCompletion", [1, 0, 1])] {
            let gc = json!({"strategy": strategy});
            let spec = json!({"entrypoint": "main", "templates": [container("main")], "podGC": gc});
            let asked = one_pod(spec, ran).await;
            let count = |verb: &str, plural: &str| asked.iter().filter(|asked| asked.is_of(verb, plural)).count();
            assert_eq!(count("patch", "workflows"), 2, "{strategy} {asked:#?}");
            assert_eq!(["create", "patch", "delete"].map(|verb| count(verb, "pods")), pods, "{strategy} {asked:#?}");
        }
    }
}
