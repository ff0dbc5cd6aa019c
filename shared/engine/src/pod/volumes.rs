//! Volumes and their mounts.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::executor::paths;
use argosy_api::v1alpha1::*;
use serde_json::{Value, json};

use super::input::{Error, MAIN, PodInput};

const SHARED: &str = "var-run-argo";
const STAGING: &str = "argo-staging";
const INPUTS: &str = "input-artifacts";

/// `var-run-argo`, which every container has.
pub(super) fn shared_mount() -> Value {
    mount(SHARED, paths::VAR_RUN_ARGO)
}

fn mount(name: &str, path: &str) -> Value {
    json!({ "name": name, "mountPath": path })
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Adds those of `more` whose mount path is still free.
pub(super) fn add_missing(mounts: &mut Vec<Value>, more: &[Value]) {
    for new in more {
        if !mounts.iter().any(|m| text(m, "mountPath") == text(new, "mountPath")) {
            mounts.push(new.clone());
        }
    }
}

/// The mount that contains `path`, the deepest one.
fn enclosing<'a>(mounts: &'a [Value], path: &str) -> Option<&'a Value> {
    let contains = |mount: &&Value| {
        let base = text(mount, "mountPath").trim_end_matches('/');
        path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts.iter().filter(contains).max_by_key(|m| text(m, "mountPath").len())
}

/// Input artifacts that become files: an optional one that nobody supplied does not.
fn staged(template: &Template) -> impl Iterator<Item = &Artifact> {
    let manifest = template.resource.as_ref().and_then(|r| r.manifest_from.as_ref()?.artifact.as_ref());
    let given = |a: &&Artifact| {
        let is_left_out = a.optional && a.location == ArtifactLocation::default();
        !a.path.is_empty() && !is_left_out
    };
    template.inputs.artifacts.iter().chain(manifest).filter(given)
}

fn has_staging(template: &Template) -> bool {
    template.script.is_some()
}

/// Mounts of `init`: besides ours, the user's volumes into which artifacts go.
pub(super) fn init_mounts(template: &Template, user_mounts: &[Value]) -> Vec<Value> {
    let mut mounts = vec![shared_mount()];
    if has_staging(template) {
        mounts.push(mount(STAGING, paths::STAGING));
    }
    if staged(template).next().is_some() {
        mounts.push(mount(INPUTS, paths::INPUTS));
    }
    for artifact in staged(template) {
        if let Some(user) = enclosing(user_mounts, &artifact.path) {
            add_missing(&mut mounts, &[beneath_main_files(user)]);
        }
    }
    mounts
}

/// Mounts of a main container: the user's, ours, and one per input artifact outside the user's volumes, which of a set only
/// `main` has.
pub(super) fn main_mounts(template: &Template, name: &str, own: Vec<Value>) -> Vec<Value> {
    let mut mounts = own.clone();
    add_missing(&mut mounts, &[shared_mount()]);
    if has_staging(template) {
        add_missing(&mut mounts, &[mount(STAGING, paths::STAGING)]);
    }
    let is_main = template.container_set.is_none() || name == MAIN;
    for artifact in staged(template).filter(|a| is_main && enclosing(&own, &a.path).is_none()) {
        add_missing(&mut mounts, &[json!({ "name": INPUTS, "mountPath": artifact.path, "subPath": artifact.name })]);
    }
    mounts
}

/// Mounts of `wait`: ours, and those of the main container under another root.
pub(super) fn wait_mounts(mirrored: &[Value]) -> Vec<Value> {
    let ours = |m: &&Value| !matches!(text(m, "name"), SHARED | STAGING);
    let mirror = mirrored.iter().filter(ours).map(beneath_main_files);
    [shared_mount()].into_iter().chain(mirror).collect()
}

fn beneath_main_files(mount: &Value) -> Value {
    let mut mirror = mount.clone();
    // What is no map is refused by validation, and by the API at the latest.
    if let Value::Object(members) = &mut mirror {
        members.insert("mountPath".to_owned(), json!(format!("{}{}", paths::MAIN_FILES, text(mount, "mountPath"))));
    }
    mirror
}

