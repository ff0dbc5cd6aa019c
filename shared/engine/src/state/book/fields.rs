//! Members of the object besides its nodes.

use argosy_api::{
    labels,
    message::MetricSample,
    v1alpha1::{self as api, Condition, SynchronizationStatus, Template, WorkflowPhase, WorkflowSpec},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Book, changes::Field};
use crate::{json::json as to_json, size};

impl Book {
    pub fn set_label(&mut self, key: &str, value: &str) {
        if self.object.metadata.labels.get(key).is_none_or(|old| old != value) {
            self.object.metadata.labels.insert(key.to_owned(), value.to_owned());
            self.changes.label(key, value);
        }
    }

    /// Records that the workflow has ended when the log was stepped so far.
    pub fn record_end(&mut self, sequence: u64) {
        let text = format!("{sequence}:{}", self.object.metadata.uid);
        self.set_annotation(labels::ENDED_AT, &text);
    }

    /// Records when the workflow is to be deleted, now that it has ended.
    pub fn record_expiry(&mut self, at: Option<Timestamp>) {
        match at {
            Some(at) => self.set_annotation(labels::EXPIRES_AT, &api::Time::new(at).to_string()),
            None => {
                if self.object.metadata.annotations.remove(labels::EXPIRES_AT).is_some() {
                    self.changes.no_annotation(labels::EXPIRES_AT);
                }
            }
        }
    }

    pub fn set_annotation(&mut self, key: &str, value: &str) {
        if self.object.metadata.annotations.get(key).is_none_or(|old| old != value) {
            self.object.metadata.annotations.insert(key.to_owned(), value.to_owned());
            self.changes.annotation(key, value);
        }
    }

    pub fn set_phase(&mut self, phase: WorkflowPhase, message: &str) {
        let status = &mut self.object.status;
        if status.phase != phase {
            status.phase = phase;
            self.changes.field(Field::Phase);
        }
        let message = size::cut(message);
        if status.message != message {
            status.message = message.into_owned();
            self.changes.field(Field::Message);
        }
        self.set_label(labels::PHASE, phase.as_str());
    }

