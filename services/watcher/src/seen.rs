//! What was last seen of each workflow, and what of a new sight is worth reporting. No IO.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::digest;
use argosy_api::labels;
use argosy_objects::marks::{is_completed, is_foreign, is_quarantined};
use argosy_workflows::WorkflowKey;
use kube::api::DynamicObject;
use serde_json::{Value, json};

/// How an object came to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a list.
    List,
    /// In a watch.
    Watch,
}

/// What is to be reported about a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is new, or someone else than the status service changed it.
    Changed {
        /// Its status was changed, too.
        status_edited: bool,
    },
    /// It is gone, or about to go.
    Deleted,
}

/// The workflows that exist. About 200 bytes for each, ended ones included.
#[derive(Debug, Default)]
pub struct Seen {
    workflows: BTreeMap<WorkflowKey, Sight>,
    /// While a list comes in: what it held so far.
    listed: Option<BTreeSet<WorkflowKey>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    /// Of everything but the status and what the status service writes beside it.
    rest: u64,
    /// Digest of a status that was reported as edited.
    edited: Option<u64>,
    is_deleting: bool,
    /// Out of service.
    is_quarantined: bool,
}

impl Seen {
    /// A list begins.
    pub fn list_begins(&mut self) {
        self.listed = Some(BTreeSet::new());
    }

    /// A list is complete: the workflows that are no more.
    pub fn list_ends(&mut self) -> Vec<WorkflowKey> {
        let Some(listed) = self.listed.take() else {
            return Vec::new();
        };
        let gone: Vec<_> = self.workflows.keys().filter(|key| !listed.contains(key)).cloned().collect();
        for key in &gone {
            self.workflows.remove(key);
        }
        gone
    }

    /// The workflow is no more. False when that was known.
    pub fn gone(&mut self, key: &WorkflowKey) -> bool {
        self.workflows.remove(key).is_some_and(|sight| !sight.is_deleting)
    }

    /// The workflow looks like this. `None`: nothing to report.
    pub fn look(&mut self, key: &WorkflowKey, object: &DynamicObject, source: Source) -> Option<Report> {
        if let Some(listed) = &mut self.listed {
            listed.insert(key.clone());
        }
        let before = self.workflows.get(key).copied();
        let status = object.data.get("status").unwrap_or(&Value::Null);
        let foreign = is_foreign(object).then(|| digest::of_status(status));
        let now = Sight {
            rest: rest_of(object),
            edited: foreign,
            is_deleting: object.metadata.deletion_timestamp.is_some(),
            is_quarantined: is_quarantined(object),
        };
        self.workflows.insert(key.clone(), now);
        if now.is_deleting {
            return before.is_none_or(|before| !before.is_deleting).then_some(Report::Deleted);
        }
        let status_edited = now.edited.is_some() && before.is_none_or(|before| before.edited != now.edited);
        match before {
            None if source == Source::List && !status_edited && is_completed(status) => None,
            None => Some(Report::Changed { status_edited }),
            Some(before) if before.rest != now.rest || status_edited => Some(Report::Changed { status_edited }),
            // Whoever runs it has to stop, or to begin again: nobody else would tell.
            Some(before) if before.is_quarantined != now.is_quarantined => Some(Report::Changed { status_edited }),
            Some(_) => None,
        }
    }
}

