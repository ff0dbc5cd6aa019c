//! Files to documents: YAML or JSON, read as Kubernetes reads them, with the place of every value.

mod document;
mod folder;
pub mod scalar;
pub mod source;
mod yaml;

use std::{path::Path, sync::Arc};

pub use document::{Document, text};
pub use source::{FILE_BYTES_MAX, Parts, Place, Source};

use crate::diagnostic::Diagnostic;
use document::{bytes_max, read};

/// Everything in `paths` (`-` is standard input). Of a folder: its YAML and JSON files and those below it, as far as they
/// hold objects of Kubernetes or speak of Argo.
/// Errors: one diagnostic for every file and document that cannot be read, beside the documents that can.
pub fn files(paths: &[String]) -> (Vec<Document>, Vec<Diagnostic>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        if path == "-" || !Path::new(path).is_dir() {
            let (more, mistakes) = file(path);
            documents.extend(more);
            problems.extend(mistakes);
            continue;
        }
        let names = folder::files(Path::new(path), &mut problems);
        names.iter().for_each(|name| folder::file(name, &mut documents, &mut problems));
    }
    (documents, problems)
}

/// Mistakes for `paths` that were read and in which there is nothing.
pub fn nothing_in(paths: &[String], documents: &[Document], problems: &[Diagnostic]) -> Vec<Diagnostic> {
    if !documents.is_empty() || !problems.is_empty() {
        return Vec::new();
    }
    let each = |path: &String| match path.as_str() {
        "-" => Diagnostic::of_file("<stdin>", "it is empty: there is no object in it"),
        path if Path::new(path).is_dir() => {
            Diagnostic::of_file(path, "the folder is empty: no YAML or JSON file in it is for Kubernetes or Argo")
        }
        path => Diagnostic::of_file(path, "the file is empty: there is no object in it"),
    };
    paths.iter().map(each).collect()
}

/// One file, no folder. Errors: as [`files`].
pub fn file(path: &str) -> (Vec<Document>, Vec<Diagnostic>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    match read(path, bytes_max()) {
        Ok(source) => text(&Arc::new(source), &mut documents, &mut problems),
        Err(problem) => problems.push(*problem),
    }
    (documents, problems)
}

#[cfg(test)]
mod tests;
