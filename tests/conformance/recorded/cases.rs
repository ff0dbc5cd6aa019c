//! Where recorded cases are: those that this repository carries, and more beside the checkout. Shared by the tests of several
//! crates, which include it by its path.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The folder of what was recorded for this project and is in the repository.
pub fn carried() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/recorded")
}

/// Argo's own examples, tests and tables: `$ARGOSY_CONFORMANCE`, or the folder beside the checkout.
pub fn beside() -> PathBuf {
    match env::var_os("ARGOSY_CONFORMANCE").filter(|set| !set.is_empty()) {
        Some(set) => set.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    }
}

/// The rows of a table: those carried, and those beside the checkout where there are some, each id once.
pub fn table(name: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut ids = BTreeSet::new();
    for path in [carried().join("tables").join(name), beside().join(name)] {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let found: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        rows.extend(found.into_iter().filter(|row| ids.insert(row["id"].as_str().unwrap_or_default().to_owned())));
    }
    assert!(!rows.is_empty(), "no rows of {name}: it lies in {}", beside().display());
    rows
}
