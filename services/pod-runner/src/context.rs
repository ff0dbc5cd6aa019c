//! What the parts of the pod-runner share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Host, Owned, TokenBucket, Turns};
use argosy_api::message::ClusterCommand;
use argosy_bus::{Stream, subject};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::bin::Bin;
use crate::images::{self, ImageCommand, Images, Mirror};
use crate::known::KnownPods;

/// Settings of the pod-runner; each has a default.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Seconds that a shard stays with an owner that no longer answers.
    #[arg(long, default_value_t = 10)]
    pub pod_runner_lease_secs: u64,
    /// Only pods of this namespace are watched; without it, of all.
    #[arg(long)]
    pub pod_namespace: Option<String>,
    /// Seconds between full lists of the pods, which find what a watch may have missed.
    #[arg(long, default_value_t = 300)]
    pub pod_relist_secs: u64,
    /// Requests to the API under way at once; as many again that end or look at something do not wait for them.
    #[arg(long, default_value_t = 64)]
    pub pod_requests_max: usize,
    /// Requests to the API per second. Those that create something wait for their turn, workflow by workflow; all others only
    /// use turns up.
    #[arg(long, default_value_t = 300)]
    pub pod_requests_per_sec: u32,
    /// Where to ask what the images of a registry run, which containers without a command need; several with commas between.
    /// Without it their own registry is asked.
    #[arg(long, env = "ARGOSY_IMAGE_MIRRORS", value_delimiter = ',', value_name = "REGISTRY=URL")]
    pub image_mirrors: Vec<Mirror>,
    /// What images run, where nobody need be asked. Source: Argo ConfigMap key `images`.
    #[arg(skip)]
    pub image_commands: BTreeMap<String, ImageCommand>,
    /// Grace that pods get which `podGC` deletes; Kubernetes' own without it. Source: Argo ConfigMap key
    /// `podGCGracePeriodSeconds`.
    #[arg(skip)]
    pub pod_gc_grace_secs: Option<u32>,
    /// The manifest of each pod goes into the log, as a user wrote it, secrets in variables included. Source: Argo ConfigMap
    /// key `podSpecLogStrategy`.
    #[arg(skip)]
    pub logs_pods: bool,
    /// The same, of pods that have failed.
    #[arg(skip)]
    pub logs_failed_pods: bool,
    /// How fast pods and other objects of workflows are created, besides the limit of all requests. Source: Argo ConfigMap key
    /// `resourceRateLimit`.
    #[arg(skip)]
    pub create_limit: Option<CreateLimit>,
    /// Whether pods run where nobody but the registry knows what an image runs. The local node knows by itself.
    #[arg(skip)]
    pub asks_registries: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pod_runner_lease_secs: 10,
            pod_namespace: None,
            pod_relist_secs: 300,
            pod_requests_max: 64,
            pod_requests_per_sec: 300,
            image_mirrors: Vec::new(),
            image_commands: BTreeMap::new(),
            pod_gc_grace_secs: None,
            logs_pods: false,
            logs_failed_pods: false,
            create_limit: None,
            asks_registries: false,
        }
    }
}

/// A rate of creations, of one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CreateLimit {
    pub per_sec: f64,
    /// So many may come at once.
    pub burst: u32,
}

/// What nobody waits for gives way to what does for at most this long: a cluster that always has something to start has to be
/// tidied as well.
const LAST_WAIT: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = Duration::from_millis(20);

/// How urgent a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// It makes something run.
    Create,
    /// It ends something, or looks at it.
    Other,
    /// Nothing waits for it: what else there is to do goes first.
    Last,
}

