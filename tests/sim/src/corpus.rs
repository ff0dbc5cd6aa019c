//! Little workflows, one for each thing that a crash could disturb, and the objects that they look up.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result};
use argosy_api::message::{LookupKey, LookupKind};
use serde_json::{Value, json};

macro_rules! files {
    ($($name:literal)*) => { [$(($name, include_str!(concat!("../corpus/", $name, ".yaml")))),*] };
}

/// Those of the world that seeds have stood for from the beginning; their order is part of what a seed means.
const FIRST: [(&str, &str); 10] =
    files!["container" "steps" "dag" "retry" "exit-handler" "loop" "when" "suspend" "failing" "nested"];

/// Those that the grown world has besides.
const GROWN: [(&str, &str); 46] = files![
    "account" "config-map" "container-set" "container-set-retried" "continue-on" "daemon" "daemon-dag" "dag-when" "deadline"
    "deadline-exit" "depends-many" "exit-failing" "exit-steps" "fail-fast" "fail-fast-parallel" "hook-running" "hooks"
    "loop-aggregate" "loop-empty" "loop-failing" "loop-pauses" "memoize-again" "missing-template" "nested-deep"
    "nested-failing" "outputs" "parallel-memoize" "parallel-steps" "pod-gc" "retry-always" "retry-exhausted"
    "retry-expression" "retry-loop" "retry-steps" "script" "slow" "step-exit" "suspend-dag" "suspend-twice"
    "template-deadline" "template-ref" "timeout" "wide" "with-param" "with-sequence" "workflow-template-ref"
];

/// Those of the world of locks. They want the same locks.
const LOCKED: [(&str, &str); 9] = files![
    "lock-failing" "lock-mutex" "lock-nested" "lock-retry" "lock-semaphore" "lock-several" "lock-steps" "lock-suspend"
    "lock-workflow"
];

/// Holds a lock until it is deleted.
pub const DOOMED: &str = "doomed";

/// Ends only when it is terminated.
pub const ENDLESS: &str = "endless";
/// Ends only when it is resumed.
pub const WAITING: &str = "waiting";

/// Those that need a hand from outside.
const HELPLESS: [(&str, &str); 3] = files!["endless" "waiting" "doomed"];

/// Those whose nodes depend on how fast things go: what runs when another fails, when a deadline comes, when a daemon or a
/// memoized entry is there. How they end does not.
const TIMED: [&str; 10] = [
    "daemon",
    "daemon-dag",
    "deadline",
    "deadline-exit",
    "fail-fast",
    "fail-fast-parallel",
    "hook-running",
    "memoize-again",
    "template-deadline",
    "timeout",
];

/// What stands in each namespace besides workflows.
const OBJECTS: [(LookupKind, &str); 2] = [
    (LookupKind::WorkflowTemplate, include_str!("../corpus/objects/shared.yaml")),
    (LookupKind::ConfigMap, include_str!("../corpus/objects/settings.yaml")),
];

/// What stands in the first namespace of the world of locks besides.
const LOCKS: (LookupKind, &str) = (LookupKind::ConfigMap, include_str!("../corpus/objects/locks.yaml"));

/// The namespace of the first world.
pub const ARGO: &str = "argo";
/// The second namespace of the grown world.
pub const OTHER: &str = "other";

/// One workflow of a world: a file of the corpus in a namespace. Its object has the file's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    pub namespace: &'static str,
    pub name: &'static str,
}

impl Case {
    /// In the namespace of the first world.
    pub fn argo(name: &'static str) -> Self {
        Self { namespace: ARGO, name }
    }

    /// Whether only its end can be compared with that of the engine alone.
    pub fn is_timed(&self) -> bool {
        TIMED.contains(&self.name) || self.wants_locks()
    }

    /// Whether it wants locks. What its nodes say depends on who else has them.
    pub fn wants_locks(&self) -> bool {
        LOCKED.iter().any(|(name, _)| *name == self.name)
    }

    /// Whether it keeps outputs in a cache.
    pub fn memoizes(&self) -> bool {
        self.name.contains("memoize")
    }

    /// Whether one of its pods runs until others have ended.
    pub fn has_daemon(&self) -> bool {
        self.name.starts_with("daemon")
    }

    /// Whether it may look up objects besides itself.
    pub fn looks_up(&self) -> bool {
        GROWN.iter().any(|(name, _)| *name == self.name)
    }

    /// Whether it needs a hand from outside.
    pub fn is_helpless(&self) -> bool {
        HELPLESS.iter().any(|(name, _)| *name == self.name)
    }

    /// The workflow.
    ///
    /// Errors: there is none of that name, or its file is not YAML.
    pub fn workflow(&self) -> Result<Value> {
        let (_, text) = FIRST
            .iter()
            .chain(&GROWN)
            .chain(&HELPLESS)
            .chain(&LOCKED)
            .find(|(name, _)| *name == self.name)
            .with_context(|| format!("there is no workflow `{}`", self.name))?;
        let spec: Value = serde_saphyr::from_str(text).with_context(|| format!("read {}.yaml", self.name))?;
        Ok(json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        }))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace == ARGO { f.write_str(self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names of the first world's workflows that end by themselves.
pub fn names() -> Vec<&'static str> {
    FIRST.iter().map(|(name, _)| *name).collect()
}

/// Names of all workflows that end by themselves.
pub fn grown_names() -> Vec<&'static str> {
    FIRST.iter().chain(&GROWN).map(|(name, _)| *name).collect()
}

/// Names of the workflows that want locks.
pub fn locked_names() -> Vec<&'static str> {
    LOCKED.iter().map(|(name, _)| *name).collect()
}

/// The objects of a namespace, as lookups name them.
///
/// Errors: a file is not YAML.
pub fn objects(namespace: &str) -> Result<BTreeMap<LookupKey, Value>> {
    read(namespace, &OBJECTS)
}

/// The limits of the locks, which stand in the first namespace.
///
/// Errors: a file is not YAML.
pub fn limits() -> Result<BTreeMap<LookupKey, Value>> {
    read(ARGO, &[LOCKS])
}

fn read(namespace: &str, objects: &[(LookupKind, &str)]) -> Result<BTreeMap<LookupKey, Value>> {
    let one = |(kind, text): &(LookupKind, &str)| {
        let mut object: Value = serde_saphyr::from_str(text).context("read an object of the corpus")?;
        object["metadata"]["namespace"] = json!(namespace);
        let name = object["metadata"]["name"].as_str().context("an object's name")?.to_owned();
        Ok((LookupKey { kind: *kind, namespace: namespace.to_owned(), name, data_key: None }, object))
    };
    objects.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_read_and_there_are_enough() {
        let names = grown_names();
        assert!(names.len() >= 40, "{}", names.len());
        for name in names.into_iter().chain(locked_names()).chain([ENDLESS, WAITING, DOOMED]) {
            assert!(Case::argo(name).workflow().expect("YAML")["spec"].is_object(), "{name}");
        }
        for name in TIMED {
            assert!(GROWN.iter().any(|(n, _)| *n == name), "{name}");
        }
    }
}
