//! The variables `workflow.*`. Source: Argo `setGlobalParameters`, `docs/variables.md`.

use std::collections::BTreeMap;

use argosy_api::labels;
use argosy_api::v1alpha1::{Outputs, Parameter};
use argosy_template::{
    strftime,
    tags::{self, Options},
};

use crate::Workflow;

/// Conversions of a creation time that have a variable of their own.
const CONVERSIONS: [char; 16] = ['B', 'b', 'm', 'A', 'a', 'd', 'H', 'I', 'M', 'S', 'Y', 'y', 'p', 'Z', 'z', 'L'];

/// All variables that are known from the start, and the outputs lifted so far.
///
/// Errors: a parameter whose ConfigMap cannot be read.
pub(crate) fn globals(workflow: &Workflow) -> Result<BTreeMap<String, String>, String> {
    let meta = workflow.book.meta();
    let spec = workflow.plan.spec();
    let mut vars = BTreeMap::new();
    let mut set = |key: &str, value: String| vars.insert(format!("workflow.{key}"), value);
    set("name", meta.name.clone());
    set("namespace", meta.namespace.clone());
    set("uid", meta.uid.clone());
    set("mainEntrypoint", spec.entrypoint.clone());
    let account = if spec.service_account_name.is_empty() { "default" } else { &spec.service_account_name };
    set("serviceAccountName", account.to_owned());
    if let Some(priority) = spec.priority {
        set("priority", priority.to_string());
    }
    if let Some(created) = meta.creation_timestamp {
        set("creationTimestamp", created.to_string());
        set("creationTimestamp.RFC3339", created.to_string());
        set("creationTimestamp.s", created.0.as_second().to_string());
        let zoned = created.0.to_zoned(jiff::tz::TimeZone::UTC);
        for conversion in CONVERSIONS {
            set(&format!("creationTimestamp.{conversion}"), strftime::format(&format!("%{conversion}"), &zoned));
        }
    }
    if let Some(scheduled) = meta.annotations.get(labels::SCHEDULED_TIME) {
        set("scheduledTime", scheduled.clone());
    }
    let parameters = settle(parameters(workflow)?, &vars)?;
    let mut set = |key: &str, value: String| vars.insert(format!("workflow.{key}"), value);
    for (name, value) in &parameters {
        set(&format!("parameters.{name}"), value.clone());
    }
    let json = parameters_json(&parameters);
    set("parameters", json.clone());
    set("parameters.json", json);
    for (kind, map) in [("labels", &meta.labels), ("annotations", &meta.annotations)] {
        let text = crate::json::json(map).to_string();
        set(kind, text.clone());
        set(&format!("{kind}.json"), text);
        for (key, value) in map {
            set(&format!("{kind}.{key}"), value.clone());
        }
    }
    if let Some(outputs) = &workflow.book.status().outputs {
        vars.extend(output_variables(outputs));
    }
    Ok(vars)
}

fn parameters(workflow: &Workflow) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for parameter in &workflow.plan.spec().arguments.parameters {
        let reference = parameter.value_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref());
        let value = match (&parameter.value, reference) {
            (Some(value), _) => value.to_string(),
            (None, Some(key)) => {
                let namespace = workflow.book.namespace();
                let read = workflow.library.config_map_value(namespace, &key.name, &key.key);
                let default = parameter.value_from.as_ref().and_then(|from| from.default.as_ref());
                match (read, default) {
                    (Ok(value), _) => value,
                    (Err(_), Some(default)) => default.to_string(),
                    (Err(error), None) => {
                        return Err(format!(
                            "failed to set global parameter {} from configmap with name {} and key {}: {error}",
                            parameter.name, key.name, key.key
                        ));
                    }
                }
            }
            (None, None) => match &parameter.default {
                Some(default) => default.to_string(),
                None => continue,
            },
        };
        found.push((parameter.name.clone(), value));
    }
    Ok(found)
}

/// The values of parameters with the workflow's variables in them put in, also those of other parameters. Only variables:
/// an expression in a value stays as it is, as values may come from people who may not choose what is evaluated. Values
/// that name each other in a circle stay too.
fn settle(
    mut parameters: Vec<(String, String)>,
    vars: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let mut open: Vec<usize> = (0..parameters.len()).filter(|i| tags::has_tags(&parameters[*i].1)).collect();
    if open.is_empty() {
        return Ok(parameters);
    }
    let key = |name: &str| format!("workflow.parameters.{name}");
    let mut known = vars.clone();
    for (index, (name, value)) in parameters.iter().enumerate() {
        if !open.contains(&index) {
            known.insert(key(name), value.clone());
        }
    }
    let options = Options { keep_expressions: true, ..Options::once() };
    while !open.is_empty() {
        let waits_for = |index: &usize| {
            let tags = tags::tags(&parameters[*index].1);
            open.iter().any(|other| tags.contains(&tags::Tag::Simple(key(&parameters[*other].0))))
        };
        let ready: Vec<usize> = open.iter().copied().filter(|index| !waits_for(index)).collect();
        let ready = if ready.is_empty() { std::mem::take(&mut open) } else { ready };
        let mut settled = Vec::new();
        for index in ready {
            let value = tags::render(&parameters[index].1, &known, &options).map_err(|e| e.to_string())?.into_owned();
            settled.push((index, value));
        }
        open.retain(|index| settled.iter().all(|(done, _)| done != index));
        for (index, value) in settled {
            known.insert(key(&parameters[index].0), value.clone());
            parameters[index].1 = value;
        }
    }
    Ok(parameters)
}

fn parameters_json(parameters: &[(String, String)]) -> String {
    let list: Vec<Parameter> = parameters
        .iter()
        .map(|(name, value)| Parameter { name: name.clone(), value: Some(value.as_str().into()), ..Default::default() })
        .collect();
    crate::json::json(&list).to_string()
}

/// `workflow.outputs.*` for the outputs of the workflow.
pub(crate) fn output_variables(outputs: &Outputs) -> Vec<(String, String)> {
    let parameters = outputs
        .parameters
        .iter()
        .filter_map(|p| Some((format!("workflow.outputs.parameters.{}", p.name), p.value.as_ref()?.to_string())));
    parameters.collect()
}
