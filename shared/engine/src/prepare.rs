//! From the first sight of a workflow to the call of its entry template.

use std::{borrow::Cow, sync::Arc};

use arcstr::ArcStr;
use argosy_api::{
    labels,
    message::ClusterCommand,
    v1alpha1::{self as api, NodeFlag, Time, WorkflowPhase, WorkflowSpec, WorkflowStep},
};
use argosy_template::tags;
use serde_json::{Map, Value, json};

use crate::{
    Command, TemplateReferencing, Workflow,
    call::Call,
    frame::Parent,
    library::TemplateScope,
    metadata,
    ops::{merge, submit},
    publish::{self, Field},
    tagged::mentions_tags,
    validate, variables,
    workflow::{Stage, Work},
};

/// Why a workflow ends before its first node.
pub(crate) struct Refusal {
    phase: WorkflowPhase,
    message: String,
}

impl Refusal {
    pub fn failed(message: String) -> Self {
        Self { phase: WorkflowPhase::Failed, message }
    }

    pub fn error(message: String) -> Self {
        Self { phase: WorkflowPhase::Error, message }
    }
}

impl Workflow {
    /// Looks up what the spec names; once all is known, begins, or goes on.
    pub(crate) fn prepare(&mut self) {
        self.stage = Stage::Preparing;
        self.distrust_stored_templates();
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
    }

    pub(crate) fn reject(&mut self, refusal: &Refusal) {
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
        self.record_behavior();
        self.record_followed();
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
        self.check_restrictions()?;
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
        if self.config.restrictions.is_none()
            && let Some(stored) = &self.object.status.stored_workflow_template_spec
        {
            return Ok(stored.clone());
        }
        let template = match &self.object.spec.workflow_template_ref {
            None => None,
            Some(r) => {
                let kind = if r.cluster_scope { "clusterworkflowtemplates" } else { "workflowtemplates" };
                let found = self.library.spec(r.cluster_scope, &r.name).cloned();
                let missing = || {
                    let why = self.library.missing_template(r.cluster_scope, &r.name);
                    Refusal::error(format!("{kind}.argoproj.io \"{}\" {why}", r.name))
                };
                Some(found.ok_or_else(missing)?)
            }
        };
        let defaults = self.config.workflow_defaults.as_ref();
        let spec = merge::effective_spec(defaults, template.as_deref(), &self.object.spec)
            .map_err(|e| Refusal::error(e.to_string()))?;
        if self.config.restrictions == Some(TemplateReferencing::Secure) {
            self.check_unchanged(&spec)?;
        }
        if template.is_some() && self.object.status.stored_workflow_template_spec.as_ref() != Some(&spec) {
            self.object.status.stored_workflow_template_spec = Some(spec.clone());
            self.delta.fields.insert(Field::StoredSpec);
        }
        Ok(spec)
    }

    /// Under `workflowRestrictions`, that the workflow comes from a template, and says nothing beside that which could change
    /// what its pods are. Source: Argo `setExecWorkflow`; texts are Argo's.
    pub(crate) fn check_restrictions(&self) -> Result<(), Refusal> {
        if self.config.restrictions.is_none() {
            return Ok(());
        }
        if self.object.spec.workflow_template_ref.is_none() {
            return Err(Refusal::error(
                "workflows must use workflowTemplateRef to be executed when the controller is in reference mode"
                    .to_owned(),
            ));
        }
        submit::check_restrictions(&self.object.spec).map_err(|e| Refusal::error(e.to_string()))
    }

    /// That what the workflow began with is what its template says now. What may be edited of a running workflow does not
    /// count. Source: Argo `setStoredWfSpec`.
    fn check_unchanged(&self, now: &WorkflowSpec) -> Result<(), Refusal> {
        let Some(stored) = &self.object.status.stored_workflow_template_spec else { return Ok(()) };
        let fixed = |spec: &WorkflowSpec| {
            let spec =
                WorkflowSpec { shutdown: String::new(), suspend: None, active_deadline_seconds: None, ..spec.clone() };
            publish::json(&spec)
        };
        if fixed(stored) == fixed(now) {
            return Ok(());
        }
        Err(Refusal::error(
            "workflowTemplateRef reference may not change during execution when the controller is in reference mode"
                .to_owned(),
        ))
    }

    /// Under `workflowRestrictions` nothing counts that the status says of templates: whoever may edit the workflow may edit
    /// that. They are found anew where they come from.
    fn distrust_stored_templates(&mut self) {
        if self.config.restrictions.is_some() {
            self.object.status.stored_templates.clear();
            if self.object.status.phase == WorkflowPhase::Unknown {
                self.object.status.stored_workflow_template_spec = None;
            }
        }
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
        let meta = &self.object.metadata;
        for template in &self.spec.volume_claim_templates {
            // Validation has refused those that are none.
            let Some((claim, manifest)) = claim_of(template, meta) else { continue };
            let volume =
                json!({"name": claim, "persistentVolumeClaim": {"claimName": format!("{}-{claim}", meta.name)}});
            self.object.status.persistent_volume_claims.push(volume);
            self.commands.push(Command::Cluster {
                node_id: meta.name.as_str().into(),
                command: ClusterCommand::CreateObject { manifest },
            });
        }
        self.delta.fields.insert(Field::Claims);
    }

    /// Starts the entry template, unless the workflow is suspended; takes up what runs already.
    pub(crate) fn enter(&mut self) {
        self.arm_workflow_deadline();
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
            self.recount_values(node);
            if !node.children.is_empty() {
                self.untold.insert(node.id.clone());
            }
        }
        self.freed.clear();
        self.object.status.nodes = nodes;
    }
}

/// The claim that a template stands for: its name there, and its manifest. None when the template, its metadata or its labels
/// are no maps.
fn claim_of(template: &Value, workflow: &api::ObjectMeta) -> Option<(String, Value)> {
    let mut manifest = template.as_object()?.clone();
    let mut metadata = match manifest.remove("metadata") {
        None | Some(Value::Null) => Map::new(),
        Some(metadata) => metadata.as_object()?.clone(),
    };
    let mut labels = match metadata.remove("labels") {
        None | Some(Value::Null) => Map::new(),
        Some(labels) => labels.as_object()?.clone(),
    };
    let claim = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    labels.insert(labels::WORKFLOW.to_owned(), json!(workflow.name));
    let owner = json!({
        "apiVersion": api::API_VERSION, "kind": "Workflow", "name": workflow.name, "uid": workflow.uid,
        "controller": true, "blockOwnerDeletion": true,
    });
    metadata.extend([
        ("name".to_owned(), json!(format!("{}-{claim}", workflow.name))),
        ("namespace".to_owned(), json!(workflow.namespace)),
        ("labels".to_owned(), Value::Object(labels)),
        ("ownerReferences".to_owned(), json!([owner])),
    ]);
    manifest.extend([
        ("apiVersion".to_owned(), json!("v1")),
        ("kind".to_owned(), json!("PersistentVolumeClaim")),
        ("metadata".to_owned(), Value::Object(metadata)),
    ]);
    Some((claim, Value::Object(manifest)))
}
