//! The life of one pod: volumes, init containers in order, containers together, deadline, deletion.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::container::{self, Stops};
use super::names::{BadName, Name};
use super::remains;
use super::shared::Shared;
use super::state::{Ended, GIVEN_UP, Observed, Snapshot, State};
use super::status::{self, Phase, is_sidecar};
use super::view::View;
use super::volumes::{self, Maker, Prepared};
use super::writer;

/// Seconds between SIGTERM and SIGKILL when the pod does not say; Kubernetes' default.
const GRACE_SECS: u64 = 30;
/// Bytes of a host name, at most; the kernel's limit.
const HOSTNAME_MAX: usize = 63;
/// Part of a path in place of a name that may not be one; no such name is like it.
const NOWHERE: &str = "-";
/// How soon volumes are tried again: a claim may be made at the same time as its pod. Then less and less often.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// A pod that this node runs, or has run and still keeps.
pub struct PodRun {
    pub node: Arc<Shared>,
    pub pod: Pod,
    /// What the containers do; everybody waits on this.
    pub states: watch::Sender<Snapshot>,
    /// When the node took the pod.
    pub start: Timestamp,
    /// Its uid, and the names of its containers, as parts of paths.
    uid_part: Option<Name>,
    container_parts: HashMap<String, Name>,
    /// A name in it that may not become a part of a path: it is not run.
    bad_name: Option<BadName>,
    stops: HashMap<String, Stops>,
    stopping: CancellationToken,
    grace_secs: AtomicU64,
    volumes: Mutex<BTreeMap<String, Prepared>>,
    views: Mutex<HashMap<String, View>>,
    fate: Mutex<Fate>,
    over: CancellationToken,
}

#[derive(Default)]
struct Fate {
    /// The API server wants the pod gone.
    deleting: bool,
    /// Nothing of it runs any more, and its status is written.
    finished: bool,
    /// It is gone at the API server: nothing is to be written about it.
    gone: bool,
}

