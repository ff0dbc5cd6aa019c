//! What is told to a workflow's log.

use argosy_actor::{HEADER_NAME, HEADER_NAMESPACE, Host};
use argosy_api::message::{Observed, ObservedMessage, SCHEMA};
use argosy_bus::{Error, Publish, Stream};
use async_trait::async_trait;

use crate::WorkflowKey;

/// Tells logs of workflows.
#[async_trait]
pub trait WorkflowLog {
    /// A fact for a workflow's log, seen now. `id` is taken as it is. What brings the workflow nearer to its end may use the
    /// reserve of a full stream, as a log goes when its workflow does.
    fn fact(&self, key: &WorkflowKey, id: String, body: Observed) -> Publish;

    /// Appends a fact to a workflow's log, and tries again for as long as the bus does not answer.
    ///
    /// Errors: those that a repeat does not mend.
    async fn report(&self, key: &WorkflowKey, id: String, body: Observed) -> Result<(), Error>;

    /// A message for a workflow's log. `id` is taken as it is.
    fn observed(&self, key: &WorkflowKey, id: String, payload: Vec<u8>) -> Publish;
}

#[async_trait]
impl WorkflowLog for Host {
    fn fact(&self, key: &WorkflowKey, id: String, body: Observed) -> Publish {
        let is_end = is_end(&body);
        let message = ObservedMessage { schema: SCHEMA, at: self.clock.now(), body };
        let payload = serde_json::to_vec(&message).expect("messages have string keys only");
        let publish = self.observed(key, id, payload);
        if is_end { publish.urgent() } else { publish }
    }

    async fn report(&self, key: &WorkflowKey, id: String, body: Observed) -> Result<(), Error> {
        self.publish(vec![self.fact(key, id, body)]).await.map(|_| ())
    }

    fn observed(&self, key: &WorkflowKey, id: String, payload: Vec<u8>) -> Publish {
        Publish::new(Stream::Observed, self.observed_subject(&key.uid), id, payload)
            .header(HEADER_NAMESPACE, &key.namespace)
            .header(HEADER_NAME, &key.name)
    }
}

/// Whether something of a workflow has ended by this.
fn is_end(body: &Observed) -> bool {
    match body {
        Observed::PodChanged { pod } => pod.deleted || pod.has_ended(),
        Observed::PodRejected { .. } | Observed::WorkflowDeleted | Observed::TimerFired { .. } => true,
        Observed::WorkflowChanged { .. }
        | Observed::WorkflowReferenced { .. }
        | Observed::WorkflowUnreadable { .. }
        | Observed::PodNotCreated { .. }
        | Observed::LookedUp { .. }
        | Observed::LocksAnswered { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use argosy_api::message::PodSummary;
    use argosy_bus::Bus as _;
    use argosy_bus::memory::{Memory, Options};

    use super::*;

    #[tokio::test]
    async fn ends_of_pods_are_told_when_the_log_is_full_of_other_things() {
        let bus = Arc::new(Memory::with_options(Options { stream_bytes_max: 64 << 10, ..Options::default() }));
        let host = Host::new(bus.clone(), "me", 1);
        let key = WorkflowKey { uid: "u".into(), namespace: "ns".into(), name: "w".into() };
        let pod = |phase: &str, message: &str| {
            let pod = PodSummary { phase: phase.into(), message: message.into(), ..PodSummary::default() };
            Observed::PodChanged { pod: Box::new(pod) }
        };
        let mut told = 0;
        loop {
            let running = host.fact(&key, format!("running:{told}"), pod("Running", &"x".repeat(512)));
            match bus.publish(running).await {
                Ok(_) => told += 1,
                Err(error) => break assert!(matches!(error, Error::Full { .. }), "{error}"),
            }
        }
        assert!(told > 10, "the log took {told}");
        for (id, body) in [("ended", pod("Failed", "x")), ("deleted", Observed::WorkflowDeleted)] {
            bus.publish(host.fact(&key, id.to_owned(), body)).await.expect("there is a reserve");
        }
    }
}