    pub fn set_condition(&mut self, kind: &str, status: &str) {
        let conditions = &mut self.object.status.conditions;
        match conditions.iter_mut().find(|c| c.r#type == kind) {
            Some(condition) if condition.status == status => return,
            Some(condition) => condition.status = status.to_owned(),
            None => {
                conditions.push(Condition { r#type: kind.to_owned(), status: status.to_owned(), ..Default::default() })
            }
        }
        self.changes.field(Field::Conditions);
    }

    /// A value of a custom metric is told with the step's changes.
    pub fn sample(&mut self, sample: MetricSample) {
        self.changes.samples.push(sample);
    }

    /// Says in a condition what is wrong with a custom metric, the last thing that was.
    pub fn set_metrics_error(&mut self, error: &str) {
        self.set_condition("MetricsError", "True");
        let conditions = &mut self.object.status.conditions;
        if let Some(condition) = conditions.iter_mut().find(|c| c.r#type == "MetricsError" && c.message != error) {
            condition.message = size::cut(error).into_owned();
            self.changes.field(Field::Conditions);
        }
    }

    /// Says in a condition what is wrong with the spec as it was edited; nothing when it is right again.
    pub fn set_spec_error(&mut self, error: Option<&str>) {
        const KIND: &str = "SpecError";
        let conditions = &mut self.object.status.conditions;
        let before = conditions.iter().position(|c| c.r#type == KIND);
        let condition = error.map(|error| Condition {
            r#type: KIND.to_owned(),
            status: "True".to_owned(),
            message: format!("{error}. The workflow goes on by its spec before that edit"),
        });
        match (before, condition) {
            (None, None) => return,
            (Some(index), None) => _ = conditions.remove(index),
            (Some(index), Some(condition)) if conditions[index] == condition => return,
            (Some(index), Some(condition)) => conditions[index] = condition,
            (None, Some(condition)) => conditions.push(condition),
        }
        self.changes.field(Field::Conditions);
    }

    /// The workflow begins, or ends before it could.
    pub fn start(&mut self, now: api::Time) {
        self.object.status.started_at = Some(now);
        self.changes.field(Field::StartedAt);
    }

    /// The workflow has ended: nothing changes in it any more that is published.
    pub fn finish(&mut self, phase: WorkflowPhase, message: &str, now: api::Time) {
        self.set_phase(phase, message);
        self.object.status.finished_at = Some(now);
        self.changes.field(Field::FinishedAt);
        if self.object.status.conditions.iter().any(|c| c.r#type == "PodRunning") {
            self.set_condition("PodRunning", "False");
        }
        self.set_condition("Completed", "True");
        self.set_label(labels::COMPLETED, "true");
        self.settle_progress();
        if let Some(sum) = self.counters.resources().sum() {
            self.object.status.resources_duration = sum.clone();
            self.changes.field(Field::ResourcesDuration);
        }
        self.changes.completed();
    }

    /// Adds an output of the workflow; the last one of a name counts.
    pub fn lift_parameter(&mut self, parameter: api::Parameter) {
        let list = &mut self.object.status.outputs.get_or_insert_default().parameters;
        list.retain(|p| p.name != parameter.name);
        list.push(parameter);
        self.changes.field(Field::Outputs);
    }

    /// Adds an output of the workflow; the last one of a name counts.
    pub fn lift_artifact(&mut self, artifact: api::Artifact) {
        let list = &mut self.object.status.outputs.get_or_insert_default().artifacts;
        list.retain(|a| a.name != artifact.name);
        list.push(artifact);
        self.changes.field(Field::Outputs);
    }

    /// Who has and who wants locks.
    pub fn set_synchronization(&mut self, synchronization: Option<SynchronizationStatus>) {
        if self.object.status.synchronization != synchronization {
            self.object.status.synchronization = synchronization;
            self.changes.field(Field::Synchronization);
        }
    }

    /// The workflow has ended, and has no locks. That is told of every one that ever wanted any, whatever is known of it here.
    pub fn end_synchronization(&mut self) {
        self.object.status.synchronization = None;
        if self.object.metadata.annotations.contains_key(labels::LOCKS) {
            self.changes.field(Field::Synchronization);
        }
    }

    /// Volumes of claims that the workflow makes.
    pub fn add_claims(&mut self, volumes: Vec<Value>) {
        self.object.status.persistent_volume_claims.extend(volumes);
        self.changes.field(Field::Claims);
    }

    /// Volumes of the claims that the workflow made. It has none any more.
    pub fn take_claims(&mut self) -> Vec<Value> {
        let claims = std::mem::take(&mut self.object.status.persistent_volume_claims);
        if !claims.is_empty() {
            self.changes.field(Field::Claims);
        }
        claims
    }

    /// Keeps a template from elsewhere, unless there is one under that key: it may change there, or go.
    pub fn store_template(&mut self, key: String, template: &Template) {
        if let std::collections::btree_map::Entry::Vacant(entry) = self.object.status.stored_templates.entry(key) {
            entry.insert(template.clone());
            self.changes.field(Field::StoredTemplates);
        }
    }

    /// Keeps the spec that the workflow runs by.
    pub fn store_spec(&mut self, spec: &WorkflowSpec) {
        if self.object.status.stored_workflow_template_spec.as_ref() != Some(spec) {
            self.object.status.stored_workflow_template_spec = Some(spec.clone());
            self.changes.field(Field::StoredSpec);
        }
    }

    /// Forgets the templates that the status holds, which somebody may have edited; of a workflow that nobody has begun also the
    /// spec.
    pub fn distrust_stored(&mut self) {
        self.object.status.stored_templates.clear();
        if self.object.status.phase == WorkflowPhase::Unknown {
            self.object.status.stored_workflow_template_spec = None;
        }
    }

    /// Takes back what the step put into the status outside the nodes, where it does not fit into a message of `limit` bytes.
    /// Answers the bytes that it takes then.
    pub fn drop_large_fields(&mut self, limit: usize) -> Option<usize> {
        const LARGE: [Field; 3] = [Field::Outputs, Field::StoredTemplates, Field::StoredSpec];
        let changed: Vec<Field> = LARGE.into_iter().filter(|field| self.changes.has_field(*field)).collect();
        let bytes: usize = changed.iter().map(|field| size::of(&self.field(*field).1)).sum();
        if bytes <= limit {
            return None;
        }
        for field in changed {
            self.changes.drop_field(field);
            match field {
                Field::Outputs => self.object.status.outputs = None,
                Field::StoredTemplates => self.object.status.stored_templates.clear(),
                _ => self.object.status.stored_workflow_template_spec = None,
            }
        }
        Some(bytes)
    }

    pub(super) fn field(&self, field: Field) -> (String, Value) {
        let status = &self.object.status;
        let (name, value) = match field {
            Field::Phase => ("phase", to_json(&status.phase)),
            Field::StartedAt => ("startedAt", to_json(&status.started_at)),
            Field::FinishedAt => ("finishedAt", to_json(&status.finished_at)),
            // An empty text would stay in the object: null takes the member away.
            Field::Message if status.message.is_empty() => ("message", Value::Null),
            Field::Message => ("message", to_json(&status.message)),
            Field::Progress => ("progress", to_json(&status.progress)),
            Field::Outputs => ("outputs", to_json(&status.outputs)),
            Field::Conditions => ("conditions", to_json(&status.conditions)),
            Field::StoredTemplates => ("storedTemplates", to_json(&status.stored_templates)),
            Field::StoredSpec => {
                let mut stored = to_json(&status.stored_workflow_template_spec);
                // It goes out as a merge patch, and this is the one member that may go.
                if let Value::Object(members) = &mut stored {
                    members.entry("suspend").or_insert(Value::Null);
                }
                ("storedWorkflowTemplateSpec", stored)
            }
            Field::Claims => ("persistentVolumeClaims", to_json(&status.persistent_volume_claims)),
            Field::ResourcesDuration => ("resourcesDuration", to_json(&status.resources_duration)),
            Field::Synchronization => ("synchronization", synchronization(status.synchronization.as_ref())),
        };
        (name.to_owned(), value)
    }
}

/// It goes out as a merge patch, in which what is left out stays.
fn synchronization(status: Option<&SynchronizationStatus>) -> Value {
    let list = |value: Value| if value.as_array().is_some_and(Vec::is_empty) { Value::Null } else { value };
    let Some(status) = status else { return Value::Null };
    let semaphore = status.semaphore.as_ref();
    let mutex = status.mutex.as_ref();
    json!({
        "semaphore": semaphore.map(|s| json!({"holding": list(to_json(&s.holding)), "waiting": list(to_json(&s.waiting))})),
        "mutex": mutex.map(|m| json!({"holding": list(to_json(&m.holding)), "waiting": list(to_json(&m.waiting))})),
    })
}
