//! One pod as it is seen: reports what changed, once.

use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Actor, Backoff, Factory, Failure, Next, WorkflowKey, api};
use argosy_api::labels;
use argosy_api::message::{Observed, ObservedMessage, PodSummary, SCHEMA};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject};
use tokio::time::Instant;

use crate::metrics;
use crate::service::Surroundings;
use crate::summary::{Report, summarize};

/// Names a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PodKey {
    pub workflow: WorkflowKey,
    pub pod: String,
}

/// A look at a pod.
pub(crate) enum Sight {
    /// It looks like this.
    Seen(Box<Pod>),
    /// It is gone, or was labelled as dealt with; with its last look, unless that was missed.
    Gone(Option<Box<Pod>>),
    /// The scheduler has to hear of it again, whatever was reported before.
    Asked {
        /// As it looks.
        pod: Box<Pod>,
        /// Tells one asking from another.
        why: String,
    },
}

/// Builds observers.
pub(crate) struct Observers(pub Arc<Surroundings>);

#[async_trait]
impl Factory for Observers {
    type Key = PodKey;
    type Actor = Observer;

    async fn build(&self, key: &PodKey) -> Result<Option<Observer>, Failure> {
        Ok(Some(Observer { around: Arc::clone(&self.0), key: key.clone(), reported: None, gone_at: None }))
    }

    async fn refuse(&self, _key: &PodKey, _batch: Vec<Sight>) -> Result<(), Failure> {
        Ok(()) // Never: `build` always builds.
    }
}

/// One pod. Lives as long as the pod does.
pub(crate) struct Observer {
    around: Arc<Surroundings>,
    key: PodKey,
    /// The last report.
    reported: Option<PodSummary>,
    gone_at: Option<Instant>,
}

#[async_trait]
impl Actor for Observer {
    type Message = Sight;

    async fn handle(&mut self, batch: Vec<Sight>) -> Result<(), Failure> {
        let mut sights = batch.into_iter().peekable();
        while let Some(sight) = sights.next() {
            match sight {
                Sight::Seen(pod) => {
                    self.gone_at = None;
                    // A newer look at the same pod says all that this one does.
                    let is_stale =
                        matches!(sights.peek(), Some(Sight::Seen(next)) if next.metadata.uid == pod.metadata.uid);
                    if !is_stale {
                        self.look(&pod, None).await?;
                    }
                }
                Sight::Asked { pod, why } => {
                    self.look(&pod, Some(&why)).await?;
                    if is_dealt_with(&pod) {
                        self.gone_at = Some(Instant::now());
                    }
                }
                Sight::Gone(pod) => {
                    self.gone_at = Some(Instant::now());
                    if !pod.as_deref().is_some_and(is_dealt_with) {
                        self.gone(pod.as_deref()).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        self.gone_at
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        Ok(Next::Stop)
    }
}

/// The pod left the watch because its workflow has what it needs of it.
fn is_dealt_with(pod: &Pod) -> bool {
    let completed = pod.metadata.labels.as_ref().and_then(|all| all.get(labels::COMPLETED));
    completed.is_some_and(|text| text == "true")
}

impl Observer {
    /// Reports how the pod looks, if that is new, or for `why` it has to be told again.
    async fn look(&mut self, pod: &Pod, why: Option<&str>) -> Result<(), Failure> {
        let (mut summary, report) = summarize(pod, self.around.host.clock.now());
        if let Some(Report { task_result: Some(name), .. }) = report {
            self.read_result(&name, &mut summary).await?;
        }
        if why.is_none() && self.reported.as_ref() == Some(&summary) {
            return Ok(());
        }
        // A pod may look the same twice, with a different look in between: the version tells them apart.
        let version = pod.metadata.resource_version.as_deref().unwrap_or_default();
        let mut id = format!("{}:pod:{}:{version}:{:x}", self.key.workflow.uid, summary.uid, hash(&summary));
        if let Some(why) = why {
            id = format!("{id}:{why}");
        }
        self.report(id, summary.clone()).await?;
        self.reported = Some(summary);
        Ok(())
    }

    async fn gone(&mut self, pod: Option<&Pod>) -> Result<(), Failure> {
        if let Some(pod) = pod {
            self.look(pod, None).await?;
        }
        let Some(last) = self.reported.take() else {
            return Ok(());
        };
        let id = format!("{}:pod:{}:deleted", self.key.workflow.uid, last.uid);
        self.report(id, PodSummary { deleted: true, ready: false, ..last }).await
    }

    async fn report(&self, id: String, pod: PodSummary) -> Result<(), Failure> {
        metrics::REPORTS.inc();
        let host = &self.around.host;
        let message =
            ObservedMessage { schema: SCHEMA, at: host.clock.now(), body: Observed::PodChanged { pod: Box::new(pod) } };
        let payload = serde_json::to_vec(&message)?;
        match host.publish(vec![host.observed(&self.key.workflow, id, payload)]).await {
            Err(error @ argosy_bus::Error::TooLarge { .. }) => {
                metrics::POISON.inc();
                tracing::error!(
                    workflow.uid = self.key.workflow.uid,
                    pod = self.key.pod,
                    error = &error as &dyn std::error::Error,
                    "pod is too large to report"
                );
                Ok(())
            }
            result => Ok(result.map(|_| ())?),
        }
    }

    /// Outputs that were too large for the termination message.
    async fn read_result(&self, name: &str, summary: &mut PodSummary) -> Result<(), Failure> {
        let results: Api<DynamicObject> = Api::namespaced_with(
            self.around.client.clone(),
            &self.key.workflow.namespace,
            &api::argo_kind("WorkflowTaskResult"),
        );
        let mut backoff = Backoff::short();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let error = match results.get_opt(name).await {
                Ok(Some(result)) => {
                    let report: Report = argosy_api::v1alpha1::from_value(result.data)?;
                    summary.outputs = report.outputs.or_else(|| summary.outputs.take());
                    summary.progress = report.progress.or_else(|| summary.progress.take());
                    return Ok(());
                }
                // Written before the pod ended; only a slow replica of the API can lack it.
                Ok(None) if Instant::now() < deadline => None,
                Ok(None) => {
                    tracing::warn!(
                        workflow.uid = self.key.workflow.uid,
                        pod = self.key.pod,
                        name,
                        "task result is missing"
                    );
                    return Ok(());
                }
                Err(error) if api::answer(&error) == api::Answer::Transient => Some(error),
                Err(error) => return Err(error.into()),
            };
            if let Some(error) = error {
                tracing::warn!(
                    pod = self.key.pod,
                    error = &error as &dyn std::error::Error,
                    "task result not read, trying again"
                );
            }
            backoff.wait().await;
        }
    }
}

fn hash(summary: &PodSummary) -> u64 {
    // Stable across processes of one build, which is all that the window of the bus needs.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&serde_json::to_vec(summary).unwrap_or_default());
    hasher.finish()
}
