//! Submitting: options on top of an object, what a user may set beside a template reference, artifact overrides.
//!
//! Source: Argo docs/walk-through/argo-cli.md, docs/workflow-restrictions.md; `workflow/util/util.go`, `merge.go`.

use std::collections::BTreeMap;

use argosy_api::labels::SCHEDULED_TIME;
use argosy_api::v1alpha1::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Argo's `SubmitOpts`: what the command line and the API set on a submitted workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubmitOptions {
    pub name: String,
    pub generate_name: String,
    #[serde(alias = "entrypoint")]
    pub entry_point: String,
    /// Each `NAME=VALUE`.
    pub parameters: Vec<String>,
    pub service_account: String,
    pub dry_run: bool,
    pub server_dry_run: bool,
    /// `NAME1=VALUE1,NAME2=VALUE2`.
    pub labels: String,
    pub owner_reference: Option<Value>,
    /// `NAME1=VALUE1,NAME2=VALUE2`.
    pub annotations: String,
    pub pod_priority_class_name: String,
    pub priority: Option<i32>,
    /// Each `NAME=KEY`.
    pub artifacts: Vec<String>,
    /// RFC 3339; becomes an annotation.
    pub scheduled_time: String,
}

/// A mistake in options; the texts are Argo's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("expected {kind} of the form: NAME1=VALUE2,NAME2=VALUE2. Received: {text}: unexpected label spec: {part}")]
    Pairs { kind: &'static str, text: String, part: String },
    #[error("expected parameter of the form: NAME=VALUE. Received: {text}")]
    Parameter { text: String },
    #[error("expected artifact of the form: NAME=KEY. Received: {text}")]
    Artifact { text: String },
    #[error("artifact override(s) matched no artifact: {}", names.join(", "))]
    NoSuchArtifact { names: Vec<String> },
    #[error("cannot override the key of artifact {name}: its location has no key")]
    NoKey { name: String },
    #[error("fields [{}] are not permitted when using workflowTemplateRef with templateReferencing restriction", fields.join(" "))]
    Restricted { fields: Vec<String> },
}

/// Sets `options` on `workflow`.
pub fn apply(workflow: &mut Workflow, options: &SubmitOptions) -> Result<(), Error> {
    let metadata = &mut workflow.metadata;
    metadata.labels.extend(pairs("labels", &options.labels)?);
    metadata.annotations.extend(pairs("annotations", &options.annotations)?);
    if !options.scheduled_time.is_empty() {
        metadata.annotations.insert(SCHEDULED_TIME.to_owned(), options.scheduled_time.clone());
    }
    set(&mut metadata.generate_name, &options.generate_name);
    set(&mut metadata.name, &options.name);
    if let Some(owner) = &options.owner_reference {
        let owners = metadata.rest.entry("ownerReferences".to_owned()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(owners) = owners {
            owners.push(owner.clone());
        }
    }
    let spec = &mut workflow.spec;
    set(&mut spec.entrypoint, &options.entry_point);
    set(&mut spec.service_account_name, &options.service_account);
    set(&mut spec.pod_priority_class_name, &options.pod_priority_class_name);
    spec.priority = options.priority.or(spec.priority);
    override_parameters(&mut spec.arguments.parameters, &options.parameters)?;
    // Beside a template reference, the artifacts are those of the template, which the caller overrides.
    if spec.workflow_template_ref.is_none() {
        override_artifacts(workflow, &options.artifacts)?;
    }
    Ok(())
}

fn set(field: &mut String, value: &str) {
    if !value.is_empty() {
        value.clone_into(field);
    }
}

fn pairs(kind: &'static str, text: &str) -> Result<BTreeMap<String, String>, Error> {
    let parts = text.split(',').filter(|_| !text.is_empty());
    let pair = |part: &str| match part.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Error::Pairs { kind, text: text.to_owned(), part: part.to_owned() }),
    };
    parts.map(pair).collect()
}

/// Sets parameters from `NAME=VALUE`; those named come first, in the order given.
pub fn override_parameters(parameters: &mut Vec<Parameter>, overrides: &[String]) -> Result<(), Error> {
    let mut result: Vec<Parameter> = Vec::with_capacity(parameters.len() + overrides.len());
    for text in overrides {
        let (name, value) = text.split_once('=').ok_or_else(|| Error::Parameter { text: text.clone() })?;
        let value = Some(AnyString::from(value));
        match result.iter_mut().find(|p| p.name == name) {
            Some(earlier) => earlier.value = value,
            None => result.push(Parameter { name: name.to_owned(), value, ..Parameter::default() }),
        }
    }
    let named = result.len();
    for parameter in std::mem::take(parameters) {
        if !result[..named].iter().any(|p| p.name == parameter.name) {
            result.push(parameter);
        }
    }
    *parameters = result;
    Ok(())
}

/// Reads `NAME=KEY` texts; neither may be empty, and the last of a name is right.
pub fn parse_artifact_overrides(texts: &[String]) -> Result<BTreeMap<String, String>, Error> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => Ok((name.to_owned(), key.to_owned())),
        _ => Err(Error::Artifact { text: text.clone() }),
    };
    texts.iter().map(pair).collect()
}

