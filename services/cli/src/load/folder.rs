//! What a folder holds for us: a project has YAML and JSON of many kinds, and none of them is a mistake.

use std::{path::Path, sync::Arc};

use serde_json::Value;

use super::document::{Document, bytes_max, read, text};
use crate::diagnostic::Diagnostic;

/// The YAML and JSON files in `dir` and below it, by name. Data directories of Argosy are left out.
pub fn files(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut entries: Vec<_> = std::fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.path();
        let name = path.to_string_lossy().into_owned();
        let is_text = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if entry.file_type()?.is_dir() {
            if !argosy_standalone::is_data_dir(&path) {
                names.extend(files(&path)?);
            }
        } else if is_text {
            names.push(name);
        }
    }
    Ok(names)
}

/// Reads a file that was found and not named: it counts where it holds an object of Kubernetes, or speaks of Argo.
pub fn file(name: &str, documents: &mut Vec<Document>, problems: &mut Vec<Diagnostic>) {
    let Ok(source) = read(name, bytes_max()) else { return };
    let source = Arc::new(source);
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    text(&source, &mut found, &mut mistakes);
    let is_object = |document: &Document| {
        let text = |key: &str| document.value.get(key).is_some_and(Value::is_string);
        text("apiVersion") && text("kind")
    };
    if found.iter().any(is_object) || source.text.contains("argoproj.io") {
        documents.extend(found);
        problems.extend(mistakes);
    }
}
