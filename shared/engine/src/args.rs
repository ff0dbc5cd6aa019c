//! Putting arguments into a template. Source: Argo `common.ProcessArgs`, `SubstituteParams`.

use std::{collections::BTreeMap, sync::Arc};

use argosy_api::v1alpha1::{self as api, Arguments, Artifact, Inputs, Parameter, Template};
use argosy_template::tags::{self, Layered, Options, Scope};

use crate::{Workflow, call::Call, library::Compiled, publish::json, tagged::mentions_tags};

impl Workflow {
    /// The template of a call with globals, locals and inputs put in. What cannot be known yet (outputs of steps,
    /// items of loops) stays as a tag.
    ///
    /// Errors: an input that was not supplied, or cannot be read.
    pub(crate) fn instantiate(&self, call: &Call, compiled: &Compiled, retried: bool) -> Result<Arc<Template>, String> {
        let inputs = self.inputs(&compiled.template, &call.step.arguments)?;
        if compiled.value.is_none() && !have_tags(&inputs) {
            let same = inputs == compiled.template.inputs;
            let own = || Arc::new(Template { inputs, ..compiled.template.as_ref().clone() });
            return Ok(if same { compiled.template.clone() } else { own() });
        }
        let mut value = compiled.value.clone().unwrap_or_else(|| json(&compiled.template));
        value["inputs"] = json(&inputs);
        let locals = self.locals(call, &compiled.template, retried);
        let options = Options::lenient();
        let first = Layered::new([&locals as &dyn Scope, &self.globals]);
        tags::render_value(&mut value, &first, &options).map_err(|e| e.to_string())?;
        let inputs: Inputs = api::from_value(value["inputs"].clone()).map_err(|e| e.to_string())?;
        let of_inputs = input_variables(&inputs, &compiled.template);
        let second = Layered::new([&of_inputs as &dyn Scope, &locals, &self.globals]);
        tags::render_value(&mut value, &second, &options).map_err(|e| e.to_string())?;
        let mut template: Template = api::from_value(value)
            .map_err(|e| format!("template '{}' after substitution: {e}", compiled.template.name))?;
        template.inputs = inputs;
        Ok(Arc::new(template))
    }

    pub(crate) fn locals(&self, call: &Call, template: &Template, retried: bool) -> BTreeMap<String, String> {
        let mut locals = call.attempt.as_ref().map(|a| a.variables.clone()).unwrap_or_default();
        locals.insert("node.name".to_owned(), call.name.to_string());
        if !retried && matches!(crate::call::kind_of(template), crate::call::Kind::Pod) {
            locals.insert("pod.name".to_owned(), self.pod_name(call));
        }
        if !call.step_name.is_empty() {
            locals.insert("steps.name".to_owned(), call.step_name.to_string());
            locals.insert("tasks.name".to_owned(), call.step_name.to_string());
        }
        locals
    }

    fn inputs(&self, template: &Template, arguments: &Arguments) -> Result<Inputs, String> {
        let parameters =
            template.inputs.parameters.iter().map(|p| self.input_parameter(p, arguments)).collect::<Result<_, _>>()?;
        let artifacts =
            template.inputs.artifacts.iter().map(|a| input_artifact(a, arguments)).collect::<Result<_, _>>()?;
        Ok(Inputs { parameters, artifacts })
    }

    fn input_parameter(&self, input: &Parameter, arguments: &Arguments) -> Result<Parameter, String> {
        let mut parameter = input.clone();
        if parameter.default.is_some() && parameter.value.is_none() {
            parameter.value.clone_from(&parameter.default);
        }
        if let Some(argument) = arguments.parameters.iter().find(|a| a.name == input.name) {
            match (&argument.value, &argument.value_from) {
                (Some(value), _) => {
                    parameter.value = Some(value.clone());
                    parameter.value_from = None;
                }
                (None, Some(from)) => {
                    parameter.value = None;
                    parameter.value_from = Some(from.clone());
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
            let read = self.library.config_map_value(&self.object.metadata.namespace, &name, &key_text);
            parameter.value = match (read, &from.default) {
                (Ok(value), _) => Some(value.into()),
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
        Ok(parameter)
    }
}

fn input_artifact(input: &Artifact, arguments: &Arguments) -> Result<Artifact, String> {
    if has_location(input) {
        return Ok(input.clone());
    }
    let argument = arguments.artifacts.iter().find(|a| a.name == input.name);
    if !input.optional {
        match argument {
            None => return Err(format!("inputs.artifacts.{} was not supplied", input.name)),
            Some(argument) if !has_location(argument) => {
                return Err(format!("inputs.artifacts.{} missing location information", input.name));
            }
            Some(_) => {}
        }
    }
    let Some(argument) = argument.filter(|a| has_location(a)) else { return Ok(input.clone()) };
    let mut artifact = argument.clone();
    artifact.path.clone_from(&input.path);
    artifact.mode = input.mode;
    artifact.recurse_mode = input.recurse_mode;
    artifact.optional = input.optional;
    if artifact.archive.is_none() {
        artifact.archive.clone_from(&input.archive);
    }
    Ok(artifact)
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

/// Descriptions and the like are not looked at.
fn have_tags(inputs: &Inputs) -> bool {
    inputs.parameters.iter().any(|p| p.value.as_deref().is_some_and(tags::has_tags))
        || inputs.artifacts.iter().any(mentions_tags)
}