/// The artifacts that `overrides` names, with their new keys.
pub fn overridden_artifacts(
    artifacts: &[Artifact],
    overrides: &BTreeMap<String, String>,
) -> Result<Vec<Artifact>, Error> {
    let mut result = Vec::new();
    for artifact in artifacts {
        if let Some(key) = overrides.get(&artifact.name) {
            let mut artifact = artifact.clone();
            set_key(&mut artifact, key)?;
            result.push(artifact);
        }
    }
    let missing = overrides.keys().filter(|name| !artifacts.iter().any(|a| a.name == **name));
    let names: Vec<String> = missing.cloned().collect();
    if names.is_empty() { Ok(result) } else { Err(Error::NoSuchArtifact { names }) }
}

/// Sets keys of the workflow's artifact arguments, also in the stored spec of its template.
pub fn override_artifacts(workflow: &mut Workflow, texts: &[String]) -> Result<(), Error> {
    let overrides = parse_artifact_overrides(texts)?;
    let changed = overridden_artifacts(&workflow.spec.arguments.artifacts, &overrides)?;
    replace(&mut workflow.spec.arguments.artifacts, &changed);
    if let Some(stored) = &mut workflow.status.stored_workflow_template_spec {
        for artifact in &mut stored.arguments.artifacts {
            if let Some(key) = overrides.get(&artifact.name) {
                set_key(artifact, key)?;
            }
        }
    }
    Ok(())
}

fn replace(artifacts: &mut [Artifact], changed: &[Artifact]) {
    for artifact in artifacts {
        if let Some(new) = changed.iter().find(|c| c.name == artifact.name) {
            *artifact = new.clone();
        }
    }
}

fn set_key(artifact: &mut Artifact, key: &str) -> Result<(), Error> {
    let location = &mut artifact.location;
    let fields = [
        location.s3.as_mut().map(|l| &mut l.key),
        location.gcs.as_mut().map(|l| &mut l.key),
        location.oss.as_mut().map(|l| &mut l.key),
        location.azure.as_mut().map(|l| &mut l.blob),
        location.hdfs.as_mut().map(|l| &mut l.path),
        location.plugin.as_mut().map(|l| &mut l.key),
    ];
    let field = fields.into_iter().flatten().next().ok_or_else(|| Error::NoKey { name: artifact.name.clone() })?;
    key.clone_into(field);
    Ok(())
}

/// Members of a spec that a user may set beside a template reference under `templateReferencing: Strict` or `Secure`.
const PERMITTED: [&str; 14] = [
    "activeDeadlineSeconds",
    "archiveLogs",
    "arguments",
    "artifactGC",
    "entrypoint",
    "metrics",
    "podGC",
    "priority",
    "shutdown",
    "suspend",
    "ttlStrategy",
    "volumeClaimGC",
    "workflowMetadata",
    "workflowTemplateRef",
];
/// Members of `artifactGC` that reach the pod of the garbage collection, and so are not permitted.
const POD_OF_GC: [&str; 3] = ["podMetadata", "podSpecPatch", "serviceAccountName"];

/// Checks that a user's spec sets only what it may beside a template reference.
///
/// Errors: [`Error::Restricted`] with the Go names of the fields, sorted.
pub fn check_restrictions(spec: &WorkflowSpec) -> Result<(), Error> {
    let members = members(spec);
    let top = members.keys().filter(|name| !PERMITTED.contains(&name.as_str())).map(|name| go_name(name));
    let gc = members.get("artifactGC").and_then(Value::as_object).into_iter().flatten();
    let nested = gc
        .filter(|(name, _)| POD_OF_GC.contains(&name.as_str()))
        .map(|(name, _)| format!("ArtifactGC.{}", go_name(name)));
    let mut fields: Vec<String> = top.chain(nested).collect();
    fields.sort();
    if fields.is_empty() { Ok(()) } else { Err(Error::Restricted { fields }) }
}

/// The user's spec with nothing in it but what [`check_restrictions`] permits.
pub fn sanitized(spec: &WorkflowSpec) -> WorkflowSpec {
    let mut members = members(spec);
    members.retain(|name, _| PERMITTED.contains(&name.as_str()));
    if let Some(Value::Object(gc)) = members.get_mut("artifactGC") {
        gc.retain(|name, _| !POD_OF_GC.contains(&name.as_str()));
    }
    serde_json::from_value(Value::Object(members)).expect("a spec with fewer members is a spec")
}

fn members(spec: &WorkflowSpec) -> serde_json::Map<String, Value> {
    match serde_json::to_value(spec) {
        Ok(Value::Object(members)) => members,
        _ => unreachable!("a spec is written as a map"),
    }
}

/// The name of a field in Argo's Go types.
fn go_name(json: &str) -> String {
    match json {
        "dnsPolicy" => "DNSPolicy".to_owned(),
        "dnsConfig" => "DNSConfig".to_owned(),
        "ttlStrategy" => "TTLStrategy".to_owned(),
        _ => {
            let mut chars = json.chars();
            chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
        }
    }
}
