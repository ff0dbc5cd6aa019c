//! What a workflow is named by.

use std::collections::BTreeMap;

use argosy_actor::{EntityKey, HEADER_NAME, HEADER_NAMESPACE};
use argosy_bus::{Message, subject};

/// Uid in the subject of an OBSERVED message that speaks of a whole shard: its pods have been listed anew, so that their
/// watcher may have missed the end of some. No object has this uid.
pub const PODS_LISTED: &str = "pods-listed";

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
        let (namespace, name) = (headers.get(HEADER_NAMESPACE)?.clone(), headers.get(HEADER_NAME)?.clone());
        Some(Self { uid: uid.to_owned(), namespace, name })
    }

    /// From a message of its log.
    pub fn of_observed(message: &Message) -> Option<Self> {
        let subject: subject::Observed = message.subject.parse().ok()?;
        Self::of(&subject.uid, &message.headers)
    }
}

impl EntityKey for WorkflowKey {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn named(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    fn of_log(message: &Message) -> Option<Self> {
        Self::of_observed(message)
    }
}
