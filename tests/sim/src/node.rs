//! A node that plays pods. What a pod does stands in its image: `sim/ok`, `sim/fail`, `sim/flaky` (fails as the first
//! attempt), `sim/result` (says its node's name), `sim/slow` (runs for a minute), `sim/forever`
//! (until it is deleted). As a kubelet does, it ends a pod that has run for its `activeDeadlineSeconds`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use argosy_api::{
    labels,
    message::{ContainerSummary, PodPhase, PodSummary},
    v1alpha1::{NodePhase, NodeStatus, Outputs},
};
use argosy_testkit::world::{Oracle, Script};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    api::{Api, DeleteParams, Patch, PatchParams},
    runtime::watcher::{self, Event},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::random::Random;

/// What one pod did.
#[derive(Clone, Debug)]
pub struct Played {
    pub node_id: String,
    pub node_name: String,
    pub namespace: String,
    pub name: String,
    /// Uid of the Workflow that owns it.
    pub workflow_uid: String,
    pub service_account: String,
    /// How often its workflow had been retried when it came.
    pub generation: u32,
    pub uid: String,
    pub created: Instant,
    pub ended: Option<Instant>,
    pub gone: Option<Instant>,
}

/// A pod of the node `n` of the workflow `w`.
#[cfg(test)]
pub fn played(uid: &str, created: Instant, ended: Option<Instant>) -> Played {
    Played {
        node_id: "n".to_owned(),
        node_name: "w.n".to_owned(),
        namespace: "argo".to_owned(),
        name: "p".to_owned(),
        workflow_uid: "w".to_owned(),
        service_account: String::new(),
        generation: 0,
        uid: uid.to_owned(),
        created,
        ended,
        gone: None,
    }
}

/// All pods that ever were, by uid.
pub type Pods = Arc<Mutex<BTreeMap<String, Played>>>;

/// How often each workflow was retried, by uid.
pub type Generations = Arc<Mutex<BTreeMap<String, u32>>>;

/// A pod that should not have come, unless its creation was late.
#[derive(Clone, Debug)]
pub struct Suspect {
    pub pod: Played,
    /// The broken rule, in words.
    pub why: String,
}

/// On a pod that the world itself made: it belongs to nobody.
pub const FOREIGN: &str = "sim/foreign";

/// How a pod ends.
struct Ending {
    code: i32,
    outputs: Value,
    runs: Duration,
}

/// Why a pod ends that has run for too long, and how Kubernetes says so.
const LATE: &str = "DeadlineExceeded";
const LATE_MESSAGE: &str = "Pod was active on the node longer than the specified deadline";
/// Of a container that was told to end.
const TERMINATED: i32 = 143;

/// For how long a pod may run.
fn limit(manifest: &Value) -> Option<Duration> {
    manifest.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_u64).map(Duration::from_secs)
}

fn ending(image: &str, node_name: &str) -> Ending {
    let fails = match image {
        "sim/fail" => true,
        "sim/flaky" => node_name.ends_with("(0)"),
        _ => false,
    };
    let outputs = if image == "sim/result" { json!({"result": node_name}) } else { json!({}) };
    let runs = Duration::from_secs(match image {
        "sim/slow" => 60,
        "sim/forever" => 30 * 86_400,
        _ => 1,
    });
    Ending { code: i32::from(fails), outputs, runs }
}

