//! What of the spec may be edited while the workflow runs, as it was when it was last obeyed.

use argosy_api::{labels, v1alpha1 as api};
use serde::{Deserialize, Serialize};

use super::Book;

/// Kept in the annotation [`labels::FOLLOWED`], which goes out with the status. A workflow is rebuilt from an object that may
/// have been edited past its watermark; what the log holds from there up to the edit is stepped by this, as it was the first
/// time. Else the rebuilt workflow would decide otherwise than was published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Followed {
    #[serde(skip_serializing_if = "is_zero")]
    generation: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    shutdown: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspend: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallelism: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_deadline_seconds: Option<i64>,
}

fn is_zero(generation: &i64) -> bool {
    *generation == 0
}

impl Followed {
    fn of(object: &api::Workflow) -> Self {
        let (metadata, spec) = (&object.metadata, &object.spec);
        Self {
            generation: metadata.generation,
            resource_version: metadata.resource_version.clone(),
            shutdown: spec.shutdown.clone(),
            suspend: spec.suspend,
            parallelism: spec.parallelism,
            active_deadline_seconds: spec.active_deadline_seconds,
        }
    }

    /// Of the same generation, and with the same in it: what differs besides is no edit of the spec.
    fn is_same_edit(&self, other: &Self) -> bool {
        let without_version = |followed: &Self| Self { resource_version: String::new(), ..followed.clone() };
        without_version(self) == without_version(other)
    }
}

impl Book {
    /// Records what the object asks for now, unless that is recorded already.
    pub fn record_followed(&mut self) {
        let now = Followed::of(&self.object);
        if self.recorded_followed().is_some_and(|recorded| recorded.is_same_edit(&now)) {
            return;
        }
        if let Ok(text) = serde_json::to_string(&now) {
            self.set_annotation(labels::FOLLOWED, &text);
        }
    }

    /// The workflow has ended: should it be retried, a new owner begins with what the object asks for by then.
    pub fn forget_followed(&mut self) {
        if self.object.metadata.annotations.contains_key(labels::FOLLOWED) {
            self.set_annotation(labels::FOLLOWED, "");
        }
    }

    /// The object as it was when it was last obeyed, its version included: an edit that was taken back again since is in the
    /// log nevertheless, and is adopted as it was before. A record that cannot be read is somebody's edit: then the object's own
    /// counts.
    ///
    /// Answers whether the object asks for a shutdown that the record does not know of; none where there is no record.
    pub fn follow_recorded(&mut self) -> Option<bool> {
        let recorded = self.recorded_followed()?;
        let Followed { generation, resource_version, shutdown, suspend, parallelism, active_deadline_seconds } =
            recorded;
        let spec = &mut self.object.spec;
        let is_stop_ahead = shutdown.is_empty() && !spec.shutdown.is_empty();
        spec.shutdown = shutdown;
        (spec.suspend, spec.parallelism) = (suspend, parallelism);
        spec.active_deadline_seconds = active_deadline_seconds;
        let metadata = &mut self.object.metadata;
        (metadata.generation, metadata.resource_version) = (generation, resource_version);
        Some(is_stop_ahead)
    }

    fn recorded_followed(&self) -> Option<Followed> {
        serde_json::from_str(self.object.metadata.annotations.get(labels::FOLLOWED)?).ok()
    }
}
