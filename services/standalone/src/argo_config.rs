//! Argo's `workflow-controller-configmap`, as far as it is read here.
//! Source: Argo docs/workflow-controller-configmap.yaml, `config/config.go`.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::{self as api, ArtifactRepository, WorkflowSpec};
use argosy_engine::Config;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::Value;

/// The key that holds all others as one YAML document.
const WHOLE: &str = "config";

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ConfigMap cannot be had.
    #[error("read ConfigMap `{name}`")]
    Read { name: String, source: Box<kube::Error> },
    /// A value is no YAML.
    #[error("key `{key}` of the configuration is no YAML")]
    Yaml { key: String, source: Box<serde_saphyr::Error> },
    /// A value is not what it should be.
    #[error("key `{key}` of the configuration")]
    Value { key: String, source: serde_json::Error },
}

/// Reads the ConfigMap in the client's own namespace, and sets what it says.
/// Errors: see [`Error`].
pub async fn read(client: &kube::Client, name: &str, config: &mut Config) -> Result<(), Error> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let failed = |source| Error::Read { name: name.to_owned(), source: Box::new(source) };
    let map = maps.get(name).await.map_err(failed)?;
    let unread = apply(&map.data.unwrap_or_default(), config)?;
    if !unread.is_empty() {
        tracing::warn!(config_map = name, keys = unread.join(", "), "keys of the configuration that are not read");
    }
    Ok(())
}

/// Sets what the ConfigMap says, and gives the keys that nobody reads.
fn apply(data: &BTreeMap<String, String>, config: &mut Config) -> Result<Vec<String>, Error> {
    let mut unread = Vec::new();
    let mut values: Vec<(String, Value)> = Vec::new();
    for (key, text) in data {
        let value = yaml(key, text)?;
        match value {
            Value::Object(members) if key == WHOLE => values.extend(members),
            value => values.push((key.clone(), value)),
        }
    }
    for (key, value) in values {
        let wrong = |source| Error::Value { key: key.clone(), source };
        match key.as_str() {
            "artifactRepository" => {
                let repository: ArtifactRepository = api::from_value(value).map_err(wrong)?;
                config.artifact_repository = Some(repository);
            }
            "workflowDefaults" => {
                let spec: Option<WorkflowSpec> =
                    value.get("spec").cloned().map(api::from_value).transpose().map_err(wrong)?;
                config.workflow_defaults = spec;
            }
            _ => unread.push(key),
        }
    }
    Ok(unread)
}

fn yaml(key: &str, text: &str) -> Result<Value, Error> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let read = serde_saphyr::from_str_with_options(text, options);
    read.map_err(|source| Error::Yaml { key: key.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(data: &[(&str, &str)]) -> (Config, Vec<String>) {
        let mut config = Config::default();
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let unread = apply(&data, &mut config).expect("a configuration");
        (config, unread)
    }

    #[test]
    fn keys_are_read_alone_and_as_one_document() {
        let repository = "s3:\n  bucket: b\n  endpoint: minio:9000\n  insecure: true\n";
        let defaults = "spec:\n  activeDeadlineSeconds: 7\n";
        let alone = [("artifactRepository", repository), ("workflowDefaults", defaults), ("parallelism", "3")];
        let indented = |text: &str| text.replace('\n', "\n  ");
        let whole = format!(
            "artifactRepository:\n  {}\nworkflowDefaults:\n  {}\nparallelism: 3\n",
            indented(repository),
            indented(defaults)
        );
        for (config, unread) in [applied(&alone), applied(&[("config", &whole)])] {
            let s3 = config.artifact_repository.and_then(|repository| repository.s3).expect("a bucket");
            assert_eq!((&s3["bucket"], &s3["insecure"]), (&Value::from("b"), &Value::from(true)));
            assert!(config.workflow_defaults.is_some_and(|spec| spec.active_deadline_seconds.is_some()));
            assert_eq!(unread, ["parallelism"]);
        }
    }
}
