//! From the first sight of a workflow to the call of its entry template.

use std::{borrow::Cow, sync::Arc};

use arcstr::ArcStr;
use argosy_api::{
    labels,
    message::ClusterCommand,
    v1alpha1::{self as api, NodeFlag, Time, WorkflowPhase, WorkflowSpec, WorkflowStep},
};
use argosy_template::tags;
use serde_json::{Value, json};

use crate::{
    Command, Workflow,
    call::Call,
    frame::Parent,
    library::TemplateScope,
    metadata,
    ops::merge,
    publish::{self, Field},
    tagged::mentions_tags,
    timers, validate, variables,
    workflow::{Stage, Work},
};

/// Why a workflow ends before its first node.
pub(crate) struct Refusal {
    phase: WorkflowPhase,
    message: String,
}

impl Refusal {
    fn failed(message: String) -> Self {
        Self { phase: WorkflowPhase::Failed, message }
    }

    pub(crate) fn error(message: String) -> Self {
        Self { phase: WorkflowPhase::Error, message }
    }
}

impl Workflow {
    /// Looks up what the spec names; once all is known, begins, or goes on.
    pub(crate) fn prepare(&mut self) {
        self.stage = Stage::Preparing;
        if !self.look_up() {
            return;
        }
        let outcome =
            if self.object.status.phase == WorkflowPhase::Unknown { self.admit() } else { self.settle_spec() };
        if let Err(refusal) = outcome {
            return self.reject(&refusal);
        }
        if self.rebuilding || self.object.status.phase == WorkflowPhase::Running && !self.object.status.nodes.is_empty()
        {
            self.recount_nodes();
        }
        self.enter();
        self.rebuilding = false;
    }

    fn reject(&mut self, refusal: &Refusal) {
        if self.object.status.started_at.is_none() {
            self.object.status.started_at = Some(Time::new(self.now));
            self.delta.fields.insert(Field::StartedAt);
        }
        self.complete(refusal.phase, &refusal.message);
    }

    fn admit(&mut self) -> Result<(), Refusal> {
        self.settle_spec()?;
        let options =
            validate::Options { workflow_defaults: self.config.workflow_defaults.clone(), ..Default::default() };
        let problems = validate::workflow(&self.judged(), &self.library, &options);
        if let Some(problem) = problems.first() {
            return Err(Refusal::failed(format!("invalid spec: {problem}")));
        }
        self.apply_metadata()?;
        self.find_artifact_repository()?;
        self.check_locks()?;
        self.object.status.started_at = Some(Time::new(self.now));
        self.delta.fields.insert(Field::StartedAt);
        self.set_phase(WorkflowPhase::Running, "");
        self.set_label(labels::COMPLETED, "false");
        self.set_annotation(labels::POD_NAME_FORMAT, "v2");
        self.create_claims();
        Ok(())
    }

