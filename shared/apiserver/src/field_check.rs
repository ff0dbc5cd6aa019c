//! What becomes of fields that a kind does not have: `fieldValidation` of a write.
//!
//! Kubernetes drops them. Here they stay, as with the CRDs that Argo installs by default; whoever reads a workflow does not
//! look at them.

use axum::response::Response;
use http::HeaderValue;

use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::Kind;
use super::request::{FieldValidation, Params};
use super::schemas;
use super::validation;

/// So many fields of a built-in kind are told.
const TOLD_MAX: usize = 20;

/// What is told beside an answer.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<String>);

impl Warnings {
    /// The answer with them. A program that does not look for them sees no difference.
    pub fn on(self, mut response: Response) -> Response {
        for text in self.0 {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            // A name may hold anything; what a header cannot say is not said.
            if let Ok(value) = HeaderValue::try_from(format!("299 - \"{quoted}\"")) {
                response.headers_mut().append(http::header::WARNING, value);
            }
        }
        response
    }
}

/// Looks at an object that is to be stored.
///
/// Errors: 400 where unknown fields are not to be stored.
pub(crate) fn of_object(params: &Params, kind: &Kind, tree: &Json) -> Result<Warnings> {
    // Where nobody asks the built-in kinds are not looked at: reading and writing a pod once more takes time, and services
    // create one after another.
    let wish = params.field_validation()?;
    check(wish.unwrap_or(FieldValidation::Warn), wish.is_some(), kind, tree, |why| {
        let (name, version) = (kind.kind, kind.version);
        Failure::bad_request(format!("{name} in version \"{version}\" cannot be handled as a {name}: {why}"))
    })
}

/// Looks at a part of an object that is to be changed. Where nobody asks it is not looked at: services write all the time.
///
/// Errors: 422 where unknown fields are not to be stored.
pub(crate) fn of_patch(params: &Params, kind: &Kind, tree: &Json) -> Result<Warnings> {
    let asked = params.field_validation()?.unwrap_or(FieldValidation::Ignore);
    check(asked, true, kind, tree, Failure::invalid_patch)
}

fn check(
    asked: FieldValidation,
    of_types: bool,
    kind: &Kind,
    tree: &Json,
    refusal: impl FnOnce(String) -> Failure,
) -> Result<Warnings> {
    if asked == FieldValidation::Ignore {
        return Ok(Warnings::default());
    }
    let mut found = schemas::unknown(kind, tree);
    if of_types {
        found.extend(validation::unknown(kind, tree, TOLD_MAX));
    }
    let told: Vec<String> = found.into_iter().map(|path| format!("unknown field \"{path}\"")).collect();
    if asked == FieldValidation::Strict && !told.is_empty() {
        return Err(refusal(format!("strict decoding error: {}", told.join(", "))));
    }
    Ok(Warnings(told))
}
