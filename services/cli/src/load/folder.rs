//! What a folder holds for us: a project has YAML and JSON of many kinds, and none of them is a mistake.

use std::{io::Read, path::Path, sync::Arc};

use serde_json::Value;

use super::document::{Document, bytes_max, read, text, unreadable};
use crate::diagnostic::Diagnostic;

/// How many bytes of a file that cannot be read as text are looked at for words of Argo.
const LOOK_BYTES_MAX: u64 = 64 * 1024;

/// The YAML and JSON files in `dir` and below it, by name. Left out are data directories of Argosy, hidden files and folders
/// (`.git`), whatever is no regular file, and folders behind links, which may lead in a circle. What cannot be looked at is a
/// problem.
pub fn files(dir: &Path, problems: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut names = Vec::new();
    let entries = std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(unreadable(&dir.to_string_lossy(), &error));
            return names;
        }
    };
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
        let path = entry.path();
        let name = path.to_string_lossy().into_owned();
        let is_text = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if !argosy_standalone::is_data_dir(&path) {
                names.extend(files(&path, problems));
            }
        } else if is_text {
            match std::fs::metadata(&path) {
                Ok(found) if found.is_file() => names.push(name),
                // A pipe would be waited for.
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    problems.push(Diagnostic { warning: true, ..Diagnostic::of_file(name, "the link leads nowhere") });
                }
                Err(error) => problems.push(unreadable(&name, &error)),
            }
        }
    }
    names
}

/// Reads a file that was found and not named: it counts where it holds an object of Kubernetes, or speaks of Argo.
pub fn file(name: &str, documents: &mut Vec<Document>, problems: &mut Vec<Diagnostic>) {
    let source = match read(name, bytes_max()) {
        Ok(source) => Arc::new(source),
        Err(problem) => {
            // What is no text, or large, is most often none of ours.
            if beginning(name).is_none_or(|text| speaks_of_argo(&text)) {
                problems.push(*problem);
            }
            return;
        }
    };
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    text(&source, &mut found, &mut mistakes);
    let is_object = |document: &Document| {
        let text = |key: &str| document.value.get(key).is_some_and(Value::is_string);
        text("apiVersion") && text("kind")
    };
    if found.iter().any(is_object) || speaks_of_argo(&source.text) {
        documents.extend(found);
        problems.extend(mistakes);
    }
}

fn speaks_of_argo(text: &str) -> bool {
    text.contains("argoproj.io")
}

/// The first bytes of a file, as text as far as they are; `None` where it cannot be read.
fn beginning(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(name).ok()?.take(LOOK_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