impl Urgency {
    /// `None`: nothing is asked of the API.
    pub fn of(command: &ClusterCommand) -> Option<Self> {
        Some(match command {
            ClusterCommand::CreatePod { .. } | ClusterCommand::CreateObject { .. } => Self::Create,
            ClusterCommand::ConfirmPod { .. }
            | ClusterCommand::StopPod { .. }
            | ClusterCommand::DeletePod { .. }
            | ClusterCommand::CollectPods { .. }
            | ClusterCommand::SaveCacheEntry { .. }
            | ClusterCommand::DeleteObject { .. } => Self::Other,
            ClusterCommand::LabelPodCompleted { .. } | ClusterCommand::CollectPod { .. } => return None,
        })
    }
}

/// What all shards share.
pub(crate) struct Context {
    pub host: Host,
    pub client: kube::Client,
    pub options: Options,
    creates: Turns,
    others: Arc<Semaphore>,
    rate: TokenBucket,
    create_rate: Option<TokenBucket>,
    images: Option<Images>,
}

impl Context {
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        let creates = Turns::new(options.pod_requests_max);
        let others = Arc::new(Semaphore::new(options.pod_requests_max.max(1)));
        let rate = TokenBucket::new(options.pod_requests_per_sec);
        let create_rate = options.create_limit.map(|limit| TokenBucket::with_burst(limit.per_sec, limit.burst));
        let images =
            options.asks_registries.then(|| Images::new(options.image_mirrors.clone(), options.image_commands.clone()));
        Self { creates, others, rate, create_rate, images, host, client, options }
    }

    /// Completes a pod with what only registries know.
    pub async fn complete(&self, pod: &mut Value) -> Result<(), images::Error> {
        match &self.images {
            Some(images) => images.complete(pod).await,
            None => Ok(()),
        }
    }

    /// Waits for the turn to ask something of the API. Workflows that want to create something take turns.
    pub async fn turn(&self, urgency: Urgency, workflow_uid: &str) -> Option<OwnedSemaphorePermit> {
        match urgency {
            Urgency::Create => {
                let permit = self.creates.take(workflow_uid, self.create_rate.as_ref().unwrap_or(&self.rate)).await;
                if self.create_rate.is_some() {
                    self.rate.take_at_once();
                }
                permit
            }
            Urgency::Other => {
                self.rate.take_at_once();
                // It is never closed.
                Arc::clone(&self.others).acquire_owned().await.ok()
            }
            Urgency::Last => {
                let until = Instant::now() + LAST_WAIT;
                while self.creates.are_awaited() && Instant::now() < until {
                    tokio::time::sleep(LAST_PAUSE).await;
                }
                self.rate.take().await;
                Arc::clone(&self.others).acquire_owned().await.ok()
            }
        }
    }
}

/// What the actors of a shard share.
pub(crate) struct Shard {
    pub context: Arc<Context>,
    pub owned: Owned,
    pub known: KnownPods,
    pub bin: Bin,
    pub schedulers: Schedulers,
}

/// Which scheduler speaks for the shard: the one that claimed it last, by the epoch of its lease.
#[derive(Default)]
pub(crate) struct Schedulers(Mutex<Claim>);

#[derive(Clone, Copy, Default)]
struct Claim {
    sequence: u64,
    epoch: u64,
}

impl Schedulers {
    /// The epoch of the newest claim to `shard`; 0 when there is none any more.
    pub async fn epoch(&self, host: &Host, shard: u16) -> Result<u64, argosy_bus::Error> {
        let subject = subject::Event::claim(shard).to_string();
        loop {
            let after = self.0.lock().sequence;
            let page = host.bus.read(Stream::Events, &subject, after, CLAIMS).await?;
            let Some(newest) = page.last() else { return Ok(self.0.lock().epoch) };
            let epochs = page.iter().filter_map(|claim| claim.id.rsplit(':').next()?.parse::<u64>().ok());
            let epoch = epochs.max().unwrap_or(0);
            let mut known = self.0.lock();
            *known = Claim { sequence: known.sequence.max(newest.sequence), epoch: known.epoch.max(epoch) };
        }
    }
}

/// Claims read at once.
const CLAIMS: usize = 64;
