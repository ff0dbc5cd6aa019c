//! What every service is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use argosy_api::message::{Observed, ObservedMessage, SCHEMA};
use argosy_bus::{Ack, Bus, Class, Error, Message, Publish, Stream, shard_of, subject};
use argosy_telemetry::Health;

use crate::{Backoff, Clock};

/// Header of OBSERVED messages: the workflow's namespace.
pub const HEADER_NAMESPACE: &str = "argosy-namespace";
/// Header of OBSERVED messages: the workflow's name.
pub const HEADER_WORKFLOW: &str = "argosy-workflow";

/// Header of EVENTS: the position of this change among those of its workflow, `<OBSERVED sequence>[+<additions>]`.
pub const HEADER_POSITION: &str = "argosy-position";

/// Header of EVENTS: the position of the workflow's change before this one, 0 for the first. A reader that has not seen that
/// one has missed something.
pub const HEADER_PREVIOUS: &str = "argosy-previous";

/// Uid in the subject of an OBSERVED message that speaks of a whole shard: its pods have been listed anew, so that their
/// watcher may have missed the end of some. No object has this uid.
pub const PODS_LISTED: &str = "pods-listed";

/// Header of an EVENT that puts its workflow out of service: the version of the object of which that was decided.
pub const HEADER_JUDGED: &str = "argosy-judged";

/// Header of EVENTS: the place of the message among those that its step was cut into, from 0.
pub const HEADER_PART: &str = "argosy-part";

/// The surroundings of a service: the bus, the time, and who it is.
#[derive(Clone)]
pub struct Host {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Clock,
    /// Names this incarnation of the process; leases are held under it.
    pub holder: String,
    /// Number of shards of the installation; fixed for its life.
    pub shards: u16,
    /// What services say of themselves.
    pub health: Health,
}

impl Host {
    /// A host on `bus` for the incarnation `holder`, by the clock of the machine.
    pub fn new(bus: Arc<dyn Bus>, holder: impl Into<String>, shards: u16) -> Self {
        Self { bus, clock: Clock::system(), holder: holder.into(), shards, health: Health::default() }
    }

    /// The shard of a workflow.
    pub fn shard_of(&self, uid: &str) -> u16 {
        shard_of(uid, self.shards)
    }

    /// The subject of a workflow's log.
    pub fn observed_subject(&self, uid: &str) -> String {
        subject::Observed { shard: self.shard_of(uid), uid: uid.to_owned() }.to_string()
    }

    /// Appends, and tries again for as long as the bus does not answer. Ids make repeats harmless.
    ///
    /// Errors: those that a repeat does not mend.
    pub async fn publish(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        let mut backoff = Backoff::short();
        loop {
            match self.bus.publish_all(messages.clone()).await {
                Err(error) if error.class() == Class::Transient => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "publish not answered, trying again");
                    backoff.wait().await;
                }
                result => return result,
            }
        }
    }

    /// A fact for a workflow's log, seen now. `id` is taken as it is. What brings the workflow nearer to its end may use the
    /// reserve of a full stream, as a log goes when its workflow does.
    pub fn fact(&self, key: &WorkflowKey, id: String, body: Observed) -> Publish {
        let is_end = is_end(&body);
        let message = ObservedMessage { schema: SCHEMA, at: self.clock.now(), body };
        let payload = serde_json::to_vec(&message).expect("messages have string keys only");
        let publish = self.observed(key, id, payload);
        if is_end { publish.urgent() } else { publish }
    }

    /// Appends a fact to a workflow's log, and tries again for as long as the bus does not answer.
    ///
    /// Errors: those that a repeat does not mend.
    pub async fn report(&self, key: &WorkflowKey, id: String, body: Observed) -> Result<(), Error> {
        self.publish(vec![self.fact(key, id, body)]).await.map(|_| ())
    }

    /// A message for a workflow's log. `id` is taken as it is.
    pub fn observed(&self, key: &WorkflowKey, id: String, payload: Vec<u8>) -> Publish {
        Publish::new(Stream::Observed, self.observed_subject(&key.uid), id, payload)
            .header(HEADER_NAMESPACE, &key.namespace)
            .header(HEADER_WORKFLOW, &key.name)
    }
}

/// Whether something of a workflow has ended by this.
fn is_end(body: &Observed) -> bool {
    match body {
        Observed::PodChanged { pod } => pod.deleted || matches!(pod.phase.as_str(), "Succeeded" | "Failed"),
        Observed::PodRejected { .. } | Observed::WorkflowDeleted | Observed::TimerFired { .. } => true,
        Observed::WorkflowChanged { .. }
        | Observed::WorkflowReferenced { .. }
        | Observed::WorkflowUnreadable { .. }
        | Observed::PodNotCreated { .. }
        | Observed::LookedUp { .. } => false,
    }
}

/// Names a workflow: the uid tells it from others, the rest is where to find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkflowKey {
    /// The object's uid.
    pub uid: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl WorkflowKey {
    /// From the headers of a message of its log; `None` when they are not there.
    pub fn of(uid: &str, headers: &BTreeMap<String, String>) -> Option<Self> {
        let (namespace, name) = (headers.get(HEADER_NAMESPACE)?.clone(), headers.get(HEADER_WORKFLOW)?.clone());
        Some(Self { uid: uid.to_owned(), namespace, name })
    }

    /// From a message of its log.
    pub fn of_observed(message: &Message) -> Option<Self> {
        let subject: subject::Observed = message.subject.parse().ok()?;
        Self::of(&subject.uid, &message.headers)
    }
}

#[cfg(test)]
mod tests {
    use argosy_api::message::PodSummary;
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
