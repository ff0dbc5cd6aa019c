//! One pod as it is seen: reports what changed, once, and until the bus has it.

use std::sync::Arc;

use argosy_actor::{Actor, Backoff, Factory, Failure, Next};
use argosy_api::labels;
use argosy_api::message::{PodPhase, PodSummary};
use argosy_objects::api;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::context::Shard;
use crate::known::PodKey;
use crate::metrics;
use crate::report;

/// A look at a pod.
pub(crate) enum Observation {
    /// It looks like this.
    Seen(Box<Pod>),
    /// It is gone, or was labelled as dealt with; with its last look, unless that was missed.
    Gone(Option<Box<Pod>>),
    /// Its workflow has to hear how it looks again, whatever was reported before: it may have had no use for it then.
    Asked(Question),
}

/// Somebody wants to have a pod told again.
pub(crate) struct Question {
    /// Tells one asking from another.
    pub why: String,
    /// Answered once the log has it; dropped when this observer cannot tell.
    pub told: oneshot::Sender<()>,
}

/// Builds observers.
pub(crate) struct Observers(pub Arc<Shard>);

#[async_trait]
impl Factory for Observers {
    type Key = PodKey;
    type Actor = Observer;

    async fn build(&self, key: &PodKey) -> Result<Option<Observer>, Failure> {
        Ok(Some(Observer {
            shard: Arc::clone(&self.0),
            key: key.clone(),
            reported: None,
            unreported: None,
            backoff: Backoff::short(),
            wake_at: None,
        }))
    }

    async fn refuse(&self, _key: &PodKey, _batch: Vec<Observation>) -> Result<(), Failure> {
        Ok(()) // Never: `build` always builds.
    }

    fn passes(&self, cause: &(dyn std::error::Error + 'static)) -> Option<bool> {
        api::passes(cause)
    }
}

/// One pod. Lives as long as the pod does.
pub(crate) struct Observer {
    shard: Arc<Shard>,
    key: PodKey,
    /// The last report.
    reported: Option<PodSummary>,
    /// The newest look, while it could not be reported.
    unreported: Option<Observation>,
    backoff: Backoff,
    wake_at: Option<Instant>,
}

#[async_trait]
impl Actor for Observer {
    type Message = Observation;

    async fn handle(&mut self, batch: Vec<Observation>) -> Result<(), Failure> {
        let mut observations = batch.into_iter().peekable();
        while let Some(observation) = observations.next() {
            // A newer look at the same pod says all that this one does.
            let is_stale = match (&observation, observations.peek()) {
                (Observation::Seen(pod), Some(Observation::Seen(next))) => next.metadata.uid == pod.metadata.uid,
                (Observation::Seen(_) | Observation::Gone(_) | Observation::Asked(_), Some(_) | None) => false,
            };
            if let Observation::Asked(question) = observation {
                self.answer(question).await?;
            } else if !is_stale {
                self.unreported = Some(observation);
                self.tell().await;
            }
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        self.wake_at = None;
        if self.unreported.is_some() {
            self.tell().await;
            return Ok(Next::Continue);
        }
        Ok(Next::Stop)
    }
}

/// The pod left the watch because its workflow has what it needs of it.
pub(crate) fn is_dealt_with(pod: &Pod) -> bool {
    let completed = pod.metadata.labels.as_ref().and_then(|all| all.get(labels::COMPLETED));
    completed.is_some_and(|text| text == "true")
}

impl Observer {
    /// Reports the newest look. It is the only copy, so it is kept until it is reported.
    async fn tell(&mut self) {
        let Some(observation) = self.unreported.take() else { return };
        let told = match &observation {
            Observation::Seen(pod) => self.look(pod).await,
            Observation::Asked(_) => Ok(()),
            Observation::Gone(pod) if pod.as_deref().is_some_and(is_dealt_with) => Ok(()),
            Observation::Gone(pod) => self.gone(pod.as_deref()).await,
        };
        match told {
            Ok(()) => {
                self.backoff.reset();
                self.wake_at = matches!(observation, Observation::Gone(_)).then(Instant::now);
            }
            Err(error) => {
                metrics::REPORT_FAILURES.inc();
                tracing::warn!(
                    workflow.uid = self.key.workflow.uid,
                    pod = self.key.pod,
                    error,
                    "pod not reported, trying again"
                );
                self.unreported = Some(observation);
                self.wake_at = Some(Instant::now() + self.backoff.delay());
            }
        }
    }

    /// Tells again what was told last. What could not be told yet comes first; while it cannot, the question is dropped.
    async fn answer(&mut self, question: Question) -> Result<(), Failure> {
        if self.unreported.is_some() {
            self.tell().await;
        }
        if let (None, Some(last)) = (&self.unreported, &self.reported) {
            report::publish_again(&self.shard.context, &self.key, last, &question.why).await?;
            // Whoever asked may have given up waiting.
            _ = question.told.send(());
        }
        Ok(())
    }

    async fn look(&mut self, pod: &Pod) -> Result<(), Failure> {
        if pod.metadata.uid.as_deref().is_some_and(|uid| self.shard.bin.has_collected(uid)) {
            // It goes by our own hand, and all of it was told before.
            return Ok(());
        }
        let summary = report::summary(&self.shard.context, &self.key, pod).await?;
        if self.reported.as_ref() != Some(&summary) {
            report::publish(&self.shard.context, &self.key, pod, summary.clone(), None).await?;
            let had_failed = self.reported.as_ref().is_some_and(|last| last.phase == PodPhase::Failed);
            if self.shard.context.options.logs_failed_pods && summary.phase == PodPhase::Failed && !had_failed {
                let spec = serde_json::to_string(&pod.spec).unwrap_or_default();
                tracing::info!(
                    pod = self.key.pod,
                    namespace = self.key.workflow.namespace,
                    spec,
                    "spec of a failed pod"
                );
            }
            self.reported = Some(summary);
        }
        Ok(())
    }

    async fn gone(&mut self, pod: Option<&Pod>) -> Result<(), Failure> {
        if let Some(pod) = pod {
            self.look(pod).await?;
        }
        let Some(last) = &self.reported else { return Ok(()) };
        if self.shard.bin.take_collected(&last.uid) {
            self.reported = None;
            return Ok(());
        }
        report::publish_gone(&self.shard.context, &self.key, last).await?;
        self.reported = None;
        Ok(())
    }
}
