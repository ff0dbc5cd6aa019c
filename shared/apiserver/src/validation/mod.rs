//! Whether an object may be stored: that every client can read it, and that no name in it is a path.
//!
//! As kube-apiserver does it: metadata and the built-in kinds have types, the custom ones have the schemas of the
//! definitions that this server shows (Argo's minimal ones: a `spec` is an object, and what is in it is for its readers).

mod cause;
mod data;
mod metadata;
mod names;
mod pods;
mod typed;

use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::{Flavor, Kind};

use cause::Causes;

pub(crate) use typed::unknown;

/// Checks a new object, or the new form of `old`, complete with what the server adds but for the owners of its fields.
///
/// Errors: 400 where something has the wrong type, 422 where it has a wrong value.
pub(super) fn check(kind: &Kind, old: Option<&Json>, tree: &Json) -> Result<()> {
    check_readable(kind, old, tree)?;
    let mut causes = Causes::new();
    metadata::check_values(old, tree, &mut causes);
    schema(kind, tree, &mut causes);
    data::check(kind, tree, &mut causes);
    // The containers of a pod are there from its beginning; what is updated is its status.
    if kind.flavor == Flavor::Pod && old.is_none_or(|old| old.get("spec") != tree.get("spec")) {
        pods::check(tree, &mut causes);
    }
    if causes.is_empty() {
        return Ok(());
    }
    let name = tree.str_at(&["metadata", "name"]).unwrap_or("");
    let causes: Vec<(&str, String)> = causes.iter().map(|(field, why)| (field.as_str(), why.clone())).collect();
    Err(Failure::invalid(kind, name, &causes))
}

/// Checks a whole object, new or the new form of `old`: that every client can read it.
///
/// Errors: 400 where something has the wrong type.
pub(super) fn check_readable(kind: &Kind, old: Option<&Json>, tree: &Json) -> Result<()> {
    metadata::check_types(kind, old, tree)?;
    typed::check(kind, old, tree)
}

/// Checks what a client sent, before the server adds to it: that its metadata can be read.
///
/// Errors: 400 where something has the wrong type.
pub(super) fn check_types(kind: &Kind, tree: &Json) -> Result<()> {
    metadata::check_types(kind, None, tree)
}

/// The members that a custom kind's definition asks for, and those that must be objects where they are there.
/// Source: Argo's minimal CRDs.
pub(super) fn shape(kind: &Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind.plural {
        _ if !kind.is_custom() => (&[], &[]),
        "workflowtaskresults" => (&[], &["outputs"]),
        _ => (&["spec"], &["spec", "status"]),
    }
}

fn schema(kind: &Kind, tree: &Json, causes: &mut Causes) {
    let (required, objects) = shape(kind);
    for field in required.iter().filter(|field| tree.get(field).is_none()) {
        causes.push(((*field).to_owned(), "Required value".to_owned()));
    }
    for field in objects {
        if let Some(value) = tree.get(field).filter(|value| value.as_map().is_none()) {
            let name = type_name(value);
            let why = format!("Invalid value: \"{name}\": {field} in body must be of type object: \"{name}\"");
            causes.push(((*field).to_owned(), why));
        }
    }
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
