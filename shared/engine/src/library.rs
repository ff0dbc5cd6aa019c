//! The objects that a workflow refers to: found before it starts, so that no decision waits for the API.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use arcstr::ArcStr;
use argosy_api::{
    labels,
    message::{LookupKey, LookupKind},
    v1alpha1::{self as api, Template, WorkflowSpec, WorkflowStep},
};
use serde_json::Value;

use crate::{
    Command, Workflow, deferred,
    json::{self, json},
    pod::Shape,
    references::{References, template_key},
    state::{Call, Stage, TemplateScope, Work},
    tagged::{mentions_tags, mentions_tags_and_outputs},
};

/// Answers to lookups, and templates by name.
#[derive(Debug, Default)]
pub(crate) struct Library {
    answers: BTreeMap<LookupKey, Option<Value>>,
    /// Why some could not be had.
    refusals: BTreeMap<LookupKey, String>,
    asked: BTreeSet<LookupKey>,
    specs: BTreeMap<(bool, String), Arc<WorkflowSpec>>,
    /// Parsed templates, by scope and name.
    templates: HashMap<(TemplateScope, String), Arc<Compiled>>,
    /// What the pods of a parsed template have in common, if that can be told. As long-lived as `templates`, which keeps
    /// the addresses of the templates taken.
    shapes: HashMap<Likeness, Option<Shape>>,
    /// Calls that wait for a template whose name was only known late.
    parked: BTreeMap<LookupKey, Vec<Arc<Call>>>,
}

/// Pods that agree in this have manifests that differ only in what is each one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Likeness {
    /// Address of the parsed template.
    pub template: usize,
    pub on_exit: bool,
    pub include_result: bool,
    pub is_limited: bool,
}

/// A template, and what is known of it before it is called.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub template: Arc<Template>,
    /// The same as JSON, for substitution, without inputs and without what of its steps or tasks is resolved when these
    /// begin; none where there are no tags in it.
    pub value: Option<Value>,
    /// Its inputs have tags.
    pub tagged_inputs: bool,
    /// It has tags, wherever.
    tagged: bool,
    mentions_outputs: bool,
    /// The template as JSON text, once a pod has been made of it as it is.
    text: OnceLock<ArcStr>,
}

impl Compiled {
    fn new(template: Arc<Template>) -> Self {
        let (tagged, mentions_outputs) = mentions_tags_and_outputs(&template);
        let value = tagged.then(|| deferred::without(json(&template))).filter(mentions_tags);
        let tagged_inputs = tagged && mentions_tags(&template.inputs);
        Self { value, tagged_inputs, tagged, mentions_outputs, text: OnceLock::new(), template }
    }

    /// JSON text of the template of a call, which may be this one as it is.
    pub fn text_of(&self, called: &Arc<Template>) -> ArcStr {
        let text = || ArcStr::from(json::text(called));
        if Arc::ptr_eq(called, &self.template) { self.text.get_or_init(text).clone() } else { text() }
    }

    /// Once called, it may speak of the results of its own steps or tasks.
    pub fn may_want_results(&self) -> bool {
        self.mentions_outputs || self.tagged
    }
}

impl crate::validate::Templates for Library {
    fn get(&self, cluster: bool, name: &str) -> Option<Arc<WorkflowSpec>> {
        self.specs.get(&(cluster, name.to_owned())).cloned()
    }

    fn why_missing(&self, cluster: bool, name: &str) -> String {
        self.missing_template(cluster, name)
    }
}

impl Library {
    pub fn spec(&self, cluster: bool, name: &str) -> Option<&Arc<WorkflowSpec>> {
        self.specs.get(&(cluster, name.to_owned()))
    }

    /// The value of a key of a ConfigMap. Errors: Argo's text when the map, its label or the key is missing.
    pub fn config_map_value(&self, namespace: &str, name: &str, key: &str) -> Result<String, String> {
        let map_key =
            LookupKey { kind: LookupKind::ConfigMap, namespace: namespace.into(), name: name.into(), data_key: None };
        if let Some(refused) = self.refusals.get(&map_key) {
            return Err(format!("ConfigMap '{name}' cannot be read: {refused}"));
        }
        let Some(Some(map)) = self.answers.get(&map_key) else {
            return Err(format!(
                "ConfigMap '{name}' does not exist. Please make sure it has the label {}: Parameter to be detectable by the controller",
                labels::CONFIG_MAP_TYPE
            ));
        };
        let label =
            map.pointer("/metadata/labels").and_then(|l| l.get(labels::CONFIG_MAP_TYPE)).and_then(Value::as_str);
        if label != Some(labels::TYPE_PARAMETER) {
            return Err(format!(
                "ConfigMap '{name}' needs to have the label {}: Parameter to load parameters",
                labels::CONFIG_MAP_TYPE
            ));
        }
        let value = map.get("data").and_then(|d| d.get(key)).and_then(Value::as_str);
        value.map(str::to_owned).ok_or_else(|| format!("ConfigMap '{name}' does not have the key '{key}'"))
    }

