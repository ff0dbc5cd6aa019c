//! A case: a workflow, what is done to it and when, and what Argo's objects were then.
//!
//! `cases/ID.yaml` has the documents, the Workflow last; `cases/ID.ops.json` the operations, in order. `golden/ID.json` is the
//! object at the end with the exit codes of the operations; `golden/ID@LABEL.json` is the object at a moment in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// One case.
pub struct Case {
    pub id: String,
    /// What is applied before the workflow.
    pub documents: Vec<Value>,
    pub workflow: Value,
    pub operations: Vec<Operation>,
    /// The recorded objects, by label: `ID` at the end, `ID@LABEL` in between.
    pub goldens: BTreeMap<String, Golden>,
    /// It is among those that this repository carries.
    pub is_carried: bool,
}

/// Something that is done, once its conditions hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operation {
    when: Option<OneOrMany>,
    /// Keeps the object under this label, before anything is done.
    pub record: Option<String>,
    /// How long the object must not have changed before it is recorded, in seconds.
    pub settle: Option<f64>,
    /// Arguments of `argo`. `NAME` stands for the workflow.
    #[serde(rename = "do")]
    pub command: Option<Vec<String>>,
    /// Arguments of `kubectl`.
    pub kubectl: Option<Vec<String>>,
    /// The operation creates a workflow, which is the one that is watched from here on.
    pub follow: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Condition),
    Many(Vec<Condition>),
}

/// What must hold before an operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Condition {
    /// The pod of a node is in a phase.
    Pod { pod: String, phase: String },
    /// A node, by its name or what is shown of it, is in a phase; `any`: it exists, `absent`: it does not, `fulfilled`: it has
    /// ended.
    Node { node: String, phase: String },
    /// The workflow is in a phase; `completed`: its label says so.
    Workflow { phase: String },
    /// So much time has passed since the others hold.
    Seconds { seconds: f64 },
}

/// What was recorded.
#[derive(Clone, Debug, Deserialize)]
pub struct Golden {
    pub workflow: Value,
    #[serde(default)]
    pub ops: Vec<Done>,
}

/// How an operation went.
#[derive(Clone, Debug, Deserialize)]
pub struct Done {
    #[serde(rename = "do")]
    pub command: Vec<String>,
    /// The exit code.
    pub rc: i32,
    /// What it printed.
    #[serde(default)]
    pub out: String,
}

impl Operation {
    pub fn conditions(&self) -> Vec<Condition> {
        match &self.when {
            None => Vec::new(),
            Some(OneOrMany::One(condition)) => vec![condition.clone()],
            Some(OneOrMany::Many(conditions)) => conditions.clone(),
        }
    }
}

/// All cases with operations of the folder `ops` in `dir`, by id.
///
/// Errors: the folder or a file of it cannot be read.
pub fn read_all(dir: &Path, is_carried: bool) -> Result<Vec<Case>> {
    let (cases, golden) = (dir.join("ops/cases"), dir.join("ops/golden"));
    let recorded = labels(&golden)?;
    let mut found = Vec::new();
    for name in names(&cases)? {
        let Some(id) = name.strip_suffix(".ops.json") else { continue };
        let mut goldens = BTreeMap::new();
        let of_case = |label: &&String| label.split('@').next() == Some(id);
        for label in recorded.iter().filter(of_case) {
            goldens.insert(label.clone(), json(&golden.join(format!("{label}.json")))?);
        }
        ensure!(goldens.contains_key(id), "nothing was recorded of {id}");
        let path = cases.join(format!("{id}.yaml"));
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let parts = text.split("\n---").filter(|part| !part.trim().is_empty());
        // `y` is a text, as for Kubernetes.
        let read = |part| serde_saphyr::from_str_with_options(part, serde_saphyr::options! { strict_booleans: true });
        let documents = parts.map(read).collect::<Result<Vec<Value>, _>>();
        let mut documents = documents.with_context(|| format!("parse {}", path.display()))?;
        let workflow = documents.pop().with_context(|| format!("{} is empty", path.display()))?;
        ensure!(workflow["metadata"]["name"] == id, "{}: the workflow is not named as the case", path.display());
        let operations = json(&cases.join(&name))?;
        found.push(Case { id: id.to_owned(), documents, workflow, operations, goldens, is_carried });
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

fn labels(folder: &Path) -> Result<BTreeSet<String>> {
    Ok(names(folder)?.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))
}
