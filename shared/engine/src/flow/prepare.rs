//! From the first sight of a workflow to the call of its entry template.

use std::{borrow::Cow, sync::Arc};

use arcstr::ArcStr;
use argosy_api::{
    labels,
    message::ClusterCommand,
    v1alpha1::{self as api, NodeFlag, WorkflowPhase, WorkflowSpec, WorkflowStep},
};
use argosy_template::tags;
use serde_json::{Map, Value, json};

use crate::{
    Behavior, TemplateReferencing, Workflow,
    flow::{metadata, refusal::Refusal},
    json,
    ops::{merge, submit},
    state::{Call, Parent, Stage, TemplateScope, Work},
    tagged::mentions_tags,
    validate,
    values::variables,
};

impl Workflow {
    /// Looks up what the spec names; once all is known, begins, or goes on.
    pub(crate) fn prepare(&mut self) {
        self.life.enter(Stage::Preparing);
        self.distrust_stored_templates();
        if !self.look_up() {
            return;
        }
        let outcome =
            if self.book.status().phase == WorkflowPhase::Unknown { self.admit() } else { self.settle_spec() };
        if let Err(refusal) = outcome {
            return self.reject(&refusal);
        }
        // One that is made with nodes, as a memoized resubmission is, counts them too.
        if self.life.is_rebuilding() || !self.book.nodes().is_empty() {
            self.recount_nodes();
        }
        self.enter();
    }

    pub(crate) fn reject(&mut self, refusal: &Refusal) {
        if self.book.status().started_at.is_none() {
            let now = self.time();
            self.book.start(now);
        }
        self.complete(refusal.phase, &refusal.message);
    }

    fn admit(&mut self) -> Result<(), Refusal> {
        self.settle_spec()?;
        let options =
            validate::Options { workflow_defaults: self.plan.config().workflow_defaults.clone(), ..Default::default() };
        let problems = validate::workflow(&self.judged(), &self.library, &options);
        if let Some(problem) = problems.first() {
            return Err(Refusal::failed(format!("invalid spec: {problem}")));
        }
        self.apply_metadata()?;
        self.find_artifact_repository()?;
        self.book.set_annotation(labels::POD_NAME_FORMAT, "v2");
        self.life.begin_by_latest();
        self.book.set_annotation(labels::BEHAVIOR, &Behavior::LATEST.to_string());
        self.book.record_followed();
        Ok(())
    }

    /// The workflow runs from now on.
    fn start(&mut self) -> Result<(), Refusal> {
        self.check_claims()?;
        let now = self.time();
        self.book.start(now);
        self.book.set_phase(WorkflowPhase::Running, "");
        self.book.set_label(labels::COMPLETED, "false");
        self.create_claims();
        self.create_disruption_budget();
        self.measure_workflow_begin();
        Ok(())
    }

