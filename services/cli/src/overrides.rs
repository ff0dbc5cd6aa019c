//! What flags set on a workflow before it is created.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::{self as v1, Workflow};
use argosy_engine::ops::submit::{self, SubmitOptions};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    diagnostic::Diagnostic,
    failure::{self, Failure},
    load,
};

/// Flags of `run`, `submit` and `resubmit`.
#[derive(Args, Clone, Debug, Default)]
pub struct Overrides {
    /// Set a parameter (repeatable)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub parameter: Vec<String>,
    /// Set parameters from a YAML or JSON file of names and values; `-p` wins over it
    #[arg(short = 'f', long, value_name = "FILE")]
    pub parameter_file: Option<String>,
    /// Start with this template instead of spec.entrypoint
    #[arg(long, value_name = "TEMPLATE")]
    pub entrypoint: Option<String>,
    /// Name of the workflow instead of metadata.name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Start of a generated name instead of metadata.generateName
    #[arg(long, value_name = "PREFIX")]
    pub generate_name: Option<String>,
    /// Labels to add: NAME=VALUE,NAME=VALUE
    #[arg(short, long, value_name = "LABELS")]
    pub labels: Option<String>,
    /// ServiceAccount of all its pods
    #[arg(long = "serviceaccount", value_name = "NAME")]
    pub service_account: Option<String>,
    /// Priority among waiting workflows
    #[arg(long, value_name = "N")]
    pub priority: Option<i32>,
}

impl Overrides {
    /// The flags as the engine takes them. Errors: a parameter file that cannot be read; a flag that is no pair.
    pub fn options(&self) -> Result<SubmitOptions, Failure> {
        let pair = |text: &str| text.split_once('=').is_some_and(|(name, _)| !name.is_empty());
        if let Some(wrong) = self.parameter.iter().find(|text| !pair(text)) {
            return Err(Failure::Usage(format!("--parameter {wrong}: expected NAME=VALUE")));
        }
        let labels = self.labels.iter().flat_map(|labels| labels.split(','));
        if let Some(wrong) = labels.into_iter().find(|text| !pair(text)) {
            return Err(Failure::Usage(format!("--labels {wrong}: expected NAME=VALUE,NAME=VALUE")));
        }
        let mut parameters = match &self.parameter_file {
            Some(path) => parameter_file(path)?,
            None => Vec::new(),
        };
        // What `-p` names is not taken from the file.
        let named = |text: &str| text.split_once('=').map_or(text.to_owned(), |(name, _)| name.to_owned());
        parameters.retain(|of_file| !self.parameter.iter().any(|given| named(given) == named(of_file)));
        parameters.extend(self.parameter.iter().cloned());
        Ok(SubmitOptions {
            name: self.name.clone().unwrap_or_default(),
            generate_name: self.generate_name.clone().unwrap_or_default(),
            entry_point: self.entrypoint.clone().unwrap_or_default(),
            parameters,
            service_account: self.service_account.clone().unwrap_or_default(),
            labels: self.labels.clone().unwrap_or_default(),
            priority: self.priority,
            ..SubmitOptions::default()
        })
    }
}