/// A hash of the object less its status and less what the status service writes into its metadata.
fn rest_of(object: &DynamicObject) -> u64 {
    let without = |map: Option<&BTreeMap<String, String>>, own: &[&str]| -> BTreeMap<String, String> {
        map.into_iter()
            .flatten()
            .filter(|(key, _)| !own.contains(&key.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    let rest = json!({
        "labels": without(object.metadata.labels.as_ref(), &labels::BESIDE_STATUS),
        "annotations": without(object.metadata.annotations.as_ref(), &labels::ANNOTATIONS_BESIDE_STATUS),
    });
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    digest::of_member("spec", spec).wrapping_add(digest::of_member("metadata", &rest))
}

#[cfg(test)]
mod tests {
    use argosy_api::digest::Watermark;

    use super::*;

    fn key() -> WorkflowKey {
        WorkflowKey { uid: "u1".into(), namespace: "ns".into(), name: "w".into() }
    }

    fn object(spec: Value, status: Value, watermark: Option<u64>) -> DynamicObject {
        let mut annotations = json!({});
        if let Some(digest) = watermark {
            annotations[labels::WATERMARK] = json!(Watermark { sequence: 1, additions: 0, digest }.written("u1"));
        }
        let value = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "w", "namespace": "ns", "uid": "u1", "annotations": annotations}, "spec": spec, "status": status});
        serde_json::from_value(value).expect("an object")
    }

    fn ours(spec: Value, status: Value) -> DynamicObject {
        let digest = digest::of_status(&status);
        object(spec, status, Some(digest))
    }

    const CHANGED: Option<Report> = Some(Report::Changed { status_edited: false });
    const EDITED: Option<Report> = Some(Report::Changed { status_edited: true });

    #[test]
    fn own_writes_are_not_echoed() {
        let mut seen = Seen::default();
        assert_eq!(seen.look(&key(), &object(json!({}), Value::Null, None), Source::Watch), CHANGED);
        let running = json!({"phase": "Running", "nodes": {"w": {"phase": "Running"}}});
        assert_eq!(seen.look(&key(), &ours(json!({}), running.clone()), Source::Watch), None);
        let mut labelled = ours(json!({}), running);
        labelled.metadata.labels = Some([(labels::PHASE.to_owned(), "Running".to_owned())].into());
        labelled.metadata.annotations.get_or_insert_default().insert(labels::BEHAVIOR.to_owned(), "3".to_owned());
        assert_eq!(seen.look(&key(), &labelled, Source::Watch), None);
    }

    #[test]
    fn edits_are_reported_once() {
        let mut seen = Seen::default();
        let status = json!({"phase": "Running", "nodes": {"w": {"phase": "Running"}}});
        seen.look(&key(), &ours(json!({}), status.clone()), Source::List);
        let stopped = ours(json!({"shutdown": "Stop"}), status.clone());
        assert_eq!(seen.look(&key(), &stopped, Source::Watch), CHANGED);
        assert_eq!(seen.look(&key(), &stopped, Source::Watch), None);
        let edited_status = json!({"phase": "Running", "nodes": {"w": {"phase": "Succeeded"}}});
        let edited = object(json!({"shutdown": "Stop"}), edited_status.clone(), Some(digest::of_status(&status)));
        assert_eq!(seen.look(&key(), &edited, Source::Watch), EDITED);
        assert_eq!(seen.look(&key(), &edited, Source::Watch), None);
        // The status service takes it over; a later edit counts again.
        assert_eq!(seen.look(&key(), &ours(json!({"shutdown": "Stop"}), edited_status), Source::Watch), None);
        let again = object(json!({"shutdown": "Stop"}), json!({"phase": "Failed"}), Some(1));
        assert_eq!(seen.look(&key(), &again, Source::Watch), EDITED);
    }

    #[test]
    fn a_workflow_that_goes_out_of_service_or_is_taken_back_is_reported() {
        let mut seen = Seen::default();
        let running = ours(json!({}), json!({"phase": "Running", "nodes": {"w": {"phase": "Running"}}}));
        assert_eq!(seen.look(&key(), &running, Source::List), CHANGED);
        let mut out_of_service = running.clone();
        out_of_service.data["status"]["phase"] = json!("Error");
        out_of_service.metadata.labels = Some([(labels::QUARANTINED.to_owned(), "true".to_owned())].into());
        assert_eq!(seen.look(&key(), &out_of_service, Source::Watch), CHANGED);
        assert_eq!(seen.look(&key(), &out_of_service, Source::Watch), None);
        assert_eq!(seen.look(&key(), &running, Source::Watch), CHANGED);
        assert_eq!(seen.look(&key(), &running, Source::Watch), None);
    }

    #[test]
    fn a_list_announces_what_is_unfinished_and_finds_what_is_gone() {
        let mut seen = Seen::default();
        let other = WorkflowKey { uid: "u2".into(), ..key() };
        seen.list_begins();
        assert_eq!(seen.look(&key(), &ours(json!({}), json!({"phase": "Running"})), Source::List), CHANGED);
        assert_eq!(seen.look(&other, &ours(json!({}), json!({"phase": "Succeeded"})), Source::List), None);
        assert_eq!(seen.list_ends(), []);
        seen.list_begins();
        assert_eq!(seen.look(&key(), &ours(json!({}), json!({"phase": "Running"})), Source::List), None);
        assert_eq!(seen.list_ends(), [other]);
        // Retried by a client: ended, then running again under the old digest.
        let retried = object(json!({}), json!({"phase": "Running"}), Some(7));
        assert_eq!(seen.look(&key(), &retried, Source::Watch), EDITED);
    }

    #[test]
    fn a_deletion_is_reported_once() {
        let mut seen = Seen::default();
        seen.look(&key(), &object(json!({}), Value::Null, None), Source::Watch);
        let mut going = serde_json::to_value(object(json!({}), Value::Null, None)).expect("JSON");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let going: DynamicObject = serde_json::from_value(going).expect("an object");
        assert_eq!(seen.look(&key(), &going, Source::Watch), Some(Report::Deleted));
        assert_eq!(seen.look(&key(), &going, Source::Watch), None);
        assert!(!seen.gone(&key()));
    }
}
