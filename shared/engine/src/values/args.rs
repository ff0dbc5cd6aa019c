//! Putting arguments into a template. Source: Argo `common.ProcessArgs`, `SubstituteParams`.

use std::{collections::BTreeMap, sync::Arc};

use argosy_api::v1alpha1::{self as api, Arguments, Artifact, Inputs, Parameter, Template};
use argosy_template::{
    expr,
    tags::{self, Layered, Options, Scope, Tag},
};

use crate::{
    Workflow,
    json::json,
    state::{Call, Kind, kind_of, library::Compiled, library::deferred},
    tagged::mentions_tags,
};

/// Inputs with their values, and which of these are the template's own text rather than data that was passed.
struct Bound {
    inputs: Inputs,
    own_parameters: Vec<bool>,
    own_artifacts: Vec<bool>,
}

impl Workflow {
    /// The template of a call with globals, locals and inputs put in, each text rendered once. What cannot be known yet
    /// (outputs of steps, items of loops) stays as a tag, and so do the tags of steps and tasks that are rendered when
    /// these begin. Arguments are data: a tag in one is not looked at.
    ///
    /// Errors: an input that was not supplied, or cannot be read.
    pub(crate) fn instantiate(&self, call: &Call, compiled: &Compiled, retried: bool) -> Result<Arc<Template>, String> {
        let own = &compiled.template;
        let mut bound = self.bind(own, &call.step.arguments)?;
        if compiled.value.is_none() && !compiled.tagged_inputs {
            let same = bound.inputs == own.inputs;
            let with = |inputs| Arc::new(Template { inputs, ..own.as_ref().clone() });
            return Ok(if same { own.clone() } else { with(bound.inputs) });
        }
        let locals = self.locals(call, own, retried);
        let outer = Layered::new([&locals as &dyn Scope, &self.globals]);
        if compiled.tagged_inputs {
            bound.settle(&outer)?;
        }
        let inputs = bound.inputs;
        let Some(mut value) = compiled.value.clone() else {
            return Ok(Arc::new(Template { inputs, ..own.as_ref().clone() }));
        };
        let mut of_inputs = input_variables(&inputs, own);
        settle_paths(&mut of_inputs, &outer)?;
        let scope = Layered::new([&of_inputs as &dyn Scope, &outer]);
        tags::render_value(&mut value, &scope, &Options::once()).map_err(|e| e.to_string())?;
        let mut template: Template =
            api::from_value(value).map_err(|e| format!("template '{}' after substitution: {e}", own.name))?;
        deferred::restore(&mut template, own);
        template.inputs = inputs;
        Ok(Arc::new(template))
    }

    pub(crate) fn locals(&self, call: &Call, template: &Template, retried: bool) -> BTreeMap<String, String> {
        let mut locals = call.attempt.as_ref().map(|a| a.variables.clone()).unwrap_or_default();
        locals.insert("node.name".to_owned(), call.name.to_string());
        if !retried && matches!(kind_of(template), Kind::Pod) {
            locals.insert("pod.name".to_owned(), self.pod_name(call));
        }
        if !call.step_name.is_empty() {
            locals.insert("steps.name".to_owned(), call.step_name.to_string());
            locals.insert("tasks.name".to_owned(), call.step_name.to_string());
        }
        locals
    }

    fn bind(&self, template: &Template, arguments: &Arguments) -> Result<Bound, String> {
        let (mut parameters, mut own_parameters) = (Vec::new(), Vec::new());
        for input in &template.inputs.parameters {
            let (parameter, is_own) = self.input_parameter(input, arguments)?;
            parameters.push(parameter);
            own_parameters.push(is_own);
        }
        let (mut artifacts, mut own_artifacts) = (Vec::new(), Vec::new());
        for input in &template.inputs.artifacts {
            let (artifact, is_own) = input_artifact(input, arguments)?;
            artifacts.push(artifact);
            own_artifacts.push(is_own);
        }
        Ok(Bound { inputs: Inputs { parameters, artifacts }, own_parameters, own_artifacts })
    }

