//! What a workflow looks up: the objects that its spec names, before it begins, and templates whose names are known late.

use std::sync::Arc;

use argosy_api::{
    message::LookupKey,
    v1alpha1::{Template, WorkflowStep},
};
use serde_json::Value;

use crate::{
    Command, Workflow,
    ops::merge,
    state::{
        Call, Stage, TemplateScope, Work,
        library::{
            Compiled,
            references::{References, template_key},
        },
    },
};

impl Workflow {
    /// The lookups that have no answer yet.
    pub(crate) fn open_lookups(&self) -> Vec<LookupKey> {
        let mut keys: Vec<LookupKey> = self.library.open().cloned().collect();
        keys.extend(self.memo.asked().cloned());
        keys.sort();
        keys
    }

    /// Asks for what is still unknown; true when there is nothing to wait for.
    pub(crate) fn look_up(&mut self) -> bool {
        let mut references = References::new(self.book.namespace());
        let is_stored = self.book.status().stored_workflow_template_spec.is_some();
        if !(is_stored && self.plan.config().restrictions.is_none())
            && let Some(reference) = &self.book.spec().workflow_template_ref
        {
            references.template_named(reference.cluster_scope, &reference.name);
        }
        if let Some(reference) = &self.book.spec().artifact_repository_ref {
            let name = if reference.config_map.is_empty() { "artifact-repositories" } else { &reference.config_map };
            references.config_map(name);
        }
        self.library.specs().for_each(|spec| references.learn(&spec.arguments));
        if let Some(stored) = &self.book.status().stored_workflow_template_spec {
            references.learn(&stored.arguments);
        }
        references.learn(&self.book.spec().arguments);
        references.spec(self.book.spec());
        if let Some(stored) = &self.book.status().stored_workflow_template_spec {
            references.spec(stored);
        }
        self.library.specs().for_each(|spec| references.spec(spec));
        let mut complete = true;
        for key in references.found {
            if self.library.has_answer(&key) {
                continue;
            }
            complete = false;
            if self.library.ask(&key) {
                self.agenda.wish(Command::Lookup(key));
            }
        }
        complete
    }

    pub(crate) fn on_looked_up(&mut self, key: LookupKey, object: Option<Value>, refused: String) {
        if self.found_in_cache(&key, &object, &refused) || self.library.has_answer(&key) {
            return;
        }
        let answered = key.clone();
        self.library.answer(key, object, refused);
        if self.life.is(Stage::Preparing) {
            self.prepare();
        }
        let parked = self.library.take_parked(&answered);
        self.agenda.extend(parked.into_iter().map(Work::Call));
    }

    /// Keeps the call until the template it refers to has been looked up; answers it when there is nothing to wait for.
    pub(crate) fn park(&mut self, call: Arc<Call>) -> Option<Arc<Call>> {
        let Some(reference) = &call.step.template_ref else { return Some(call) };
        let key = template_key(self.book.namespace(), reference.cluster_scope, &reference.name);
        let stored = TemplateScope::of(reference).label("");
        let stored = self.book.status().stored_templates.contains_key(&format!("{stored}/{}", reference.template));
        if stored || self.library.has_answer(&key) {
            return Some(call);
        }
        if self.library.ask(&key) {
            self.agenda.wish(Command::Lookup(key.clone()));
        }
        self.library.park(key, call);
        None
    }

    /// The template that `step` names, and the scope in which that template's own references are looked up.
    ///
    /// Errors: Argo's text when there is none.
    pub(crate) fn resolve_template(
        &mut self,
        step: &WorkflowStep,
        scope: &TemplateScope,
    ) -> Result<(Arc<Compiled>, TemplateScope), String> {
        if let Some(inline) = &step.inline {
            let template = self.with_defaults(&Arc::new(inline.as_ref().clone()))?;
            return Ok((Arc::new(Compiled::new(template)), scope.clone()));
        }
        let (scope, name) = match &step.template_ref {
            Some(reference) => (TemplateScope::of(reference), &reference.template),
            None => (scope.clone(), &step.template),
        };
        if let Some(template) = self.library.template(&scope, name) {
            return Ok((template.clone(), scope));
        }
        let template = Arc::new(Compiled::new(self.find_template(&scope, name)?));
        if scope != TemplateScope::Local {
            let stored = format!("{}/{name}", scope.label(self.book.local_name()));
            self.book.store_template(stored, &template.template);
        }
        self.library.keep_template(scope.clone(), name.clone(), template.clone());
        Ok((template, scope))
    }

    pub(crate) fn find_template(&self, scope: &TemplateScope, name: &str) -> Result<Arc<Template>, String> {
        let stored = format!("{}/{name}", scope.label(self.book.local_name()));
        if let Some(template) = self.book.status().stored_templates.get(&stored) {
            return Ok(Arc::new(template.clone()));
        }
        let (spec, kind, owner) = match scope {
            TemplateScope::Local => (Some(self.plan.spec()), "workflow", self.book.name()),
            TemplateScope::Namespaced(owner) => (self.library.spec(false, owner), "workflow template", owner.as_str()),
            TemplateScope::Cluster(owner) => {
                (self.library.spec(true, owner), "cluster workflow template", owner.as_str())
            }
        };
        let Some(spec) = spec else {
            let is_cluster = matches!(scope, TemplateScope::Cluster(_));
            let why = self.library.missing_template(is_cluster, owner);
            return Err(format!("{kind} {owner} {why}"));
        };
        let template = spec.templates.iter().find(|t| t.name == name).ok_or_else(|| match scope {
            TemplateScope::Local => format!("template {name} not found"),
            TemplateScope::Namespaced(_) | TemplateScope::Cluster(_) => {
                format!("template {name} not found in {kind} {owner}")
            }
        })?;
        self.with_defaults(template)
    }

    fn with_defaults(&self, template: &Arc<Template>) -> Result<Arc<Template>, String> {
        match &self.plan.spec().template_defaults {
            Some(defaults) => merge::template_defaults(defaults, template).map(Arc::new).map_err(|e| e.to_string()),
            None => Ok(template.clone()),
        }
    }
}
