//! Paths, query parameters and accepted forms of requests.

use axum::extract::Query;
use http::{HeaderMap, Uri, header};

use super::failure::{Failure, Result};
use super::kinds::{self, Kind};
use super::object;

/// What a resource path points at.
#[derive(Debug)]
pub(crate) struct Target {
    pub kind: &'static Kind,
    /// `None` for cluster-wide kinds, and for all namespaces.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub sub: Option<String>,
}

impl Target {
    /// Parses `/api/v1/…` and `/apis/<group>/<version>/…`; `None` when it names no served resource.
    pub fn parse(path: &str) -> Option<Target> {
        let mut parts = path.trim_matches('/').split('/').map(decode);
        let (group, version) = match parts.next()?.as_str() {
            "api" => (String::new(), parts.next()?),
            "apis" => (parts.next()?, parts.next()?),
            _ => return None,
        };
        let rest: Vec<String> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            [first, ns, plural, rest @ ..]
                if first == "namespaces" && !(group.is_empty() && matches!(plural.as_str(), "status" | "finalize")) =>
            {
                (Some(ns.clone()), (plural.as_str(), rest))
            }
            [plural, rest @ ..] => (None, (plural.as_str(), rest)),
            [] => return None,
        };
        let (plural, rest) = rest;
        let kind = kinds::find(&group, &version, plural)?;
        let (name, sub) = match rest {
            [] => (None, None),
            [name] => (Some(name.clone()), None),
            [name, sub] => (Some(name.clone()), Some(sub.clone())),
            _ => return None,
        };
        // Objects of namespaced kinds are never reached without a namespace, and the reverse.
        if namespace.is_some() && !kind.namespaced || namespace.is_none() && kind.namespaced && name.is_some() {
            return None;
        }
        Some(Target { kind, namespace, name, sub })
    }

    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("")
    }

    /// The key of the named object.
    pub fn key(&self) -> Box<str> {
        object::key(self.namespace.as_deref().unwrap_or(""), self.name())
    }
}

fn decode(part: &str) -> String {
    if !part.contains('%') {
        return part.to_owned();
    }
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.as_bytes().iter();
    while let Some(&b) = bytes.next() {
        let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
        let rest = bytes.as_slice();
        match (b, hex(rest.first()), hex(rest.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two hex digits make a byte"));
                bytes.nth(1);
            }
            _ => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The query parameters.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub fn parse(uri: &Uri) -> Result<Params> {
        if uri.query().is_none_or(str::is_empty) {
            return Ok(Params::default());
        }
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) => Ok(Params(pairs)),
            Err(error) => Err(Failure::bad_request(error.body_text())),
        }
    }

    /// The value of a parameter; `None` when absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "True"))
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| Failure::bad_request(format!("invalid value for {name}: \"{text}\""))))
            .transpose()
    }

    /// What is asked for fields that a kind does not have; `None` where nothing is.
    pub fn field_validation(&self) -> Result<Option<FieldValidation>> {
        match self.get("fieldValidation") {
            None => Ok(None),
            Some("Ignore") => Ok(Some(FieldValidation::Ignore)),
            Some("Warn") => Ok(Some(FieldValidation::Warn)),
            Some("Strict") => Ok(Some(FieldValidation::Strict)),
            Some(other) => Err(Failure::bad_request(format!(
                "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
            ))),
        }
    }

    pub fn dry_run(&self) -> Result<bool> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => {
                Err(Failure::bad_request(format!("dryRun: Unsupported value: \"{other}\": supported values: \"All\"")))
            }
        }
    }
}

/// What becomes of fields that a kind does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The form an answer is asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Full,
    /// `PartialObjectMetadata`.
    Metadata,
    Table,
}

impl Form {
    /// The first form of the `Accept` header that the server can give; others are passed over.
    pub fn accepted(headers: &HeaderMap) -> Form {
        let Some(accept) = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()) else {
            return Form::Full;
        };
        for media in accept.split(',') {
            let mut parts = media.split(';').map(str::trim);
            if !matches!(parts.next(), Some("application/json" | "*/*" | "application/*")) {
                continue;
            }
            match parts.find_map(|p| p.strip_prefix("as=")) {
                None => return Form::Full,
                Some("Table") => return Form::Table,
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Form::Metadata;
                }
                Some(_) => {}
            }
        }
        Form::Full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_resource() {
        let t = Target::parse("/api/v1/namespaces/a/pods/p/log").expect("a pod's log");
        assert_eq!((t.kind.kind, t.key().as_ref(), t.sub.as_deref()), ("Pod", "a/p", Some("log")));
        let t = Target::parse("/api/v1/namespaces/a/status").expect("a namespace's status");
        assert_eq!((t.kind.kind, t.key().as_ref(), t.sub.as_deref()), ("Namespace", "/a", Some("status")));
        let t = Target::parse("/apis/argoproj.io/v1alpha1/workflows").expect("all workflows");
        assert_eq!((t.kind.kind, t.namespace, t.name), ("Workflow", None, None));
        assert!(Target::parse("/api/v1/pods/p").is_none());
        assert!(Target::parse("/api/v1/namespaces/a/nodes").is_none());
        assert_eq!(decode("a%2fb%zz"), "a/b%zz");
    }
}
