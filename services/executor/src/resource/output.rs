//! Output parameters of a resource: parts of the object.

use argosy_api::v1alpha1::ValueFrom;
use serde_json::Value;

use super::action::Target;
use super::{Error, Job, jsonpath};

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
        let value = match object.as_ref().map(|object| value(object, from)).transpose() {
            Ok(value) => value.unwrap_or_default(),
            Err(_) if from.default.is_some() => String::new(),
            Err(error) => return Err(error.into()),
        };
        let default = from.default.as_ref().filter(|_| value.is_empty()).map(ToString::to_string);
        let path = job.layout.resource_parameter(&parameter.name);
        job.layout.write(&path, default.unwrap_or(value).as_bytes())?;
    }
    Ok(())
}

fn value(object: &Value, from: &ValueFrom) -> Result<String, Error> {
    match from.json_path.as_str() {
        "" => jq(object, &from.jq_filter),
        path => jsonpath::render(path, object),
    }
}

/// A jq filter that is a path: `.a.b[0]["c"][]`. Texts without quotes, anything else as JSON, one result per line.
fn jq(object: &Value, filter: &str) -> Result<String, Error> {
    let unsupported = || Error::Jq { filter: filter.to_owned() };
    let steps = jsonpath::jq_steps(filter.trim()).ok_or_else(unsupported)?;
    let mut now = vec![object];
    for step in &steps {
        let mut next = Vec::new();
        for value in now {
            let failed = |what: String| Error::JqRun { filter: filter.to_owned(), what };
            match (step, value) {
                (jsonpath::Jq::Each, Value::Array(list)) => next.extend(list),
                (jsonpath::Jq::Each, Value::Object(map)) => next.extend(map.values()),
                (jsonpath::Jq::Key(key), Value::Object(map)) => next.push(map.get(key).unwrap_or(&Value::Null)),
                (jsonpath::Jq::Index(at), Value::Array(list)) => {
                    let at = if *at < 0 { list.len() as i64 + at } else { *at };
                    next.push(usize::try_from(at).ok().and_then(|at| list.get(at)).unwrap_or(&Value::Null));
                }
                (jsonpath::Jq::Key(_) | jsonpath::Jq::Index(_), Value::Null) => next.push(value),
                (jsonpath::Jq::Each, _) => return Err(failed(format!("cannot iterate over: {value}"))),
                (jsonpath::Jq::Key(key), _) => return Err(failed(format!("expected an object for {key:?}: {value}"))),
                (jsonpath::Jq::Index(at), _) => return Err(failed(format!("expected a list for [{at}]: {value}"))),
            }
        }
        now = next;
    }
    Ok(now.into_iter().map(jsonpath::text).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::jq;

    #[test]
    fn paths_are_jq_filters() {
        let object = json!({"a": {"b": [{"c": "x"}, {"c": 2}], "d-e": null}});
        let run = |filter| jq(&object, filter).map_err(|error| error.to_string());
        assert_eq!(run(".a.b[0].c"), Ok("x".into()));
        assert_eq!(run(".a.b[].c"), Ok("x\n2".into()));
        assert_eq!(run(".a[\"b\"][-1]"), Ok("{\"c\":2}".into()));
        assert_eq!(run(".a.\"d-e\".f"), Ok("null".into()));
        assert!(run(".a | keys").is_err_and(|text| text.contains("not supported")));
        assert!(run(".a.b.c").is_err_and(|text| text.contains("expected an object")));
    }
}