fn image_of(manifest: &Value) -> &str {
    let containers = manifest["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let images = containers.iter().filter_map(|c| c["image"].as_str());
    images.into_iter().find(|image| image.starts_with("sim/")).unwrap_or("sim/ok")
}

/// The same pods for the engine alone.
pub struct Scripted;

impl Oracle for Scripted {
    fn script(&self, node: &NodeStatus, manifest: &Value, blank: PodSummary) -> Script {
        let ending = ending(image_of(manifest), &node.name);
        let names: Vec<&str> = manifest["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| c["name"].as_str())
            .collect();
        let containers = |phase: NodePhase, exit_code: Option<i32>| {
            let one = |name: &&str| {
                let exit_code = exit_code.map(|code| if *name == "main" { code } else { 0 });
                let phase = if exit_code.is_some_and(|code| code != 0) { NodePhase::Failed } else { phase };
                let reason = exit_code.map_or("", |code| if code == 0 { "Completed" } else { "Error" });
                ContainerSummary {
                    name: (*name).to_owned(),
                    phase,
                    exit_code,
                    reason: reason.to_owned(),
                    ..Default::default()
                }
            };
            names.iter().map(one).collect::<Vec<_>>()
        };
        let running = PodSummary {
            phase: PodPhase::Running,
            ready: true,
            containers: containers(NodePhase::Running, None),
            ..blank.clone()
        };
        let late = limit(manifest).filter(|limit| *limit < ending.runs);
        let ending = match late {
            Some(limit) => Ending { code: TERMINATED, outputs: json!({}), runs: limit },
            None => ending,
        };
        let outputs: Outputs = serde_json::from_value(ending.outputs).unwrap_or_default();
        let phase = if ending.code == 0 { PodPhase::Succeeded } else { PodPhase::Failed };
        let containers = containers(NodePhase::Succeeded, Some(ending.code));
        let mut ended = PodSummary { phase, containers, outputs: Some(outputs), ..blank };
        if late.is_some() {
            (ended.reason, ended.message) = (LATE.to_owned(), LATE_MESSAGE.to_owned());
        }
        let runs = SignedDuration::try_from(ending.runs).unwrap_or(SignedDuration::from_secs(1));
        vec![(SignedDuration::from_millis(100), running), (runs, ended)]
    }
}

/// The node.
pub struct Node {
    pub client: kube::Client,
    pub random: Arc<Random>,
    pub pods: Pods,
    pub generations: Generations,
    pub suspects: Arc<Mutex<Vec<Suspect>>>,
    pub broken: Arc<Mutex<Vec<String>>>,
    /// A planted bug: nothing is played.
    pub is_idle: bool,
}

impl Node {
    /// Plays pods until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let api: Api<Pod> = Api::all(self.client.clone());
        let mut events = std::pin::pin!(kube::runtime::watcher(api, watcher::Config::default()));
        let mut deleting: BTreeMap<String, CancellationToken> = BTreeMap::new();
        loop {
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                None => return,
                Some(Err(error)) => {
                    self.broken.lock().push(format!("the node's own watch failed: {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Some(Ok(Event::Init | Event::InitDone)) => {}
                Some(Ok(Event::Delete(pod))) => {
                    if let Some(played) = self.pods.lock().get_mut(pod.metadata.uid.as_deref().unwrap_or_default()) {
                        played.gone.get_or_insert_with(Instant::now);
                        played.ended.get_or_insert_with(Instant::now);
                    }
                }
                Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => {
                    if pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(FOREIGN)) {
                        continue;
                    }
                    let uid = pod.metadata.uid.clone().unwrap_or_default();
                    let is_deleting = pod.metadata.deletion_timestamp.is_some();
                    let is_new = !self.pods.lock().contains_key(&uid);
                    if is_new {
                        let stop = CancellationToken::new();
                        deleting.insert(uid.clone(), stop.clone());
                        self.begin(&pod, &uid);
                        if self.is_idle {
                            continue;
                        }
                        let play = play(
                            self.client.clone(),
                            Arc::clone(&self.random),
                            Arc::clone(&self.pods),
                            pod,
                            stop,
                            shutdown.clone(),
                        );
                        tokio::spawn(play);
                    }
                    if is_deleting && let Some(stop) = deleting.get(&uid) {
                        stop.cancel();
                    }
                }
            }
        }
    }

    fn begin(&self, pod: &Pod, uid: &str) {
        let annotation =
            |key: &str| pod.metadata.annotations.as_ref().and_then(|a| a.get(key)).cloned().unwrap_or_default();
        let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.kind == "Workflow");
        let workflow_uid = owner.map(|owner| owner.uid.clone()).unwrap_or_default();
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
        let played = Played {
            node_id: annotation(labels::NODE_ID),
            node_name: annotation(labels::NODE_NAME),
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            generation: self.generations.lock().get(&workflow_uid).copied().unwrap_or_default(),
            workflow_uid,
            service_account: account.unwrap_or_default(),
            uid: uid.to_owned(),
            created: Instant::now(),
            ended: None,
            gone: None,
        };
        let mut pods = self.pods.lock();
        let is_same = |other: &&Played| {
            (&other.workflow_uid, &other.node_id, other.generation)
                == (&played.workflow_uid, &played.node_id, played.generation)
        };
        if let Some(other) = pods.values().find(is_same) {
            let how = if other.ended.is_none() { "while the first lives" } else { "after the first ended" };
            let why = format!("S1: a second pod for node {} {how}", played.node_name);
            self.suspects.lock().push(Suspect { pod: played.clone(), why });
        }
        pods.insert(uid.to_owned(), played);
    }
}

async fn play(
    client: kube::Client,
    random: Arc<Random>,
    pods: Pods,
    pod: Pod,
    stop: CancellationToken,
    shutdown: CancellationToken,
) {
    let body = async {
        let manifest = serde_json::to_value(&pod).unwrap_or_default();
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let name = pod.metadata.name.clone().unwrap_or_default();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let node_name =
            manifest.pointer("/metadata/annotations").and_then(|a| a[labels::NODE_NAME].as_str()).unwrap_or_default();
        let ending = ending(image_of(&manifest), node_name);
        let api: Api<Pod> = Api::namespaced(client, &namespace);
        let set = |status: Value| {
            let (api, name) = (api.clone(), name.clone());
            async move {
                // A pod that is gone takes no status.
                _ = api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&json!({"status": status}))).await;
            }
        };
        let starts = random.millis(10, 400);
        let runs = ending.runs.mul_f64(0.5 + random.below(1000) as f64 / 1000.0);
        let late = limit(&manifest).filter(|limit| *limit < runs);
        let mut is_stopped = wait(starts, &stop).await;
        if !is_stopped {
            set(status(&manifest, "Running", None, &Value::Null)).await;
            is_stopped = wait(late.unwrap_or(runs), &stop).await;
        }
        let is_cut_short = is_stopped || late.is_some();
        let code = if is_cut_short { TERMINATED } else { ending.code };
        let outputs = if is_cut_short { json!({}) } else { ending.outputs };
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let mut ended = status(&manifest, phase, Some(code), &outputs);
        if late.is_some() && !is_stopped {
            (ended["reason"], ended["message"]) = (json!(LATE), json!(LATE_MESSAGE));
        }
        if let Some(played) = pods.lock().get_mut(&uid) {
            played.ended = Some(Instant::now());
        }
        set(ended).await;
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        _ = api.delete(&name, &DeleteParams::default().grace_period(0)).await;
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = body => {}
    }
}

