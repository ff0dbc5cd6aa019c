//! Argo's `workflow-controller-configmap`: what of it is obeyed here, and by whom.
//! Source: Argo docs/workflow-controller-configmap.yaml, `config/config.go`.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::{self as api, ArtifactRepository, WorkflowSpec};
use argosy_engine::{Config, TemplateReferencing};
use argosy_gc::Retention;
use argosy_pod_runner::{CreateLimit, ImageCommand};
use argosy_template::duration;
use serde::Deserialize;
use serde_json::Value;

/// The key that holds all others as one YAML document.
const WHOLE: &str = "config";
/// Keys of Argo that are known and not obeyed: told apart from those that nobody knows.
const NOT_OBEYED: [&str; 21] = [
    "columns",
    "initialDelay",
    "kubeConfig",
    "links",
    "metricsConfig",
    "namespace",
    "namespaceParallelism",
    "navColor",
    "parallelism",
    "persistence",
    "semaphoreNotifyDelay",
    "sso",
    "synchronization",
    "telemetryConfig",
    "executorPlugins",
    "artifactDrivers",
    "failedPodRestart",
    "workflowEventsDelay",
    "containerRuntimeExecutor",
    "containerRuntimeExecutors",
    "featureFlags",
];

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
    /// A duration is none.
    #[error("key `{key}` of the configuration: `{text}` is no duration")]
    Duration { key: String, text: String },
}

/// What the ConfigMap says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    artifact_repository: Option<ArtifactRepository>,
    workflow_defaults: Option<WorkflowSpec>,
    executor: Option<Value>,
    main_container: Option<Value>,
    pub instance_id: String,
    pod_gc_delay_ms: Option<u64>,
    pub pod_gc_grace_secs: Option<u32>,
    pub pod_spec_log: PodSpecLog,
    pub retention: Option<Retention>,
    restrictions: Option<TemplateReferencing>,
    pub images: BTreeMap<String, ImageCommand>,
    pub records_nodes: Option<bool>,
    pub records_workflows: Option<bool>,
    pub sends_as_pod: bool,
    pub create_limit: Option<CreateLimit>,
    /// Keys that are not obeyed, and why.
    pub unread: Vec<(String, &'static str)>,
}

/// Argo's `podSpecLogStrategy`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpecLog {
    pub failed_pod: bool,
    pub all_pods: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RetentionPolicy {
    completed: usize,
    failed: usize,
    errored: usize,
}

