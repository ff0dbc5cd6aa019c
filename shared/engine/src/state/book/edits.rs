//! Edits of the object by others, as far as they are adopted.

use std::collections::BTreeMap;

use argosy_api::{labels, v1alpha1 as api};

use super::{Book, changes::Field};

impl Book {
    /// The object as it was begun with; `with_status`: also the status that it comes with counts.
    pub fn begin_with(&mut self, object: api::Workflow, with_status: bool) {
        let status = std::mem::take(&mut self.object.status);
        self.object = object;
        if !with_status {
            self.object.status = status;
        }
    }

    /// Metadata of an object whose workflow has ended.
    pub fn set_metadata(&mut self, metadata: api::ObjectMeta) {
        self.object.metadata = metadata;
    }

    /// An edit of the running workflow. Answers the spec of before.
    pub fn adopt(&mut self, metadata: api::ObjectMeta, spec: api::WorkflowSpec) -> api::WorkflowSpec {
        self.adopt_metadata(metadata);
        self.set_spec_error(None);
        std::mem::replace(&mut self.object.spec, spec)
    }

    fn adopt_metadata(&mut self, metadata: api::ObjectMeta) {
        let before = std::mem::replace(&mut self.object.metadata, metadata);
        let kept = |ours: &[&str], of: &BTreeMap<String, String>| -> Vec<(String, String)> {
            ours.iter().filter_map(|key| Some(((*key).to_owned(), of.get(*key)?.clone()))).collect()
        };
        // An edit may be of an object to which these had not been written yet.
        self.object.metadata.labels.extend(kept(&[labels::PHASE, labels::COMPLETED], &before.labels));
        let ours = [
            labels::POD_NAME_FORMAT,
            labels::BEHAVIOR,
            labels::FOLLOWED,
            labels::ENDED_AT,
            labels::EXPIRES_AT,
            labels::LOCKS,
        ];
        let annotations = kept(&ours, &before.annotations);
        self.object.metadata.annotations.extend(annotations);
    }

    /// Whether the workflow is suspended was edited: the stored spec, which it was merged into, follows. Source: Argo
    /// `needsStoredWfSpecUpdate`.
    pub fn store_suspend(&mut self) {
        let suspend = self.object.spec.suspend;
        if let Some(stored) = &mut self.object.status.stored_workflow_template_spec
            && stored.suspend != suspend
        {
            stored.suspend = suspend;
            self.changes.field(Field::StoredSpec);
        }
    }

    /// An edit of the spec that the status holds. `is_restricted`: users may not change what comes from a template, only lift
    /// `suspend`. It suspends nobody: whoever edits something else may have read what was lifted since; `spec.suspend` does.
    pub fn adopt_stored_spec(&mut self, mut stored: api::WorkflowSpec, is_restricted: bool) {
        let ours = &mut self.object.status.stored_workflow_template_spec;
        if stored.suspend == Some(true) {
            stored.suspend = ours.as_ref().and_then(|ours| ours.suspend);
        }
        match ours {
            Some(ours) if is_restricted => ours.suspend = stored.suspend,
            None if is_restricted => {}
            ours => *ours = Some(stored),
        }
    }
}