    /// The input with its value, and whether that is text of the template.
    fn input_parameter(&self, input: &Parameter, arguments: &Arguments) -> Result<(Parameter, bool), String> {
        let mut parameter = input.clone();
        let mut is_own = true;
        if parameter.default.is_some() && parameter.value.is_none() {
            parameter.value.clone_from(&parameter.default);
        }
        if let Some(argument) = arguments.parameters.iter().find(|a| a.name == input.name) {
            match (&argument.value, &argument.value_from) {
                (Some(value), _) => {
                    parameter.value = Some(value.clone());
                    parameter.value_from = None;
                    is_own = false;
                }
                (None, Some(from)) => {
                    parameter.value = None;
                    parameter.value_from = Some(from.clone());
                    is_own = false;
                }
                (None, None) => {}
            }
        }
        if let Some(from) = &parameter.value_from
            && let Some(key) = &from.config_map_key_ref
        {
            let options = Options::lenient();
            let name = tags::render(&key.name, &self.globals, &options).map_err(|e| e.to_string())?;
            let key_text = tags::render(&key.key, &self.globals, &options).map_err(|e| e.to_string())?;
            let read = self.library.config_map_value(self.book.namespace(), &name, &key_text);
            parameter.value = match (read, &from.default) {
                (Ok(value), _) => {
                    is_own = false;
                    Some(value.into())
                }
                (Err(_), Some(default)) => Some(default.clone()),
                (Err(error), None) => {
                    return Err(format!("unable to retrieve inputs.parameters.{} from ConfigMap: {error}", input.name));
                }
            };
            parameter.value_from = None;
        }
        if parameter.value.is_none() && parameter.value_from.as_ref().is_none_or(|from| from.supplied.is_none()) {
            if let Some(default) = parameter.value_from.as_ref().and_then(|from| from.default.clone()) {
                parameter.value = Some(default);
            } else {
                return Err(format!("inputs.parameters.{} was not supplied", input.name));
            }
        }
        Ok((parameter, is_own))
    }
}

impl Bound {
    /// Renders what is the template's own text: defaults and values, which may name other inputs, and artifacts.
    fn settle(&mut self, outer: &dyn Scope) -> Result<(), String> {
        self.settle_parameters(outer)?;
        let of_inputs = input_variables(&self.inputs, &Template::default());
        let scope = Layered::new([&of_inputs as &dyn Scope, outer]);
        let options = Options::once();
        for (artifact, is_own) in self.inputs.artifacts.iter_mut().zip(&self.own_artifacts) {
            if *is_own && mentions_tags(artifact) {
                let mut value = json(artifact);
                tags::render_value(&mut value, &scope, &options).map_err(|e| e.to_string())?;
                *artifact = api::from_value(value).map_err(|e| e.to_string())?;
            } else if tags::has_tags(&artifact.path) {
                artifact.path = tags::render(&artifact.path, &scope, &options).map_err(|e| e.to_string())?.into_owned();
            }
        }
        Ok(())
    }

    /// One input after another, each once those that it names have their values. Inputs that name each other in a circle
    /// keep their tags.
    fn settle_parameters(&mut self, outer: &dyn Scope) -> Result<(), String> {
        let parameters = &mut self.inputs.parameters;
        let tagged = |p: &Parameter| p.value.as_deref().is_some_and(tags::has_tags);
        let mut open: Vec<usize> =
            (0..parameters.len()).filter(|i| self.own_parameters[*i] && tagged(&parameters[*i])).collect();
        let mut known = BTreeMap::new();
        for (index, parameter) in parameters.iter().enumerate().filter(|(index, _)| !open.contains(index)) {
            known.extend(parameter.value.as_ref().map(|value| (variable(&parameters[index].name), value.to_string())));
        }
        while !open.is_empty() {
            let waits_for = |index: &usize| {
                let text = parameters[*index].value.as_deref().unwrap_or_default();
                open.iter().any(|other| mentions(text, &variable(&parameters[*other].name)))
            };
            let ready: Vec<usize> = open.iter().copied().filter(|index| !waits_for(index)).collect();
            if ready.is_empty() {
                known.insert("inputs.parameters".to_owned(), json(parameters).to_string());
            }
            let ready = if ready.is_empty() { std::mem::take(&mut open) } else { ready };
            let scope = Layered::new([&known as &dyn Scope, outer]);
            let mut settled = Vec::new();
            for index in ready {
                let text = parameters[index].value.as_deref().unwrap_or_default();
                let value = tags::render(text, &scope, &Options::once()).map_err(|e| e.to_string())?.into_owned();
                settled.push((index, value));
            }
            open.retain(|index| settled.iter().all(|(done, _)| done != index));
            for (index, value) in settled {
                known.insert(variable(&parameters[index].name), value.clone());
                parameters[index].value = Some(value.into());
            }
        }
        Ok(())
    }
}