#[derive(Debug, Deserialize)]
struct RateLimit {
    limit: f64,
    #[serde(default)]
    burst: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Restrictions {
    template_referencing: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Events {
    enabled: Option<bool>,
    send_as_pod: bool,
}

impl Settings {
    /// Reads the data of the ConfigMap.
    /// Errors: a value that cannot be read.
    pub fn read(data: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut values: Vec<(String, Value)> = Vec::new();
        for (key, text) in data {
            match yaml(key, text)? {
                Value::Object(members) if key == WHOLE => values.extend(members),
                value => values.push((key.clone(), value)),
            }
        }
        let mut settings = Self::default();
        for (key, value) in values {
            settings.set(&key, value)?;
        }
        Ok(settings)
    }

    fn set(&mut self, key: &str, value: Value) -> Result<(), Error> {
        let wrong = |source| Error::Value { key: key.to_owned(), source };
        match key {
            "artifactRepository" => {
                let repository: ArtifactRepository = api::from_value(value).map_err(wrong)?;
                self.artifact_repository = Some(repository);
            }
            "workflowDefaults" => {
                let spec = value.get("spec").cloned().map(api::from_value).transpose();
                self.workflow_defaults = spec.map_err(wrong)?;
            }
            "executor" => {
                if value.get("image").is_some() {
                    self.not_obeyed("executor.image", "the executor is Argosy's own: --executor-image names it");
                }
                self.executor = Some(value).filter(Value::is_object);
            }
            "mainContainer" => self.main_container = Some(value).filter(Value::is_object),
            "instanceID" => self.instance_id = value.as_str().unwrap_or_default().to_owned(),
            "podGCDeleteDelayDuration" => self.pod_gc_delay_ms = Some(millis(key, &value)?),
            "podGCGracePeriodSeconds" => self.pod_gc_grace_secs = serde_json::from_value(value).map_err(wrong)?,
            "podSpecLogStrategy" => self.pod_spec_log = serde_json::from_value(value).map_err(wrong)?,
            "retentionPolicy" => {
                let RetentionPolicy { completed, failed, errored } = serde_json::from_value(value).map_err(wrong)?;
                self.retention = Some(Retention { completed, failed, errored });
            }
            "resourceRateLimit" => {
                let RateLimit { limit, burst } = serde_json::from_value(value).map_err(wrong)?;
                if limit > 0.0 {
                    self.create_limit = Some(CreateLimit { per_sec: limit, burst });
                } else {
                    self.not_obeyed(key, "a limit of 0 would create nothing");
                }
            }
            "workflowRestrictions" => {
                let Restrictions { template_referencing } = serde_json::from_value(value).map_err(wrong)?;
                self.restrictions = match template_referencing.as_deref() {
                    Some("Strict") => Some(TemplateReferencing::Strict),
                    Some("Secure") => Some(TemplateReferencing::Secure),
                    None | Some(_) => None,
                };
            }
            "images" => self.images = serde_json::from_value(value).map_err(wrong)?,
            "nodeEvents" => {
                let events: Events = serde_json::from_value(value).map_err(wrong)?;
                self.sends_as_pod = events.send_as_pod;
                self.records_nodes = events.enabled;
            }
            "workflowEvents" => {
                let events: Events = serde_json::from_value(value).map_err(wrong)?;
                self.records_workflows = events.enabled;
            }
            _ if NOT_OBEYED.contains(&key) => self.not_obeyed(key, "not obeyed yet"),
            _ => self.not_obeyed(key, "unknown"),
        }
        Ok(())
    }

    fn not_obeyed(&mut self, key: &str, why: &'static str) {
        self.unread.push((key.to_owned(), why));
    }

    /// Sets what the engine goes by. What a flag has set stays.
    pub fn apply(&self, config: &mut Config) {
        config.artifact_repository = self.artifact_repository.clone().or(config.artifact_repository.take());
        config.workflow_defaults = self.workflow_defaults.clone().or(config.workflow_defaults.take());
        config.executor = self.executor.clone().or(config.executor.take());
        config.main_container = self.main_container.clone().or(config.main_container.take());
        config.instance_id.clone_from(&self.instance_id);
        config.pod_gc_delay_ms = self.pod_gc_delay_ms.unwrap_or(config.pod_gc_delay_ms);
        config.restrictions = config.restrictions.or(self.restrictions);
    }
}

/// Seconds as a number, or a duration as text.
fn millis(key: &str, value: &Value) -> Result<u64, Error> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let nanos = duration::parse(&text).ok().and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(|nanos| nanos / 1_000_000).ok_or_else(|| Error::Duration { key: key.to_owned(), text })
}

fn yaml(key: &str, text: &str) -> Result<Value, Error> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let read = serde_saphyr::from_str_with_options(text, options);
    read.map_err(|source| Error::Yaml { key: key.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(data: &[(&str, &str)]) -> Settings {
        let data = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        Settings::read(&data).expect("a configuration")
    }

    fn engine(settings: &Settings) -> Config {
        let mut config = Config::default();
        settings.apply(&mut config);
        config
    }

    #[test]
    fn keys_are_read_alone_and_as_one_document() {
        let repository = "s3:\n  bucket: b\n  endpoint: minio:9000\n  insecure: true\n";
        let defaults = "spec:\n  activeDeadlineSeconds: 7\n";
        let alone =
            [("artifactRepository", repository), ("workflowDefaults", defaults), ("parallelism", "3"), ("x", "")];
        let indented = |text: &str| text.replace('\n', "\n  ");
        let whole = format!(
            "artifactRepository:\n  {}\nworkflowDefaults:\n  {}\nparallelism: 3\nx: \n",
            indented(repository),
            indented(defaults)
        );
        for settings in [settings(&alone), settings(&[("config", &whole)])] {
            let config = engine(&settings);
            let s3 = config.artifact_repository.and_then(|repository| repository.s3).expect("a bucket");
            assert_eq!((&s3["bucket"], &s3["insecure"]), (&Value::from("b"), &Value::from(true)));
            assert!(config.workflow_defaults.is_some_and(|spec| spec.active_deadline_seconds.is_some()));
            let unread: Vec<_> = settings.unread.iter().map(|(key, why)| (key.as_str(), *why)).collect();
            assert_eq!(unread, [("parallelism", "not obeyed yet"), ("x", "unknown")]);
        }
    }

    #[test]
    fn delays_are_seconds_or_durations() {
        assert_eq!(millis("k", &Value::from(5)).ok(), Some(5_000));
        assert_eq!(millis("k", &Value::from("1m")).ok(), Some(60_000));
        assert!(millis("k", &Value::from("soon")).is_err());
    }

    #[test]
    fn a_flag_goes_before_the_configuration() {
        let settings = settings(&[("workflowRestrictions", "templateReferencing: Strict")]);
        let mut config = Config { restrictions: Some(TemplateReferencing::Secure), ..Config::default() };
        settings.apply(&mut config);
        assert_eq!(config.restrictions, Some(TemplateReferencing::Secure));
    }
}
