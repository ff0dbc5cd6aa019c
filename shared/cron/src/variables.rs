//! What `when` and `stopStrategy` may name.
//!
//! Source: Argo docs/variables.md, "CronWorkflows". Differs: `cronworkflow.annotations` are the annotations.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::CronWorkflow;
use argosy_template::expr;
use serde_json::{Map, Value, json};

/// By their flat names.
pub(crate) fn flat(cron: &CronWorkflow) -> Map<String, Value> {
    let mut all = Map::new();
    let mut set = |name: &str, value: Value| _ = all.insert(format!("cronworkflow.{name}"), value);
    set("name", json!(cron.metadata.name));
    set("namespace", json!(cron.metadata.namespace));
    set("failed", json!(cron.status.failed));
    set("succeeded", json!(cron.status.succeeded));
    set("lastScheduledTime", cron.status.last_scheduled_time.map_or(Value::Null, |time| expr::time_json(time.0)));
    for (kind, texts) in [("labels", &cron.metadata.labels), ("annotations", &cron.metadata.annotations)] {
        let whole = as_json(texts);
        set(kind, json!(whole));
        set(&format!("{kind}.json"), json!(whole));
        for (key, text) in texts {
            set(&format!("{kind}.{key}"), json!(text));
        }
    }
    all
}

/// Nested, for a whole expression.
pub(crate) fn nested(cron: &CronWorkflow) -> Value {
    let flat = flat(cron);
    expr::expand(flat.iter().map(|(name, value)| (name.as_str(), value.clone())))
}

fn as_json(texts: &BTreeMap<String, String>) -> String {
    serde_json::to_string(texts).unwrap_or_default()
}
