//! The shell: list and watch on one side, OBSERVED on the other.

use std::time::Duration;

use argosy_actor::{
    Backoff, Host,
    aside::{Ended, aside, is_long},
};
use argosy_api::message::Observed;
use argosy_bus::Publish;
use argosy_objects::api;
use argosy_telemetry::Part;
use argosy_workflows::{WorkflowKey, WorkflowLog as _, workflow_changed};
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::seen::{Report, Seen, Source};

/// Objects taken from the watch at once.
const CHUNK: usize = 256;

/// Which workflows are watched.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Only workflows of this namespace are watched; without it, of all.
    #[arg(long)]
    pub watch_namespace: Option<String>,
    /// Seconds between full lists, which find what a watch may have missed.
    #[arg(long, default_value_t = 300)]
    pub watch_relist_secs: u64,
    /// Only those of this one of several installations; see [`argosy_objects::api::of_instance`].
    #[arg(skip)]
    pub instance_id: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { watch_namespace: None, watch_relist_secs: 300, instance_id: String::new() }
    }
}

/// The watcher has to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus refuses what we send.
    #[error("report changes of workflows")]
    Publish(#[source] argosy_bus::Error),
}

/// The watcher.
pub struct Service {
    host: Host,
    client: kube::Client,
    options: Options,
}

impl Service {
    /// A watcher that reports to `host`.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        Self { host, client, options }
    }

    /// Watches until `shutdown`.
    ///
    /// Errors: a bug in what is published; all else is tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut seen = Seen::default();
        let health = self.host.health.part("watcher", "a list of all workflows");
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                result = self.watch(&mut seen, &mut backoff, &health) => result?,
            }
        }
    }

    /// Lists and watches until the next full list is due. Ready when the first list is published.
    async fn watch(&self, seen: &mut Seen, backoff: &mut Backoff, health: &Part) -> Result<(), Error> {
        let api: Api<DynamicObject> = match &self.options.watch_namespace {
            Some(namespace) => api::workflows(&self.client, namespace),
            None => api::all_workflows(&self.client),
        };
        let until = tokio::time::Instant::now() + Duration::from_secs(self.options.watch_relist_secs.max(1));
        let config = watcher::Config::default().labels(&api::of_instance(&self.options.instance_id));
        let events = kube::runtime::watcher(api, config).ready_chunks(CHUNK);
        let mut events = std::pin::pin!(events);
        loop {
            let chunk = tokio::select! {
                biased;
                chunk = events.next() => chunk,
                () = tokio::time::sleep_until(until) => return Ok(()),
            };
            let Some(chunk) = chunk else { return Ok(()) };
            let mut notes = Notes { host: self.host.clone(), seen: std::mem::take(seen), reports: Vec::new() };
            let (mut failed, mut listed) = (false, false);
            for event in chunk {
                match event {
                    Ok(event) => {
                        listed |= matches!(event, Event::InitDone);
                        let is_long = object_of(&event).is_some_and(|object| is_long(&object.data));
                        let note = move || {
                            notes.note(event);
                            notes
                        };
                        match aside(is_long, note).await {
                            Ok(back) => notes = back,
                            Err(Ended) => return Ok(()),
                        }
                    }
                    Err(error) => {
                        metrics::WATCH_ERRORS.inc();
                        tracing::warn!(error = &error as &dyn std::error::Error, "watch of workflows broke off");
                        failed = true;
                    }
                }
            }
            *seen = notes.seen;
            self.publish(notes.reports).await?;
            if listed {
                health.is_ready();
            }
            if failed {
                backoff.wait().await;
            } else {
                backoff.reset();
            }
        }
    }

    async fn publish(&self, reports: Vec<Publish>) -> Result<(), Error> {
        if reports.is_empty() {
            return Ok(());
        }
        let Err(error) = self.host.publish(reports.clone()).await else {
            return Ok(());
        };
        tracing::warn!(error = &error as &dyn std::error::Error, "reports refused, sending one by one");
        for report in reports {
            match self.host.publish(vec![report]).await {
                Ok(_) => {}
                Err(error) if error.is_too_large() => {
                    metrics::DROPPED.inc();
                    tracing::error!(error = &error as &dyn std::error::Error, "workflow is too large for the bus");
                }
                Err(error) => return Err(Error::Publish(error)),
            }
        }
        Ok(())
    }
}

/// What was seen, and what of it is to be reported.
struct Notes {
    host: Host,
    seen: Seen,
    reports: Vec<Publish>,
}

impl Notes {
    fn note(&mut self, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.seen.list_begins(),
            Event::InitApply(object) => self.look_alone(object, Source::List),
            Event::Apply(object) => self.look_alone(object, Source::Watch),
            Event::Delete(object) => {
                let Some(key) = key_of(&object) else { return };
                if self.seen.gone(&key) {
                    self.deleted(&key);
                }
            }
            Event::InitDone => {
                for key in self.seen.list_ends() {
                    self.deleted(&key);
                }
            }
        }
    }

    /// A panic over one object is that object's: the others are looked at all the same, now and at the next start.
    fn look_alone(&mut self, object: DynamicObject, source: Source) {
        let key = key_of(&object);
        let look = std::panic::AssertUnwindSafe(|| self.look(object, source));
        if std::panic::catch_unwind(look).is_err()
            && let Some(key) = key
        {
            metrics::PANICS.inc();
            tracing::error!(
                workflow.uid = key.uid,
                workflow.name = key.name,
                workflow.namespace = key.namespace,
                "a workflow could not be looked at, which is a bug: its change is not reported"
            );
        }
    }

    fn look(&mut self, object: DynamicObject, source: Source) {
        let Some(key) = key_of(&object) else { return };
        match self.seen.look(&key, &object, source) {
            None => metrics::ECHOES.inc(),
            Some(Report::Deleted) => self.deleted(&key),
            Some(Report::Changed { status_edited }) => {
                metrics::REPORTS.with_label_values(&["changed"]).inc();
                self.reports.push(workflow_changed(&self.host, &key, object, status_edited));
            }
        }
    }

    fn deleted(&mut self, key: &WorkflowKey) {
        metrics::REPORTS.with_label_values(&["deleted"]).inc();
        self.reports.push(self.host.fact(key, format!("{}:deleted", key.uid), Observed::WorkflowDeleted));
    }
}

/// The object that an event brings.
fn object_of(event: &Event<DynamicObject>) -> Option<&DynamicObject> {
    match event {
        Event::InitApply(object) | Event::Apply(object) => Some(object),
        Event::Delete(_) | Event::Init | Event::InitDone => None,
    }
}

fn key_of(object: &DynamicObject) -> Option<WorkflowKey> {
    let metadata = &object.metadata;
    Some(WorkflowKey {
        uid: metadata.uid.clone()?,
        namespace: metadata.namespace.clone()?,
        name: metadata.name.clone()?,
    })
}
