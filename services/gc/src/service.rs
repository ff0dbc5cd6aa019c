//! The shell: the watch and the clock on one side, deletions on the other.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host, Owned, Settings, TokenBucket, own_shards};
use argosy_api::v1alpha1::TTLStrategy;
use argosy_objects::api;
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::Event;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::expiries::{Expiries, Retention, Task, key_of};
use crate::remove::carry_out;
use crate::{metrics, watch};

/// Workflows looked at or deleted at a time.
const AT_ONCE_MAX: usize = 4;

/// How finished workflows are collected.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Only workflows of this namespace are deleted; without it, of all.
    #[arg(long)]
    pub gc_namespace: Option<String>,
    /// Seconds that the lease of the replica that acts outlives it.
    #[arg(long, default_value_t = 10)]
    pub gc_lease_secs: u64,
    /// Finished workflows that are looked at or deleted per second. There may be very many at once.
    #[arg(long, default_value_t = 20)]
    pub gc_requests_per_sec: u32,
    /// Only those of this one of several installations; see [`argosy_objects::api::of_instance`].
    #[arg(skip)]
    pub instance_id: String,
    /// How many finished workflows stay. Source: Argo ConfigMap key `retentionPolicy`.
    #[arg(skip)]
    pub retention: Option<Retention>,
    /// Of workflows that have none. Source: Argo ConfigMap key `workflowDefaults`.
    #[arg(skip)]
    pub ttl_default: Option<TTLStrategy>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gc_namespace: None,
            gc_lease_secs: 10,
            gc_requests_per_sec: 20,
            instance_id: String::new(),
            retention: None,
            ttl_default: None,
        }
    }
}

/// The garbage collector.
pub struct Service {
    context: Arc<Context>,
}

struct Context {
    host: Host,
    client: kube::Client,
    options: Options,
    rate: TokenBucket,
}

impl Service {
    /// A service that acts through `client`.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        // One replica acts for all.
        let host = Host { shards: 1, ..host };
        let rate = TokenBucket::new(options.gc_requests_per_sec);
        Self { context: Arc::new(Context { host, client, options, rate }) }
    }

    /// Deletes what has had its time until `shutdown`, whenever this replica has the lease.
    ///
    /// Errors: a panic.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let settings = Settings { ttl: Duration::from_secs(self.context.options.gc_lease_secs) };
        let host = self.context.host.clone();
        let work = Arc::new(move |owned| {
            let context = Arc::clone(&self.context);
            Box::pin(work(context, owned)) as Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>
        });
        own_shards(&host, "gc", &settings, shutdown, work).await
    }
}

type Ended = (Task, Result<Option<Timestamp>, kube::Error>);

async fn work(context: Arc<Context>, owned: Owned) -> Result<(), Failure> {
    let namespace = context.options.gc_namespace.as_deref();
    let mut finished = std::pin::pin!(watch::finished(context.client.clone(), namespace, &context.options.instance_id));
    let (mut expiries, mut tasks) = (Expiries::new(context.options.retention), JoinSet::<Ended>::new());
    let clock = context.host.clock;
    loop {
        while tasks.len() < AT_ONCE_MAX
            && let Some(task) = expiries.take(clock.now())
        {
            let (context, owned) = (Arc::clone(&context), owned.clone());
            tasks.spawn(async move {
                context.rate.take().await;
                let now = context.host.clock.now();
                if !owned.holds() {
                    return (task, Ok(None));
                }
                let result = carry_out(&context.client, &task, context.options.ttl_default.as_ref(), now).await;
                (task, result)
            });
        }
        let wake = expiries.wake().filter(|_| tasks.len() < AT_ONCE_MAX);
        let by_clock = async {
            match wake {
                Some(wake) => clock.sleep_until(wake).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = owned.stop.cancelled() => return Ok(()),
            () = owned.leave.cancelled() => break,
            Some(event) = finished.next() => note(&mut expiries, &event, clock.now()),
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                let (task, result) = ended?;
                settle(&mut expiries, &task, result, clock.now());
            }
            () = by_clock => {}
        }
    }
    // What is under way may end.
    tokio::select! {
        biased;
        () = owned.stop.cancelled() => {}
        _ = async { while tasks.join_next().await.is_some() {} } => {}
    }
    Ok(())
}

fn note(expiries: &mut Expiries, event: &Event<PartialObjectMeta<DynamicObject>>, now: Timestamp) {
    match event {
        Event::Init => expiries.begin_list(),
        Event::InitApply(object) => expiries.note(&object.metadata, true, now),
        Event::InitDone => expiries.end_list(),
        Event::Apply(object) => expiries.note(&object.metadata, false, now),
        Event::Delete(object) => {
            if let Some(key) = key_of(&object.metadata) {
                expiries.forget(&key);
            }
        }
    }
}

fn settle(expiries: &mut Expiries, task: &Task, result: Result<Option<Timestamp>, kube::Error>, now: Timestamp) {
    let result = result.map_err(|error| {
        if api::answer(&error) == api::Answer::Conflict {
            return;
        }
        metrics::FAILURES.inc();
        tracing::warn!(
            workflow.name = task.key.name,
            workflow.namespace = task.key.namespace,
            error = &error as &dyn std::error::Error,
            "a finished workflow is looked at again"
        );
    });
    expiries.done(task, result, now);
}
