//! The objects that a workflow refers to: found before it starts, so that decisions do not wait for the API. Only a call whose
//! template is named by a value waits, once the value is known.

mod compiled;
pub(crate) mod deferred;
pub(crate) mod references;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use argosy_api::{
    labels,
    message::{LookupKey, LookupKind},
    v1alpha1::{self as api, WorkflowSpec},
};
use foldhash::fast::RandomState;
use serde_json::Value;

pub(crate) use self::compiled::Compiled;
use self::references::template_key;
use super::{Call, TemplateScope};
use crate::pod::Shape;

/// Answers to lookups, templates by name, and calls that wait for one. A thing is asked for once, and its first answer counts.
#[derive(Debug, Default)]
pub(crate) struct Library {
    answers: BTreeMap<LookupKey, Option<Value>>,
    /// Why some could not be had.
    refusals: BTreeMap<LookupKey, String>,
    asked: BTreeSet<LookupKey>,
    specs: BTreeMap<(bool, String), Arc<WorkflowSpec>>,
    /// Parsed templates, by scope and name.
    templates: HashMap<TemplateScope, HashMap<String, Arc<Compiled>, RandomState>, RandomState>,
    /// What the pods of a parsed template have in common, if that can be told. As long-lived as `templates`, which keeps
    /// the addresses of the templates taken.
    shapes: HashMap<Likeness, Option<Shape>, RandomState>,
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

impl crate::validate::Templates for Library {
    fn get(&self, cluster: bool, name: &str) -> Option<Arc<WorkflowSpec>> {
        self.specs.get(&(cluster, name.to_owned())).cloned()
    }

    fn why_missing(&self, cluster: bool, name: &str) -> String {
        self.missing_template(cluster, name)
    }
}

impl Library {
    /// Things that were asked for and have no answer yet.
    pub fn open(&self) -> impl Iterator<Item = &LookupKey> {
        self.asked.iter().filter(|key| !self.answers.contains_key(*key))
    }

    /// The thing is to be looked up. True when nobody has asked for it before.
    pub fn ask(&mut self, key: &LookupKey) -> bool {
        self.asked.insert(key.clone())
    }

    /// Whether the thing was looked up, and found or not.
    pub fn has_answer(&self, key: &LookupKey) -> bool {
        self.answers.contains_key(key)
    }

    /// The answer to a lookup: the object, if there is one, or why it cannot be had.
    pub fn answer(&mut self, key: LookupKey, object: Option<Value>, refused: String) {
        let cluster = key.kind == LookupKind::ClusterWorkflowTemplate;
        if key.kind != LookupKind::ConfigMap
            && let Some(template) = object.clone()
            && let Ok(template) = api::from_value::<api::WorkflowTemplate>(template)
        {
            self.specs.insert((cluster, key.name.clone()), Arc::new(template.spec));
        }
        if !refused.is_empty() {
            self.refusals.insert(key.clone(), refused);
        }
        self.answers.insert(key, object);
    }

    /// The specs of the templates that were found.
    pub fn specs(&self) -> impl Iterator<Item = &Arc<WorkflowSpec>> {
        self.specs.values()
    }

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

    /// The call waits for what was asked for.
    pub fn park(&mut self, key: LookupKey, call: Arc<Call>) {
        self.parked.entry(key).or_default().push(call);
    }

    /// The calls that waited for the thing. They do so no more.
    pub fn take_parked(&mut self, key: &LookupKey) -> Vec<Arc<Call>> {
        self.parked.remove(key).unwrap_or_default()
    }

    /// Calls that wait for a template.
    pub fn parked_calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.parked.values().flatten()
    }

    /// A template that was called before.
    pub fn template(&self, scope: &TemplateScope, name: &str) -> Option<&Arc<Compiled>> {
        self.templates.get(scope)?.get(name)
    }

    pub fn keep_template(&mut self, scope: TemplateScope, name: String, template: Arc<Compiled>) {
        self.templates.entry(scope).or_default().insert(name, template);
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