    /// What is to be said of a template that is not there.
    pub fn missing_template(&self, cluster: bool, name: &str) -> String {
        let kind = template_key("", cluster, name).kind;
        match self.refusals.iter().find(|(key, _)| key.kind == kind && key.name == name) {
            Some((_, refused)) => format!("cannot be read: {refused}"),
            None => "not found".to_owned(),
        }
    }

    /// True when the ConfigMap exists and has the key, whatever its labels.
    pub fn has_config_map_key(&self, namespace: &str, name: &str, key: &str) -> bool {
        let key_of =
            LookupKey { kind: LookupKind::ConfigMap, namespace: namespace.into(), name: name.into(), data_key: None };
        self.answers
            .get(&key_of)
            .and_then(Option::as_ref)
            .is_some_and(|map| map.get("data").is_some_and(|d| d.get(key).is_some()))
    }

    /// Calls that wait for a template.
    pub fn parked_calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.parked.values().flatten()
    }

    /// What the pods of a template have in common, once that was found out.
    pub fn shape(&self, likeness: &Likeness) -> Option<&Option<Shape>> {
        self.shapes.get(likeness)
    }

    pub fn keep_shape(&mut self, likeness: Likeness, shape: Option<Shape>) {
        self.shapes.insert(likeness, shape);
    }

    pub fn forget_templates(&mut self) {
        self.templates.clear();
        self.shapes.clear();
    }
}

impl Workflow {
    /// The lookups that have no answer yet.
    pub(crate) fn open_lookups(&self) -> Vec<LookupKey> {
        let open = |key: &&LookupKey| !self.library.answers.contains_key(key);
        let mut keys: Vec<LookupKey> = self.library.asked.iter().filter(open).cloned().collect();
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
        references.spec(self.book.spec());
        if let Some(stored) = &self.book.status().stored_workflow_template_spec {
            references.spec(stored);
        }
        self.library.specs.values().for_each(|spec| references.spec(spec));
        let mut complete = true;
        for key in references.found {
            if self.library.answers.contains_key(&key) {
                continue;
            }
            complete = false;
            if self.library.asked.insert(key.clone()) {
                self.agenda.wish(Command::Lookup(key));
            }
        }
        complete
    }

    pub(crate) fn on_looked_up(&mut self, key: LookupKey, object: Option<Value>, refused: String) {
        if self.found_in_cache(&key, &object, &refused) || self.library.answers.contains_key(&key) {
            return;
        }
        let cluster = key.kind == LookupKind::ClusterWorkflowTemplate;
        if key.kind != LookupKind::ConfigMap
            && let Some(template) = object.clone()
            && let Ok(template) = api::from_value::<api::WorkflowTemplate>(template)
        {
            self.library.specs.insert((cluster, key.name.clone()), Arc::new(template.spec));
        }
        let answered = key.clone();
        if !refused.is_empty() {
            self.library.refusals.insert(key.clone(), refused);
        }
        self.library.answers.insert(key, object);
        if self.life.is(Stage::Preparing) {
            self.prepare();
        }
        let parked = self.library.parked.remove(&answered).unwrap_or_default();
        self.agenda.extend(parked.into_iter().map(Work::Call));
    }

    /// Keeps the call until the template it refers to has been looked up; answers it when there is nothing to wait for.
    pub(crate) fn park(&mut self, call: Arc<Call>) -> Option<Arc<Call>> {
        let Some(reference) = &call.step.template_ref else { return Some(call) };
        let key = template_key(self.book.namespace(), reference.cluster_scope, &reference.name);
        let stored = TemplateScope::of(reference).label("");
        let stored = self.book.status().stored_templates.contains_key(&format!("{stored}/{}", reference.template));
        if stored || self.library.answers.contains_key(&key) {
            return Some(call);
        }
        if self.library.asked.insert(key.clone()) {
            self.agenda.wish(Command::Lookup(key.clone()));
        }
        self.library.parked.entry(key).or_default().push(call);
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
        let key = (scope.clone(), name.clone());
        if let Some(template) = self.library.templates.get(&key) {
            return Ok((template.clone(), scope));
        }
        let template = Arc::new(Compiled::new(self.find_template(&scope, name)?));
        if scope != TemplateScope::Local {
            let stored = format!("{}/{name}", scope.label(self.book.local_name()));
            self.book.store_template(stored, &template.template);
        }
        self.library.templates.insert(key, template.clone());
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
        let template = spec
            .templates
            .iter()
            .find(|t| t.name == name)
            .ok_or_else(|| format!("template {name} not found in {kind} {owner}"))?;
        self.with_defaults(template)
    }

    fn with_defaults(&self, template: &Arc<Template>) -> Result<Arc<Template>, String> {
        match &self.plan.spec().template_defaults {
            Some(defaults) => {
                crate::ops::merge::template_defaults(defaults, template).map(Arc::new).map_err(|e| e.to_string())
            }
            None => Ok(template.clone()),
        }
    }
}