    /// The workflow as it is validated. One that is retried runs by the spec that it began with, so that its template is not
    /// asked for again: it may have changed, or be gone.
    fn judged(&self) -> Cow<'_, api::Workflow> {
        let reference = self.object.spec.workflow_template_ref.as_ref();
        match (&self.object.status.stored_workflow_template_spec, reference) {
            (Some(stored), Some(r)) if self.library.spec(r.cluster_scope, &r.name).is_none() => {
                let mut judged = self.object.clone();
                judged.spec = WorkflowSpec { workflow_template_ref: None, ..stored.clone() };
                Cow::Owned(judged)
            }
            _ => Cow::Borrowed(&self.object),
        }
    }

    /// Finds what the workflow runs by, and its global variables.
    pub(crate) fn settle_spec(&mut self) -> Result<(), Refusal> {
        let mut spec = self.merged_spec()?;
        // Templates get the variables when they are called, and hooks their arguments.
        let templates = std::mem::take(&mut spec.templates);
        self.spec = Arc::new(spec.clone());
        self.globals.values =
            variables::globals(self).map_err(|e| Refusal::failed(format!("failed to set global parameters: {e}")))?;
        let apart = metadata::Apart::take(&mut spec);
        if mentions_tags(&spec) {
            let mut value = publish::json(&spec);
            tags::render_value(&mut value, &self.globals, &tags::Options::once())
                .map_err(|e| Refusal::error(e.to_string()))?;
            spec = api::from_value(value).map_err(|e| Refusal::error(e.to_string()))?;
        }
        self.spec_tagged = mentions_tags(&spec);
        apart.put_back(&mut spec, &self.globals);
        self.spec = Arc::new(WorkflowSpec { templates, ..spec });
        self.library.forget_templates();
        Ok(())
    }

    fn merged_spec(&mut self) -> Result<WorkflowSpec, Refusal> {
        if let Some(stored) = &self.object.status.stored_workflow_template_spec {
            return Ok(stored.clone());
        }
        let template = match &self.object.spec.workflow_template_ref {
            None => None,
            Some(r) => {
                let kind = if r.cluster_scope { "clusterworkflowtemplates" } else { "workflowtemplates" };
                let found = self.library.spec(r.cluster_scope, &r.name).cloned();
                Some(found.ok_or_else(|| Refusal::error(format!("{kind}.argoproj.io \"{}\" not found", r.name)))?)
            }
        };
        let defaults = self.config.workflow_defaults.as_ref();
        let spec = merge::effective_spec(defaults, template.as_deref(), &self.object.spec)
            .map_err(|e| Refusal::error(e.to_string()))?;
        if template.is_some() {
            self.object.status.stored_workflow_template_spec = Some(spec.clone());
            self.delta.fields.insert(Field::StoredSpec);
        }
        Ok(spec)
    }

    fn find_artifact_repository(&self) -> Result<(), Refusal> {
        let Some(reference) = &self.spec.artifact_repository_ref else { return Ok(()) };
        let map = if reference.config_map.is_empty() { "artifact-repositories" } else { &reference.config_map };
        if self.library.has_config_map_key(&self.object.metadata.namespace, map, &reference.key) {
            return Ok(());
        }
        Err(Refusal::error(format!(
            "failed to resolve artifact repository: failed to find any artifact repository for artifact repository ref \"{}#{}\"",
            reference.config_map, reference.key
        )))
    }

    fn check_locks(&self) -> Result<(), Refusal> {
        let Some(synchronization) = &self.spec.synchronization else { return Ok(()) };
        let problem = self.lock_problem(synchronization);
        Err(Refusal::failed(format!("Failed to acquire the synchronization lock. {problem}")))
    }

    fn create_claims(&mut self) {
        if self.spec.volume_claim_templates.is_empty() || !self.object.status.persistent_volume_claims.is_empty() {
            return;
        }
        let meta = self.object.metadata.clone();
        for template in self.spec.clone().volume_claim_templates.iter() {
            let claim = template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let name = format!("{}-{claim}", meta.name);
            let mut manifest = template.clone();
            manifest["apiVersion"] = json!("v1");
            manifest["kind"] = json!("PersistentVolumeClaim");
            manifest["metadata"]["name"] = json!(name);
            manifest["metadata"]["namespace"] = json!(meta.namespace);
            manifest["metadata"]["labels"][labels::WORKFLOW] = json!(meta.name);
            manifest["metadata"]["ownerReferences"] = json!([{
                "apiVersion": api::API_VERSION, "kind": "Workflow", "name": meta.name, "uid": meta.uid,
                "controller": true, "blockOwnerDeletion": true,
            }]);
            self.commands.push(Command::Cluster {
                node_id: meta.name.as_str().into(),
                command: ClusterCommand::CreateObject { manifest },
            });
            let volume = json!({"name": claim, "persistentVolumeClaim": {"claimName": name}});
            self.object.status.persistent_volume_claims.push(volume);
        }
        self.delta.fields.insert(Field::Claims);
    }

    /// Starts the entry template, unless the workflow is suspended; takes up what runs already.
    pub(crate) fn enter(&mut self) {
        if let Some(due) = self.deadline() {
            self.commands.push(Command::ArmTimer { key: timers::WORKFLOW_DEADLINE.to_owned(), due });
        }
        if self.is_suspended() && self.object.status.nodes.is_empty() {
            self.stage = Stage::Held;
            return;
        }
        self.stage = Stage::Running;
        self.start_workflow_hooks();
        let entry = WorkflowStep {
            template: self.spec.entrypoint.clone(),
            arguments: self.spec.arguments.clone(),
            ..Default::default()
        };
        let name = ArcStr::from(self.object.metadata.name.as_str());
        let call = Call {
            id: self.claim_id(&name),
            name,
            step_name: ArcStr::new(),
            step: Arc::new(entry),
            boundary: None,
            scope: TemplateScope::Local,
            parent: Parent::Entry,
            flag: NodeFlag::default(),
            on_exit: false,
            depth: 0,
            attempt: None,
        };
        self.work.push_back(Work::Call(Arc::new(call)));
    }

    /// The moment after which the workflow has run too long. Source: Argo, `startedAt` + `activeDeadlineSeconds`.
    pub(crate) fn deadline(&self) -> Option<jiff::Timestamp> {
        let started = self.object.status.started_at?;
        let secs = self.spec.active_deadline_seconds?;
        started.0.checked_add(jiff::SignedDuration::from_secs(secs)).ok()
    }

    fn recount_nodes(&mut self) {
        let nodes = std::mem::take(&mut self.object.status.nodes);
        for node in nodes.values() {
            self.count(node);
            self.note_id(&node.name, &node.id);
            self.recall_saved(node);
            if !node.children.is_empty() {
                self.untold.insert(node.id.clone());
            }
        }
        self.freed.clear();
        self.object.status.nodes = nodes;
    }
}
