//! Output parameters of a resource: parts of the object.

use argosy_api::v1alpha1::ValueFrom;
use serde_json::Value;

use super::action::Target;
use super::error::Error;
use super::filter::{self, Language};
use super::job::Job;
use super::jsonpath;

/// Leaves the value of each output parameter in the volume. Without an object there are only defaults.
/// Errors: `JsonPath`, `Jq`, `JqRun`, `Refused`; those of the file system.
pub(super) async fn keep(job: &Job<'_>, target: Option<&Target>) -> Result<(), crate::Error> {
    let parameters = &job.template.outputs.parameters;
    let wanted = parameters.iter().filter_map(|parameter| Some((parameter, parameter.value_from.as_ref()?)));
    let wanted: Vec<_> = wanted.filter(|(_, from)| !from.json_path.is_empty() || !from.jq_filter.is_empty()).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let object = match target {
        Some(target) => {
            let object = target.api(job).get(&target.name).await.map_err(Error::refused(""))?;
            Some(serde_json::to_value(&object).map_err(|source| Error::Encode { source })?)
        }
        None => None,
    };
    for (parameter, from) in wanted {
        let found = match &object {
            Some(object) => value(job, object, from).await,
            None => Ok(String::new()),
        };
        let default = || from.default.as_ref().map(ToString::to_string).unwrap_or_default();
        let value = match found {
            // What is not in the object is an empty text, also where there is a default; so in Argo.
            Ok(value) if object.is_some() => value,
            Ok(_) => default(),
            Err(_) if from.default.is_some() => default(),
            Err(error) => return Err(error.into()),
        };
        let path = job.layout.resource_parameter(&parameter.name);
        job.layout.write(&path, value.as_bytes())?;
    }
    Ok(())
}

async fn value(job: &Job<'_>, object: &Value, from: &ValueFrom) -> Result<String, Error> {
    let apart = |language, code| filter::apply(job.executable, language, code, object, job.limits);
    match from.json_path.as_str() {
        "" => apart(Language::Jq, from.jq_filter.as_str()).await,
        path if jsonpath::is_simple(path) => {
            let rendered = jsonpath::render(path, object, job.limits.outputs_bytes_max);
            rendered.map_err(|what| Error::JsonPath { text: path.to_owned(), what })
        }
        path => apart(Language::JsonPath, path).await,
    }
}