/// Secrets that artifacts name, and the keys wanted of each.
pub(super) struct Secrets(BTreeMap<String, BTreeSet<String>>);

/// Gathers the secrets of the template's artifacts, so that the executor can read their credentials from files
/// `/argo/secret/<secret>/<key>` without rights of its own.
pub(super) fn artifact_secrets(input: &PodInput<'_>) -> Result<Secrets, Error> {
    let template = input.template;
    let mut secrets = BTreeMap::new();
    if let Some(repository) = input.repository() {
        gather(&repository, &mut secrets);
    }
    let artifacts = template.inputs.artifacts.iter().chain(&template.outputs.artifacts);
    let sources = template.data.iter().filter_map(|d| d.source.artifact_paths.as_ref());
    let manifest = template.resource.iter().filter_map(|r| r.manifest_from.as_ref()?.artifact.as_ref());
    for artifact in artifacts.chain(sources).chain(manifest) {
        gather(&serde_json::to_value(&artifact.location)?, &mut secrets);
    }
    if let Some(location) = &template.archive_location {
        gather(&serde_json::to_value(location)?, &mut secrets);
    }
    Ok(Secrets(secrets))
}

fn gather(value: &Value, secrets: &mut BTreeMap<String, BTreeSet<String>>) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, member) in members {
        if name.ends_with("Secret") && member["name"].is_string() && member["key"].is_string() {
            secrets.entry(text(member, "name").to_owned()).or_default().insert(text(member, "key").to_owned());
        } else {
            gather(member, secrets);
        }
    }
}

impl Secrets {
    /// The volume of a secret; the prefix keeps it apart from the user's volumes.
    fn volume_name(secret: &str) -> String {
        format!("argo-secret-{}", secret.replace('.', "-"))
    }

    pub(super) fn mounts(&self) -> impl Iterator<Item = Value> {
        self.0.keys().map(|secret| {
            let path = format!("{}/{secret}", paths::SECRETS);
            json!({ "name": Self::volume_name(secret), "mountPath": path, "readOnly": true })
        })
    }

    fn volumes(&self) -> impl Iterator<Item = Value> {
        self.0.iter().map(|(secret, keys)| {
            let items: Vec<Value> = keys.iter().map(|key| json!({ "key": key, "path": key })).collect();
            json!({ "name": Self::volume_name(secret), "secret": { "secretName": secret, "items": items } })
        })
    }
}

/// The volumes that the containers mount.
///
/// A name is looked up in the template, in the workflow and in its claim templates.
pub(super) fn pod_volumes(
    input: &PodInput<'_>,
    inits: &[Value],
    containers: &[Value],
    secrets: &Secrets,
) -> Result<Vec<Value>, Error> {
    let mut volumes: Vec<Value> = vec![json!({ "name": SHARED, "emptyDir": {} })];
    if has_staging(input.template) {
        volumes.push(json!({ "name": STAGING, "emptyDir": {} }));
    }
    if staged(input.template).next().is_some() {
        volumes.push(json!({ "name": INPUTS, "emptyDir": {} }));
    }
    volumes.extend(secrets.volumes());
    let lists = inits.iter().chain(containers).flat_map(|c| [c.get("volumeMounts"), c.get("volumeDevices")]);
    for used in lists.flatten().filter_map(Value::as_array).flatten() {
        let name = text(used, "name");
        if !volumes.iter().any(|v| text(v, "name") == name) {
            volumes.push(find(input, name).ok_or_else(|| Error::UnknownVolume { name: name.to_owned() })?);
        }
    }
    Ok(volumes)
}

fn find(input: &PodInput<'_>, name: &str) -> Option<Value> {
    let mut declared = input.template.volumes.iter().chain(&input.spec.volumes);
    if let Some(volume) = declared.find(|v| text(v, "name") == name) {
        return Some(volume.clone());
    }
    let mut claims = input.spec.volume_claim_templates.iter();
    claims.find(|c| text(&c["metadata"], "name") == name)?;
    let claim = format!("{}-{name}", input.workflow.metadata.name);
    Some(json!({ "name": name, "persistentVolumeClaim": { "claimName": claim } }))
}
