//! Which objects of the cluster a spec refers to.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::{
    message::{LookupKey, LookupKind},
    v1alpha1::*,
};
use argosy_template::tags;

/// Gathers references. Names that hold a tag are left out: they are known when the call is made.
///
/// ConfigMaps that only the pod needs (env, volumes) are not looked for: the kubelet reads them, not the engine.
pub(crate) struct References<'a> {
    namespace: &'a str,
    /// Variables of the workflow that are known already.
    known: BTreeMap<String, String>,
    pub found: BTreeSet<LookupKey>,
}

impl<'a> References<'a> {
    pub fn new(namespace: &'a str) -> Self {
        Self { namespace, known: BTreeMap::new(), found: BTreeSet::new() }
    }

    /// Learns the values of the workflow's parameters. Those that are learnt last count.
    pub fn learn(&mut self, arguments: &Arguments) {
        for parameter in &arguments.parameters {
            if let Some(value) = parameter.value.as_ref().or(parameter.default.as_ref()) {
                self.known.insert(format!("workflow.parameters.{}", parameter.name), value.to_string());
            }
        }
    }

    pub fn spec(&mut self, spec: &WorkflowSpec) {
        self.arguments(&spec.arguments);
        self.hooks(spec.hooks.values());
        spec.templates
            .iter()
            .map(AsRef::as_ref)
            .chain(spec.template_defaults.as_deref())
            .for_each(|template| self.template(template));
    }

    pub fn template_named(&mut self, cluster: bool, name: &str) {
        self.found.insert(template_key(self.namespace, cluster, name));
    }

    pub fn config_map(&mut self, name: &str) {
        let namespace = self.namespace.to_owned();
        self.found.insert(LookupKey { kind: LookupKind::ConfigMap, namespace, name: name.to_owned(), data_key: None });
    }

    fn template(&mut self, template: &Template) {
        self.parameters(&template.inputs.parameters);
        self.parameters(&template.outputs.parameters);
        for step in template.steps.iter().flat_map(|group| &group.steps) {
            self.call(step.template_ref.as_ref(), step.inline.as_deref(), &step.arguments, &step.hooks);
        }
        for task in template.dag.iter().flat_map(|dag| &dag.tasks) {
            self.call(task.template_ref.as_ref(), task.inline.as_deref(), &task.arguments, &task.hooks);
        }
    }

    fn call(
        &mut self,
        reference: Option<&TemplateRef>,
        inline: Option<&Template>,
        arguments: &Arguments,
        hooks: &std::collections::BTreeMap<String, LifecycleHook>,
    ) {
        self.reference(reference);
        if let Some(inline) = inline {
            self.template(inline);
        }
        self.arguments(arguments);
        self.hooks(hooks.values());
    }

    fn hooks<'h>(&mut self, hooks: impl Iterator<Item = &'h LifecycleHook>) {
        for hook in hooks {
            self.reference(hook.template_ref.as_ref());
            self.arguments(&hook.arguments);
        }
    }

    fn reference(&mut self, reference: Option<&TemplateRef>) {
        let Some(reference) = reference else { return };
        if let Some(name) = self.settled(&reference.name) {
            self.template_named(reference.cluster_scope, &name);
        }
    }

    fn arguments(&mut self, arguments: &Arguments) {
        self.parameters(&arguments.parameters);
    }

    fn parameters(&mut self, parameters: &[Parameter]) {
        let sources = parameters.iter().filter_map(|p| p.value_from.as_ref()?.config_map_key_ref.as_ref());
        for key in sources {
            self.key(key);
        }
    }

    fn key(&mut self, key: &ConfigMapKeySelector) {
        if let Some(name) = self.settled(&key.name) {
            self.config_map(&name);
        }
    }

    /// The name with the workflow's parameters put in; none where more than these is needed.
    fn settled(&self, name: &str) -> Option<String> {
        let name = tags::render(name, &self.known, &tags::Options::lenient()).ok()?;
        (!name.is_empty() && !name.contains("{{")).then(|| name.into_owned())
    }
}

/// What a WorkflowTemplate, or a ClusterWorkflowTemplate, is looked up by.
pub(crate) fn template_key(namespace: &str, cluster: bool, name: &str) -> LookupKey {
    let (kind, namespace) = match cluster {
        true => (LookupKind::ClusterWorkflowTemplate, ""),
        false => (LookupKind::WorkflowTemplate, namespace),
    };
    LookupKey { kind, namespace: namespace.to_owned(), name: name.to_owned(), data_key: None }
}