/// True when it was cut short.
async fn wait(time: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => true,
        () = tokio::time::sleep(time) => false,
    }
}

fn status(manifest: &Value, phase: &str, code: Option<i32>, outputs: &Value) -> Value {
    let time = Timestamp::UNIX_EPOCH.to_string();
    let list = |key: &str, is_init: bool| -> Vec<Value> {
        let containers = manifest["spec"][key].as_array().map(Vec::as_slice).unwrap_or_default();
        let one = |container: &Value| {
            let name = container["name"].as_str().unwrap_or_default();
            let own = match code {
                _ if is_init => Some(0),
                Some(code) if name == "main" => Some(code),
                Some(_) => Some(0),
                None => None,
            };
            let report =
                if name == "wait" && code.is_some() { json!({"outputs": outputs}).to_string() } else { String::new() };
            let state = match own {
                Some(code) => {
                    json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" },
                    "message": report, "startedAt": time, "finishedAt": time}})
                }
                None => json!({"running": {"startedAt": time}}),
            };
            json!({"name": name, "image": "sim", "imageID": "", "ready": own.is_none(), "restartCount": 0, "state": state})
        };
        containers.iter().map(one).collect()
    };
    let ready = if phase == "Running" { "True" } else { "False" };
    json!({
        "phase": phase,
        "podIP": "10.0.0.1",
        "conditions": [{"type": "Ready", "status": ready}],
        "initContainerStatuses": list("initContainers", true),
        "containerStatuses": list("containers", false),
    })
}