/// `NAME=VALUE` pairs of a parameter file (YAML or JSON mapping), as `-p` takes them.
fn parameter_file(path: &str) -> Result<Vec<String>, Failure> {
    let (documents, mut problems) = load::file(path);
    let mut pairs = BTreeMap::new();
    for document in &documents {
        let Value::Object(members) = &document.value else {
            problems.push(Diagnostic {
                span: Some(document.place.value.clone()),
                help: Some("write a line `name: value` for each parameter".to_owned()),
                ..Diagnostic::of_source(&document.source, "expected a mapping of names and values")
            });
            continue;
        };
        for (name, value) in members {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            pairs.insert(name.clone(), text);
        }
    }
    failure::settle(problems)?;
    Ok(pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Sets `options` on the object as written, leaving all other fields as they are. Errors: Argo's text.
pub fn apply(value: &mut Value, options: &SubmitOptions) -> Result<(), String> {
    if *options == SubmitOptions::default() {
        return Ok(());
    }
    let mut workflow: Workflow = v1::from_value(value.clone()).map_err(|error| error.to_string())?;
    submit::apply(&mut workflow, options).map_err(|error| error.to_string())?;
    let Value::Object(members) = value else {
        return Err("a workflow is a mapping".to_owned());
    };
    let metadata = member(members, "metadata");
    if !options.name.is_empty() {
        metadata.insert("name".into(), json!(workflow.metadata.name));
    }
    if !options.generate_name.is_empty() {
        metadata.insert("generateName".into(), json!(workflow.metadata.generate_name));
        if options.name.is_empty() {
            metadata.remove("name");
        }
    }
    if !options.labels.is_empty() {
        metadata.insert("labels".into(), json!(workflow.metadata.labels));
    }
    if !options.annotations.is_empty() || !options.scheduled_time.is_empty() {
        metadata.insert("annotations".into(), json!(workflow.metadata.annotations));
    }
    let spec = member(members, "spec");
    if !options.entry_point.is_empty() {
        spec.insert("entrypoint".into(), json!(workflow.spec.entrypoint));
    }
    if !options.service_account.is_empty() {
        spec.insert("serviceAccountName".into(), json!(workflow.spec.service_account_name));
    }
    if options.priority.is_some() {
        spec.insert("priority".into(), json!(workflow.spec.priority));
    }
    if !options.parameters.is_empty() {
        let parameters =
            serde_json::to_value(&workflow.spec.arguments.parameters).map_err(|error| error.to_string())?;
        member(spec, "arguments").insert("parameters".into(), parameters);
    }
    Ok(())
}

/// Says of mistakes that come of flags which flag it is, and not where the file has what the flag changes.
pub fn blame(problems: &mut [Diagnostic], options: &SubmitOptions) {
    let texts = [
        ("--entrypoint", &options.entry_point),
        ("--name", &options.name),
        ("--generate-name", &options.generate_name),
        ("--serviceaccount", &options.service_account),
        ("--labels", &options.labels),
    ];
    let mut flags: Vec<(String, String)> = texts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(flag, value)| ((*value).clone(), format!("{flag} {value}")))
        .collect();
    flags.extend(options.parameters.iter().map(|pair| {
        let name = pair.split_once('=').map_or(pair.as_str(), |(name, _)| name);
        (name.to_owned(), format!("-p {name}"))
    }));
    for problem in problems.iter_mut().filter(|problem| problem.of_flags) {
        let words = format!("{} {}", problem.path, problem.message);
        // The one that the mistake speaks of; any may be it where it speaks of none.
        let mut named = flags.iter().filter(|(value, _)| words.contains(value.as_str())).map(|(_, flag)| flag.as_str());
        let all = || flags.iter().map(|(_, flag)| flag.as_str()).collect::<Vec<_>>().join(" ");
        problem.file = named.next().map_or_else(all, str::to_owned);
        problem.path = String::new();
        (problem.source, problem.span) = (None, None);
    }
}

/// The mapping at `key`, made where there is none.
fn member<'a>(members: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = members.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("made a mapping just above")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_flags_name_changes() {
        let mut value = json!({"metadata": {"generateName": "a-", "labels": {"x": "1"}}, "spec": {"arguments": {"parameters": [{"name": "p", "value": 1}]}, "other": 7}});
        let overrides = Overrides {
            parameter: vec!["p=2".into(), "q=a=b".into()],
            labels: Some("y=2".into()),
            entrypoint: Some("main".into()),
            ..Overrides::default()
        };
        apply(&mut value, &overrides.options().expect("no file is named")).expect("all flags are well-formed");
        let expected = json!({"metadata": {"generateName": "a-", "labels": {"x": "1", "y": "2"}}, "spec": {"entrypoint": "main", "arguments": {"parameters": [{"name": "p", "value": "2"}, {"name": "q", "value": "a=b"}]}, "other": 7}});
        assert_eq!(value, expected);
        let wrong = Overrides { parameter: vec!["p".into()], ..Overrides::default() };
        let error = wrong.options().expect_err("no value");
        assert!(error.to_string().contains("NAME=VALUE"), "{error}");
    }
}