impl PodRun {
    /// A pod that is about to run.
    pub fn new(node: Arc<Shared>, pod: Pod) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let all = || spec.init_containers.iter().flatten().chain(&spec.containers);
        let waiting = |c: &Container| {
            let state = State::Waiting { reason: "PodInitializing", message: String::new() };
            (c.name.clone(), Observed { state, ready: false })
        };
        let snapshot = Snapshot { containers: all().map(waiting).collect(), failure: None };
        let grace = spec.termination_grace_period_seconds.and_then(|n| u64::try_from(n).ok()).unwrap_or(GRACE_SECS);
        let before = pod.status.as_ref().and_then(|s| s.start_time.as_ref());
        let uid = Name::subdomain("uid", pod.metadata.uid.as_deref().unwrap_or_default());
        let containers: Vec<_> = all().map(|c| (c.name.clone(), Name::label("container", &c.name))).collect();
        let volumes = spec.volumes.iter().flatten().map(|volume| Name::label("volume", &volume.name));
        let bad_name =
            volumes.chain(containers.iter().map(|(_, name)| name.clone())).chain([uid.clone()]).find_map(Result::err);
        Self {
            uid_part: uid.ok(),
            container_parts: containers.into_iter().filter_map(|(name, part)| Some((name, part.ok()?))).collect(),
            bad_name,
            start: before.map_or_else(Timestamp::now, |time| time.0),
            states: watch::Sender::new(snapshot),
            stops: all().map(|c| (c.name.clone(), Stops::default())).collect(),
            stopping: CancellationToken::new(),
            grace_secs: AtomicU64::new(grace),
            volumes: Mutex::default(),
            views: Mutex::default(),
            fate: Mutex::default(),
            over: CancellationToken::new(),
            node,
            pod,
        }
    }

    /// What is kept of a pod that has ended: enough to read its logs.
    pub fn remains(&self) -> Self {
        let names = |list: &[Container]| {
            list.iter().map(|c| Container { name: c.name.clone(), ..Container::default() }).collect::<Vec<_>>()
        };
        let meta = &self.pod.metadata;
        let metadata = ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            ..ObjectMeta::default()
        };
        let spec = self.pod.spec.as_ref().map(|spec| PodSpec {
            init_containers: spec.init_containers.as_deref().map(names),
            containers: names(&spec.containers),
            ..PodSpec::default()
        });
        let run = Self::new(self.node.clone(), Pod { metadata, spec, status: None });
        let deleting = self.fate.lock().deleting;
        *run.fate.lock() = Fate { deleting, finished: true, gone: false };
        run.over.cancel();
        run.states.send_modify(|now| {
            for container in now.containers.values_mut() {
                container.state = State::Ended(Ended::with_code(0, String::new(), self.start, self.start));
            }
        });
        run
    }

    /// Runs the pod until it has ended, its end is written and, when it is to be deleted, its deletion is confirmed. What
    /// goes wrong in the node's own code is this pod's end, and nobody else's.
    pub async fn run(self: Arc<Self>) {
        let done = CancellationToken::new();
        let life = async {
            if let Err(panic) = AssertUnwindSafe(self.live()).catch_unwind().await {
                self.give_up(None, &*panic);
            }
            done.cancel();
        };
        let write = async {
            if let Err(panic) = AssertUnwindSafe(writer::run(&self, &done)).catch_unwind().await {
                let text = self.give_up(None, &*panic);
                writer::fail(&self.node.client, &self.pod, &text).await;
            }
        };
        tokio::join!(life, write);
        self.node.backend.remove_containers(&self).await;
        let deleting = {
            let mut fate = self.fate.lock();
            fate.finished = true;
            fate.deleting
        };
        if deleting {
            writer::confirm_deletion(&self).await;
        }
        // `wait` has gathered the outputs: nobody reads any more what lies in no volume
        let views = std::mem::take(&mut *self.views.lock());
        let layers = views.into_values().flat_map(View::own_directories);
        for dir in layers.chain(self.own_files()) {
            remains::remove(dir).await;
        }
        self.over.cancel();
    }

    /// The directories of what the node itself wrote for the pod: secrets, outputs on their way.
    pub fn own_files(&self) -> Vec<PathBuf> {
        let volumes = self.dir().join("volumes");
        let written = volumes::written_by_the_node(&self.pod).into_iter().map(|name| volumes.join(name));
        written.chain([self.own_dir()]).collect()
    }

    /// The node's own code failed over the pod, or over one of its containers: all of it ends, and the status says why. The
    /// containers that have not ended yet count as not started, which makes it the node's error and not the step's.
    pub fn give_up(&self, container: Option<&str>, panic: &(dyn Any + Send)) -> String {
        let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let message = format!("a bug in the local node ended it: {what}");
        self.node.panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(pod = %self.name(), container, panic = %what, "a pod is given up");
        self.states.send_modify(|now| {
            let concerned = now.containers.iter_mut().filter(|(name, _)| container.is_none_or(|only| only == *name));
            for (_, observed) in concerned.filter(|(_, observed)| !matches!(observed.state, State::Ended(_))) {
                *observed =
                    Observed { state: State::Waiting { reason: GIVEN_UP, message: message.clone() }, ready: false };
            }
            now.failure.get_or_insert_with(|| (GIVEN_UP.to_owned(), String::new()));
        });
        self.stop_all();
        message
    }

    /// Refuses a pod with a name in it that may not become a part of a path.
    fn refuse(&self, bad: &BadName) {
        self.states.send_modify(|now| {
            for observed in now.containers.values_mut() {
                observed.state = State::Waiting { reason: "InvalidName", message: bad.to_string() };
            }
            now.failure = Some(("InvalidName".to_owned(), String::new()));
        });
    }

    /// Waits until nothing of the pod runs any more.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    async fn live(self: &Arc<Self>) {
        if let Some(bad) = &self.bad_name {
            return self.refuse(bad);
        }
        let deadline = self.pod.spec.as_ref().and_then(|s| s.active_deadline_seconds);
        let late = async {
            match deadline.and_then(|secs| self.start.checked_add(jiff::SignedDuration::from_secs(secs)).ok()) {
                Some(due) => {
                    let left = due.duration_since(Timestamp::now());
                    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
                }
                None => std::future::pending().await,
            }
        };
        let sequence = self.sequence();
        tokio::pin!(sequence);
        tokio::select! {
            () = &mut sequence => return,
            () = late => {
                let text = "Pod was active on the node longer than the specified deadline";
                self.states.send_modify(|now| now.failure = Some(("DeadlineExceeded".into(), text.into())));
                self.stop_all();
            }
        }
        sequence.await;
    }

    async fn sequence(self: &Arc<Self>) {
        let Some(spec) = &self.pod.spec else { return };
        // What an earlier life of the node has begun is followed to its end, also when the pod is about to go.
        let has_begun = spec.init_containers.iter().flatten().chain(&spec.containers).any(|c| self.has_begun(&c.name));
        // held until nothing of the pod runs any more
        let _place = tokio::select! {
            place = self.node.backend.place() => place,
            () = self.stopping.cancelled(), if !has_begun => return,
        };
        if !self.make_volumes().await {
            return;
        }
        let mut sidecars = JoinSet::new();
        for init in spec.init_containers.iter().flatten() {
            if !self.may_run(&init.name) {
                break;
            }
            if is_sidecar(init) {
                sidecars.spawn(container::run(self.clone(), init.clone()));
                let mut states = self.states.subscribe();
                // the sender is ours: it cannot be gone
                let _ = states.wait_for(|now| now.started(&init.name)).await;
                continue;
            }
            match container::run(self.clone(), init.clone()).await {
                Some(ended) if ended.exit_code == 0 => {}
                _ => {
                    self.finish_sidecars(sidecars).await;
                    return;
                }
            }
        }
        let mut mains = JoinSet::new();
        for main in spec.containers.iter().filter(|main| self.may_run(&main.name)) {
            mains.spawn(container::run(self.clone(), main.clone()));
        }
        while let Some(ended) = mains.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, pod = %self.name(), "a container's task died");
            }
        }
        self.finish_sidecars(sidecars).await;
    }

    /// Nothing new begins in a pod that is being stopped.
    fn may_run(&self, container: &str) -> bool {
        !self.is_stopping() || self.has_begun(container)
    }

    /// Whether an earlier life of the node has begun the container, or ended it.
    pub fn has_begun(&self, container: &str) -> bool {
        self.node.outlive && container::has_begun(&self.container_dir(container))
    }

    async fn finish_sidecars(&self, mut sidecars: JoinSet<Option<Ended>>) {
        for init in self.pod.spec.iter().flat_map(|s| s.init_containers.iter().flatten()).filter(|c| is_sidecar(c)) {
            self.stop(&init.name);
        }
        while sidecars.join_next().await.is_some() {}
    }

    async fn make_volumes(&self) -> bool {
        let maker = Maker {
            client: &self.node.client,
            pod: &self.pod,
            node: &self.node.name,
            own: &self.dir().join("volumes"),
            claims: &self.node.data_dir.join("claims"),
        };
        let mut wait = RETRY_FIRST;
        loop {
            match maker.all().await {
                Ok(made) => {
                    *self.volumes.lock() = made;
                    return true;
                }
                Err(error) => {
                    let message = error.to_string();
                    self.states.send_modify(|now| {
                        for container in now.containers.values_mut() {
                            let message = message.clone();
                            container.state = State::Waiting { reason: "ContainerCreating", message };
                        }
                    });
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(RETRY_LAST),
                () = self.stopping.cancelled() => return false,
            }
        }
    }

    /// The API server wants the pod gone after `grace` seconds. True when nothing runs any more, so that the caller
    /// has to confirm the deletion.
    pub fn delete(&self, grace_secs: Option<u64>) -> bool {
        if let Some(secs) = grace_secs {
            self.grace_secs.fetch_min(secs, Ordering::Relaxed);
        }
        self.stop_all();
        let mut fate = self.fate.lock();
        let first = !std::mem::replace(&mut fate.deleting, true);
        first && fate.finished
    }

    /// The pod is gone at the API server, or the node ends: all its processes die now.
    pub fn drop_now(&self) {
        let mut fate = self.fate.lock();
        fate.gone = true;
        self.stopping.cancel();
        for stops in self.stops.values() {
            stops.term.cancel();
            stops.kill.cancel();
        }
    }

    /// Whether nothing of the pod runs any more and its end is written.
    pub fn has_finished(&self) -> bool {
        self.fate.lock().finished
    }

    /// Whether the pod is gone at the API server.
    pub fn is_gone(&self) -> bool {
        self.fate.lock().gone
    }

    fn stop_all(&self) {
        self.stopping.cancel();
        for stops in self.stops.values() {
            stops.term.cancel();
        }
    }

    /// Whether the whole pod is being stopped.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Asks one container to stop.
    pub fn stop(&self, container: &str) {
        if let Some(stops) = self.stops.get(container) {
            stops.term.cancel();
        }
    }

    /// How one container is stopped.
    pub fn stops(&self, container: &str) -> Stops {
        self.stops.get(container).cloned().unwrap_or_default()
    }

    /// Time between SIGTERM and SIGKILL.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_secs.load(Ordering::Relaxed))
    }

    /// Records what a container does.
    pub fn set(&self, container: &str, state: State) {
        self.states.send_if_modified(|now| match now.containers.get_mut(container) {
            Some(observed) if observed.state != state => {
                observed.ready &= matches!(state, State::Running { .. });
                observed.state = state;
                true
            }
            _ => false,
        });
    }

    /// Records that a container runs.
    pub fn set_running(&self, container: &str, started_at: Timestamp, ready: bool) {
        self.states.send_modify(|now| {
            if let Some(observed) = now.containers.get_mut(container) {
                *observed = Observed { state: State::Running { started_at }, ready };
            }
        });
    }

    /// Records what a readiness probe found.
    pub fn set_ready(&self, container: &str, ready: bool) {
        self.states.send_if_modified(|now| match now.containers.get_mut(container) {
            Some(observed) => std::mem::replace(&mut observed.ready, ready) != ready,
            None => false,
        });
    }

    /// The volumes, once they are made.
    pub fn volumes(&self) -> BTreeMap<String, Prepared> {
        self.volumes.lock().clone()
    }

    /// The files of a container, once it is prepared.
    pub fn view(&self, container: &str) -> Option<View> {
        self.views.lock().get(container).cloned()
    }

    /// Records the files of a container.
    pub fn set_view(&self, container: &str, view: View) {
        self.views.lock().insert(container.to_owned(), view);
    }

    /// The status to write now, and its phase.
    pub fn status(&self, before: Option<&PodStatus>) -> (PodStatus, Phase) {
        let now = self.states.borrow().clone();
        let (uid, name) = (self.uid(), self.name());
        let id = |container: &str| self.node.backend.container_id(&uid, &name, container);
        let status = status::status(&self.pod, &now, self.start, Timestamp::now(), before, &id);
        (status, status::phase(&self.pod, &now))
    }

    /// Name of the pod.
    pub fn name(&self) -> String {
        self.pod.metadata.name.clone().unwrap_or_default()
    }

    /// Namespace of the pod.
    pub fn namespace(&self) -> String {
        self.pod.metadata.namespace.clone().unwrap_or_default()
    }

    /// Uid of the pod.
    pub fn uid(&self) -> String {
        self.pod.metadata.uid.clone().unwrap_or_default()
    }

    /// The host name that the pod asks for, else its own name, cut to what the kernel takes as a host name.
    pub fn hostname(&self) -> String {
        let mut name = self.pod.spec.as_ref().and_then(|s| s.hostname.clone()).unwrap_or_else(|| self.name());
        container::cut(&mut name, HOSTNAME_MAX);
        name
    }

    /// The pod's directory.
    pub fn dir(&self) -> PathBuf {
        let part = self.uid_part.as_ref().map_or(Path::new(NOWHERE), Name::as_ref);
        self.node.data_dir.join("pods").join(part)
    }

    /// The directory of what the node itself keeps for the pod. No container sees it.
    pub fn own_dir(&self) -> PathBuf {
        self.dir().join("own")
    }

    /// A container's directory.
    pub fn container_dir(&self, container: &str) -> PathBuf {
        let part = self.container_parts.get(container).map_or(Path::new(NOWHERE), Name::as_ref);
        self.dir().join("containers").join(part)
    }

    /// A container's log.
    pub fn log_file(&self, container: &str) -> PathBuf {
        self.container_dir(container).join("log")
    }
}
