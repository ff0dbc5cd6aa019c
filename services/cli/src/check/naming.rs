//! The names of objects: that there is one, and that an API server takes it.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::purpose::Purpose;
use crate::{diagnostic::Diagnostic, load::Document};

/// Lower-case RFC 1123 subdomains.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").expect("a constant expression")
});

/// What is wrong with the name of `document`, and what of its metadata no new object may have.
pub fn check(document: &Document, purpose: Purpose) -> Vec<Diagnostic> {
    let exported = (purpose == Purpose::Run && document.kind() == "Workflow").then(|| exported(document)).flatten();
    name(document, purpose).into_iter().chain(exported).collect()
}

/// An object that was read from a server, which is no new one.
fn exported(document: &Document) -> Option<Diagnostic> {
    let place = document.place.member("metadata")?.member("resourceVersion")?;
    let help = "remove what a server has set: metadata.resourceVersion, uid and creationTimestamp, and status; `argosy resubmit` runs a workflow of a server again";
    Some(Diagnostic {
        span: Some(place.key.clone()),
        path: "metadata.resourceVersion".to_owned(),
        help: Some(help.to_owned()),
        ..Diagnostic::of_source(&document.source, "a new workflow cannot have it")
    })
}

fn name(document: &Document, purpose: Purpose) -> Option<Diagnostic> {
    let metadata = |key: &str| document.value["metadata"][key].as_str().filter(|name| !name.is_empty());
    let (key, name, whole) = match (metadata("name"), metadata("generateName")) {
        (Some(name), _) => ("name", name, name.to_owned()),
        // The server appends five characters.
        (None, Some(prefix)) => ("generateName", prefix, format!("{prefix}x")),
        (None, None) => return (purpose == Purpose::Run && document.kind() == "Workflow").then(|| missing(document)),
    };
    if NAME.is_match(&whole) {
        return None;
    }
    // A flag may have set it: then the file has another, or none.
    let written = document.place.member("metadata").and_then(|place| place.member(key));
    let span = written.map(|place| place.value.clone());
    let span = span.filter(|span| document.source.text.get(span.clone()).is_some_and(|text| text.contains(name)));
    Some(Diagnostic {
        span,
        path: format!("metadata.{key}"),
        help: Some("use lower-case letters, digits, `-` and `.`; begin and end with a letter or digit".to_owned()),
        ..Diagnostic::of_source(&document.source, format!("`{name}` is no name for an object"))
    })
}

fn missing(document: &Document) -> Diagnostic {
    let place = document.place.member("metadata").unwrap_or(&document.place);
    let base = match document
        .value
        .pointer("/metadata/labels/generateName")
        .or(document.value.pointer("/metadata/labels/name"))
    {
        Some(Value::String(_)) => "the workflow has no name: it stands among the labels",
        _ => "the workflow has no name",
    };
    Diagnostic {
        span: Some(place.key.clone()),
        path: "metadata".to_owned(),
        help: Some("add `generateName: my-workflow-`, or use --name or --generate-name".to_owned()),
        ..Diagnostic::of_source(&document.source, base)
    }
}