fn variable(parameter: &str) -> String {
    format!("inputs.parameters.{parameter}")
}

/// Whether a tag of the text names the variable, a part of it or all inputs.
fn mentions(text: &str, variable: &str) -> bool {
    tags::tags(text).iter().any(|tag| match tag {
        Tag::Simple(name) => name == variable || name == "inputs.parameters",
        Tag::Expression(text) => match expr::identifiers(text) {
            Ok(names) => names.iter().any(|name| name == variable),
            Err(_) => false,
        },
    })
}

/// Renders the paths of outputs, which are text of the template.
fn settle_paths(variables: &mut BTreeMap<String, String>, outer: &dyn Scope) -> Result<(), String> {
    let is_path = |name: &str| name.starts_with("outputs.");
    let tagged: Vec<String> =
        variables.iter().filter(|(name, path)| is_path(name) && tags::has_tags(path)).map(|(n, _)| n.clone()).collect();
    for name in tagged {
        let scope = Layered::new([&*variables as &dyn Scope, outer]);
        let path = tags::render(&variables[&name], &scope, &Options::once()).map_err(|e| e.to_string())?.into_owned();
        variables.insert(name, path);
    }
    Ok(())
}

/// The input as the argument gives it, else as the template itself says; and which of the two.
fn input_artifact(input: &Artifact, arguments: &Arguments) -> Result<(Artifact, bool), String> {
    let argument = arguments.artifacts.iter().find(|a| a.name == input.name);
    let Some(given) = argument.filter(|a| has_location(a)) else {
        return match argument {
            _ if input.optional || has_location(input) => Ok((input.clone(), true)),
            None => Err(format!("inputs.artifacts.{} was not supplied", input.name)),
            Some(_) => Err(format!("inputs.artifacts.{} missing location information", input.name)),
        };
    };
    let mut artifact = given.clone();
    artifact.path.clone_from(&input.path);
    artifact.mode = input.mode;
    artifact.recurse_mode = input.recurse_mode;
    artifact.optional = input.optional;
    if artifact.archive.is_none() {
        artifact.archive.clone_from(&input.archive);
    }
    Ok((artifact, false))
}

/// True when the artifact says where it is.
pub(crate) fn has_location(artifact: &Artifact) -> bool {
    let l = &artifact.location;
    l.s3.as_ref().is_some_and(|s3| !s3.key.is_empty())
        || l.raw.is_some()
        || l.git.as_ref().is_some_and(|git| !git.repo.is_empty())
        || l.http.as_ref().is_some_and(|http| !http.url.is_empty())
        || l.artifactory.is_some()
        || l.hdfs.is_some()
        || l.oss.is_some()
        || l.gcs.is_some()
        || l.azure.is_some()
        || l.plugin.is_some()
}

/// `inputs.*`, and the paths of outputs.
pub(crate) fn input_variables(inputs: &Inputs, template: &Template) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    for parameter in &inputs.parameters {
        if let Some(value) = &parameter.value {
            vars.insert(format!("inputs.parameters.{}", parameter.name), value.to_string());
        }
    }
    vars.insert("inputs.parameters".to_owned(), json(&inputs.parameters).to_string());
    for artifact in inputs.artifacts.iter().filter(|a| !a.path.is_empty()) {
        vars.insert(format!("inputs.artifacts.{}.path", artifact.name), artifact.path.clone());
    }
    for artifact in template.outputs.artifacts.iter().filter(|a| !a.path.is_empty()) {
        vars.insert(format!("outputs.artifacts.{}.path", artifact.name), artifact.path.clone());
    }
    for parameter in &template.outputs.parameters {
        if let Some(from) = parameter.value_from.as_ref().filter(|from| !from.path.is_empty()) {
            vars.insert(format!("outputs.parameters.{}.path", parameter.name), from.path.clone());
        }
    }
    vars
}

/// The variables of the last pass over a pod.
pub(crate) fn pod_variables(template: &Template, pod_name: &str) -> BTreeMap<String, String> {
    let mut vars = input_variables(&template.inputs, template);
    vars.insert("pod.name".to_owned(), pod_name.to_owned());
    vars
}
