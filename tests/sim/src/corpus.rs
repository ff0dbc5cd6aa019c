//! Ten little workflows, one for each thing that a crash could disturb.

use anyhow::{Context, Result};
use serde_json::{Value, json};

const FILES: [(&str, &str); 10] = [
    ("container", include_str!("../corpus/container.yaml")),
    ("steps", include_str!("../corpus/steps.yaml")),
    ("dag", include_str!("../corpus/dag.yaml")),
    ("retry", include_str!("../corpus/retry.yaml")),
    ("exit-handler", include_str!("../corpus/exit-handler.yaml")),
    ("loop", include_str!("../corpus/loop.yaml")),
    ("when", include_str!("../corpus/when.yaml")),
    ("suspend", include_str!("../corpus/suspend.yaml")),
    ("failing", include_str!("../corpus/failing.yaml")),
    ("nested", include_str!("../corpus/nested.yaml")),
];

/// Ends only when it is terminated.
pub const ENDLESS: &str = "endless";
/// Ends only when it is resumed.
pub const WAITING: &str = "waiting";

/// Those that need a hand from outside.
const HELPLESS: [(&str, &str); 2] =
    [(ENDLESS, include_str!("../corpus/endless.yaml")), (WAITING, include_str!("../corpus/waiting.yaml"))];

/// Names of the workflows that end by themselves.
pub fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).collect()
}

/// The workflow of that name, in namespace `argo`.
///
/// Errors: there is none, or its file is not YAML.
pub fn workflow(name: &str) -> Result<Value> {
    let (_, text) = FILES
        .iter()
        .chain(&HELPLESS)
        .find(|(n, _)| *n == name)
        .with_context(|| format!("there is no workflow `{name}`"))?;
    let spec: Value = serde_saphyr::from_str(text).with_context(|| format!("read {name}.yaml"))?;
    Ok(json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": "argo"},
        "spec": spec,
    }))
}