    /// The workflow as it is validated. One that is retried runs by the spec that it began with, so that its template is not
    /// asked for again: it may have changed, or be gone.
    fn judged(&self) -> Cow<'_, api::Workflow> {
        let reference = self.book.spec().workflow_template_ref.as_ref();
        match (&self.book.status().stored_workflow_template_spec, reference) {
            (Some(stored), Some(r)) if self.library.spec(r.cluster_scope, &r.name).is_none() => {
                let mut judged = self.book.object().clone();
                judged.spec = WorkflowSpec { workflow_template_ref: None, ..stored.clone() };
                Cow::Owned(judged)
            }
            _ => Cow::Borrowed(self.book.object()),
        }
    }

    /// Finds what the workflow runs by, and its global variables.
    pub(crate) fn settle_spec(&mut self) -> Result<(), Refusal> {
        self.check_restrictions()?;
        let mut spec = self.merged_spec()?;
        // Templates get the variables when they are called, and hooks their arguments.
        let templates = std::mem::take(&mut spec.templates);
        self.plan.draft(spec.clone());
        let globals = variables::globals(self);
        self.globals.replace(globals.map_err(|e| Refusal::failed(format!("failed to set global parameters: {e}")))?);
        let apart = metadata::Apart::take(&mut spec);
        if mentions_tags(&spec) {
            let mut value = json::json(&spec);
            tags::render_value(&mut value, &self.globals, &tags::Options::once())
                .map_err(|e| Refusal::error(e.to_string()))?;
            spec = api::from_value(value).map_err(|e| Refusal::error(e.to_string()))?;
        }
        let is_tagged = mentions_tags(&spec);
        apart.put_back(&mut spec, &self.globals);
        self.plan.settle(WorkflowSpec { templates, ..spec }, is_tagged);
        self.library.forget_templates();
        Ok(())
    }

    fn merged_spec(&mut self) -> Result<WorkflowSpec, Refusal> {
        if self.plan.config().restrictions.is_none()
            && let Some(stored) = &self.book.status().stored_workflow_template_spec
        {
            return Ok(stored.clone());
        }
        let template = match &self.book.spec().workflow_template_ref {
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
        let defaults = self.plan.config().workflow_defaults.as_ref();
        let spec = merge::effective_spec(defaults, template.as_deref(), self.book.spec())
            .map_err(|e| Refusal::error(e.to_string()))?;
        if self.plan.config().restrictions == Some(TemplateReferencing::Secure) {
            self.check_unchanged(&spec)?;
        }
        if template.is_some() {
            self.book.store_spec(&spec);
        }
        Ok(spec)
    }

    /// Under `workflowRestrictions`, that the workflow comes from a template, and says nothing beside that which could change
    /// what its pods are. Source: Argo `setExecWorkflow`; texts are Argo's.
    pub(crate) fn check_restrictions(&self) -> Result<(), Refusal> {
        if self.plan.config().restrictions.is_none() {
            return Ok(());
        }
        if self.book.spec().workflow_template_ref.is_none() {
            return Err(Refusal::error(
                "workflows must use workflowTemplateRef to be executed when the controller is in reference mode"
                    .to_owned(),
            ));
        }
        submit::check_restrictions(self.book.spec()).map_err(|e| Refusal::error(e.to_string()))
    }

    /// That what the workflow began with is what its template says now. What may be edited of a running workflow does not
    /// count. Source: Argo `setStoredWfSpec`.
    fn check_unchanged(&self, now: &WorkflowSpec) -> Result<(), Refusal> {
        let Some(stored) = &self.book.status().stored_workflow_template_spec else { return Ok(()) };
        let fixed = |spec: &WorkflowSpec| {
            let spec =
                WorkflowSpec { shutdown: String::new(), suspend: None, active_deadline_seconds: None, ..spec.clone() };
            json::json(&spec)
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
        if self.plan.config().restrictions.is_some() {
            self.book.distrust_stored();
        }
    }

    fn find_artifact_repository(&self) -> Result<(), Refusal> {
        let Some(reference) = &self.plan.spec().artifact_repository_ref else { return Ok(()) };
        let map = if reference.config_map.is_empty() { "artifact-repositories" } else { &reference.config_map };
        if self.library.has_config_map_key(self.book.namespace(), map, &reference.key) {
            return Ok(());
        }
        Err(Refusal::error(format!(
            "failed to resolve artifact repository: failed to find any artifact repository for artifact repository ref \"{}#{}\"",
            reference.config_map, reference.key
        )))
    }

    /// That each claim has a name; where one has none, none is made. Source: Argo `createPVCs`; the text is Argo's.
    fn check_claims(&self) -> Result<(), Refusal> {
        let are_there = !self.book.status().persistent_volume_claims.is_empty();
        let is_nameless =
            |claim: &Value| claim.pointer("/metadata/name").and_then(Value::as_str).is_none_or(str::is_empty);
        match self.plan.spec().volume_claim_templates.iter().position(is_nameless) {
            Some(index) if !are_there => Err(Refusal::error(format!(
                "pvc create error: volumeClaimTemplates[{index}].metadata.name is required"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn create_claims(&mut self) {
        if self.plan.spec().volume_claim_templates.is_empty() || !self.book.status().persistent_volume_claims.is_empty()
        {
            return;
        }
        let meta = self.book.meta();
        let mut volumes = Vec::new();
        for template in &self.plan.spec().volume_claim_templates {
            // Validation has refused those that are none.
            let Some((claim, manifest)) = claim_of(template, meta) else { continue };
            let volume = serde_json::json!({"name": claim, "persistentVolumeClaim": {"claimName": format!("{}-{claim}", meta.name)}});
            volumes.push(volume);
            self.agenda.wish_cluster(meta.name.as_str().into(), ClusterCommand::CreateObject { manifest });
        }
        self.book.add_claims(volumes);
    }

    /// Starts the entry template, unless the workflow is suspended; takes up what runs already.
    ///
    /// One that wants locks waits for them first.
    pub(crate) fn enter(&mut self) {
        match self.has_own_locks() {
            Ok(true) => {}
            Ok(false) => return,
            Err(refusal) => return self.reject(&refusal),
        }
        match self.book.status().phase {
            WorkflowPhase::Unknown | WorkflowPhase::Pending => {
                if let Err(refusal) = self.start() {
                    return self.reject(&refusal);
                }
            }
            WorkflowPhase::Running | WorkflowPhase::Succeeded | WorkflowPhase::Failed | WorkflowPhase::Error => {
                // Nothing tells any more of the locks that it waited for.
                self.book.set_phase(WorkflowPhase::Running, "");
            }
        }
        self.arm_workflow_deadline();
        if self.is_suspended() && self.book.nodes().is_empty() {
            self.life.enter(Stage::Held);
            return;
        }
        self.life.enter(Stage::Running);
        self.globals.set_default("status", || WorkflowPhase::Running.to_string());
        self.start_workflow_hooks();
        let entry = WorkflowStep {
            template: self.plan.spec().entrypoint.clone(),
            arguments: self.plan.spec().arguments.clone(),
            ..Default::default()
        };
        let name = ArcStr::from(self.book.name());
        let call = Call {
            id: self.book.claim_id(&name),
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
        self.agenda.push(Work::Call(Arc::new(call)));
    }

    /// The moment after which the workflow has run too long. Source: Argo, `startedAt` + `activeDeadlineSeconds`.
    pub(crate) fn deadline(&self) -> Option<jiff::Timestamp> {
        let started = self.book.status().started_at?;
        let secs = self.plan.spec().active_deadline_seconds?;
        started.0.checked_add(jiff::SignedDuration::from_secs(secs)).ok()
    }

    fn recount_nodes(&mut self) {
        let (memo, budget) = (&mut self.memo, &mut self.budget);
        self.book.recount(|node| {
            memo.recall(node);
            budget.recount_values(node);
        });
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
    let owner = api::WorkflowOwner::controller(&workflow.name, &workflow.uid);
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
