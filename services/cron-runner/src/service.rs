//! The shell: watches and the clock on one side, looks on the other.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host, Owned, Settings, own_shards};
use futures::{FutureExt as _, StreamExt as _};
use jiff::tz::TimeZone;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, Error};
use crate::desk::Desk;
use crate::metrics;
use crate::tend::{Tended, tend};
use crate::watch::{self, Key};

/// Looks under way at a time.
const AT_ONCE_MAX: usize = 16;

/// How CronWorkflows are run.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Only CronWorkflows of this namespace are run; without it, of all.
    #[arg(long)]
    pub cron_namespace: Option<String>,
    /// Seconds that the lease of the replica that acts outlives it.
    #[arg(long, default_value_t = 10)]
    pub cron_lease_secs: u64,
    /// Only those of this one of several installations; see [`argosy_objects::api::of_instance`].
    #[arg(skip)]
    pub instance_id: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { cron_namespace: None, cron_lease_secs: 10, instance_id: String::new() }
    }
}

/// The cron-runner.
pub struct Service {
    context: Arc<Context>,
    options: Options,
}

impl Service {
    /// A service that acts through `client`. `local` is the zone of schedules that name none: that of the machine.
    pub fn new(host: Host, client: kube::Client, options: Options, local: TimeZone) -> Self {
        // One replica acts for all.
        let host = Host { shards: 1, ..host };
        Self { context: Arc::new(Context { host, client, local }), options }
    }

    /// Runs CronWorkflows until `shutdown`, whenever this replica has the lease.
    ///
    /// Errors: a panic outside of any look.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let settings = Settings { ttl: Duration::from_secs(self.options.cron_lease_secs) };
        let host = self.context.host.clone();
        let of = (self.options.cron_namespace, self.options.instance_id);
        let work = Arc::new(move |owned| {
            let (context, of) = (Arc::clone(&self.context), of.clone());
            Box::pin(work(context, of, owned)) as Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>
        });
        own_shards(&host, "cron-runner", &settings, shutdown, work).await
    }
}

type Ended = (Key, std::thread::Result<Result<Option<Tended>, Error>>);

async fn work(
    context: Arc<Context>,
    (namespace, instance_id): (Option<String>, String),
    owned: Owned,
) -> Result<(), Failure> {
    let mut crons = std::pin::pin!(watch::crons(context.client.clone(), namespace.as_deref(), &instance_id));
    let mut children = std::pin::pin!(watch::children(context.client.clone(), namespace.as_deref()));
    let (mut desk, mut looks, clock) = (Desk::default(), JoinSet::<Ended>::new(), context.host.clock);
    loop {
        while looks.len() < AT_ONCE_MAX
            && let Some((key, decided)) = desk.take(clock.now())
        {
            let (context, owned) = (Arc::clone(&context), owned.clone());
            looks.spawn(async move {
                let look = AssertUnwindSafe(tend(&context, &key, decided, &owned));
                let ended = look.catch_unwind().await;
                (key, ended)
            });
        }
        let wake = desk.wake().filter(|_| looks.len() < AT_ONCE_MAX);
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
            Some(changed) = crons.next() => changed.into_iter().for_each(|changed| desk.note(changed)),
            Some(changed) = children.next() => changed.into_iter().for_each(|changed| desk.note(changed)),
            Some(ended) = looks.join_next(), if !looks.is_empty() => {
                let (key, ended) = ended?;
                note(&mut desk, key, ended, clock.now());
            }
            () = by_clock => {}
        }
    }
    // What is under way may end.
    tokio::select! {
        biased;
        () = owned.stop.cancelled() => {}
        _ = async { while looks.join_next().await.is_some() {} } => {}
    }
    Ok(())
}

/// A look has ended.
fn note(desk: &mut Desk, key: Key, ended: std::thread::Result<Result<Option<Tended>, Error>>, now: jiff::Timestamp) {
    let (cron, namespace) = (&key.name, &key.namespace);
    match ended {
        Ok(result) => {
            match &result {
                Err(Error::Conflict | Error::Left) => {
                    tracing::debug!(cron, namespace, "a CronWorkflow is looked at again")
                }
                Err(error) => {
                    metrics::FAILURES.inc();
                    tracing::warn!(
                        cron,
                        namespace,
                        error = error as &dyn std::error::Error,
                        "a CronWorkflow is looked at again"
                    );
                }
                Ok(_) => {}
            }
            desk.done(&key, result, now);
        }
        Err(_) => {
            metrics::PANICS.inc();
            tracing::error!(cron, namespace, "a CronWorkflow could not be looked at, which is a bug");
            desk.panicked(&key, now);
        }
    }
}
