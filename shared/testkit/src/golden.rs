//! Runs recorded from Argo: `goldens/<id>.json`, and `goldens-edge/<id>.json` for odd and wrong input.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// One recorded run.
#[derive(Clone, Debug, Deserialize)]
pub struct Golden {
    pub id: String,
    /// The example or test of Argo that it came from.
    pub source: String,
    /// The documents that were applied, the Workflow last.
    pub input: Vec<Value>,
    /// The workflow's last phase.
    pub phase: String,
    /// How long the run took.
    pub seconds: f64,
    /// The final object.
    pub workflow: Value,
}

/// All recorded runs of the folder `set` of the conformance directory `dir`, by id.
///
/// Errors: the folder or a file of it cannot be read, or there is none.
pub fn read_all(dir: &Path, set: &str) -> Result<Vec<Golden>> {
    let folder = dir.join(set);
    let entries = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut goldens = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "json") {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let golden: Golden = serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
            ensure!(!golden.input.is_empty(), "{} has no input", path.display());
            goldens.push(golden);
        }
    }
    ensure!(!goldens.is_empty(), "no recorded runs in {}", folder.display());
    goldens.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(goldens)
}
