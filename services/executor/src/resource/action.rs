//! The actions, done to one object after the other.

use std::str::FromStr;

use futures::TryStreamExt;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::runtime::watcher::watch_object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Error, MANIFEST};
use super::flags::Flags;
use super::job::Job;
use super::kinds::{self, Found};
use super::object;

/// Where `kubectl apply` notes what was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is done to objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    Create,
    Apply,
    Delete,
    Patch,
    Replace,
}

impl FromStr for Action {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "get" => Self::Get,
            "create" => Self::Create,
            "apply" => Self::Apply,
            "delete" => Self::Delete,
            "patch" => Self::Patch,
            "replace" => Self::Replace,
            _ => return Err(Error::Action { action: text.to_owned() }),
        })
    }
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Delete => "delete",
            Self::Patch => "patch",
            Self::Replace => "replace",
        }
    }
}

/// An object that was acted on and still is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub found: Found,
    pub namespace: String,
    pub name: String,
}

impl Target {
    pub fn api(&self, job: &Job<'_>) -> Api<DynamicObject> {
        api(job, &self.found, &self.namespace)
    }

    /// `kind.group/name`, as Argo shows it.
    pub fn shown(&self) -> String {
        let kind = self.found.kind.to_lowercase();
        match self.found.group.as_str() {
            "" => format!("{kind}/{}", self.name),
            group => format!("{kind}.{group}/{}", self.name),
        }
    }
}

fn api(job: &Job<'_>, found: &Found, namespace: &str) -> Api<DynamicObject> {
    match found.namespaced {
        true => Api::namespaced_with(job.client.clone(), namespace, &found.resource()),
        false => Api::all_with(job.client.clone(), &found.resource()),
    }
}

/// An action with its flags.
pub(super) struct Doing<'a> {
    pub job: &'a Job<'a>,
    pub action: Action,
    pub flags: &'a Flags,
    pub strategy: &'a str,
}

impl Doing<'_> {
    /// Acts on objects that the flags name.
    pub async fn named(&self) -> Result<Vec<Target>, Error> {
        if !matches!(self.action, Action::Get | Action::Delete) {
            return Err(Error::NoManifest);
        }
        let mut targets = Vec::new();
        for (word, name) in self.flags.named()? {
            let found = kinds::by_word(self.job.client, &word).await?;
            let names = match name {
                Some(name) => vec![name],
                None => self.selected(&found).await?,
            };
            for name in names {
                targets.extend(self.one(self.target(&found, None, name), None).await?);
            }
        }
        Ok(targets)
    }

    /// The names that the selectors choose.
    async fn selected(&self, found: &Found) -> Result<Vec<String>, Error> {
        let Flags { labels, fields, all, .. } = self.flags;
        if self.action == Action::Delete && labels.is_none() && fields.is_none() && !all {
            return Err(Error::NoNameOrSelector);
        }
        let mut params = ListParams::default();
        params.label_selector.clone_from(labels);
        params.field_selector.clone_from(fields);
        let api = api(self.job, found, self.namespace());
        let list = api.list_metadata(&params).await.map_err(Error::refused(""))?;
        if list.items.is_empty() {
            (self.job.log)("No resources found");
        }
        Ok(list.items.into_iter().filter_map(|object| object.metadata.name).collect())
    }

    /// Patches the objects that the flags name.
    pub async fn patch_named(&self, body: Value) -> Result<Vec<Target>, Error> {
        let mut targets = Vec::new();
        for (word, name) in self.flags.named()? {
            let found = kinds::by_word(self.job.client, &word).await?;
            let name = name.ok_or(Error::NoName)?;
            targets.push(self.patch(self.target(&found, None, name), &body).await?);
        }
        if targets.is_empty() { Err(Error::NoManifest) } else { Ok(targets) }
    }

    /// Acts on each object of a manifest.
    pub async fn manifests(&self, manifests: Vec<Value>) -> Result<Vec<Target>, Error> {
        let mut targets = Vec::new();
        for manifest in manifests {
            // `get` and `delete` do not validate.
            if !manifest.is_object() && !matches!(self.action, Action::Get | Action::Delete) {
                return Err(Error::NoMap);
            }
            let text = |at: &str| manifest.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (version, kind) = (text("/apiVersion"), text("/kind"));
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            if version.is_empty() || kind.is_empty() {
                let what = format!(
                    "Object '{}' is missing in '{manifest}'",
                    if kind.is_empty() { "Kind" } else { "apiVersion" }
                );
                return Err(Error::Decode { what });
            }
            let found = kinds::by_kind(self.job.client, &version, &kind).await?;
            let Some(found) = found else {
                return Err(Error::NoKind { name, namespace, kind, version });
            };
            let target = self.target(&found, Some(namespace).filter(|text| !text.is_empty()), name);
            targets.extend(self.one(target, Some(manifest)).await?);
        }
        if targets.is_empty() && !matches!(self.action, Action::Get | Action::Delete) {
            return Err(Error::NoObjects { action: self.action.name() });
        }
        Ok(targets)
    }

    fn namespace(&self) -> &str {
        self.flags.namespace.as_deref().unwrap_or(self.job.namespace)
    }

    fn target(&self, found: &Found, namespace: Option<String>, name: String) -> Target {
        let namespace = namespace.unwrap_or_else(|| self.namespace().to_owned());
        Target { found: found.clone(), namespace, name }
    }

    async fn one(&self, target: Target, manifest: Option<Value>) -> Result<Option<Target>, Error> {
        if target.name.is_empty() && self.action != Action::Create {
            return Err(Error::NoName);
        }
        let done = match (self.action, manifest) {
            (Action::Get, _) => return self.get(target).await,
            (Action::Delete, manifest) => return self.delete(target, manifest.is_some()).await.map(|()| None),
            (_, None) => return Err(Error::NoManifest),
            (Action::Create, Some(manifest)) => self.create(target, &manifest).await?,
            (Action::Apply, Some(manifest)) => self.apply(target, manifest).await?,
            (Action::Patch, Some(manifest)) => self.patch(target, &manifest).await?,
            (Action::Replace, Some(manifest)) => self.replace(target, manifest).await?,
        };
        (self.job.log)(&format!("{} {}", done.shown(), past(self.action)));
        Ok(Some(done))
    }

    async fn get(&self, target: Target) -> Result<Option<Target>, Error> {
        match target.api(self.job).get_metadata(&target.name).await {
            Ok(_) => Ok(Some(target)),
            Err(kube::Error::Api(status)) if status.code == 404 && self.flags.ignore_not_found => Ok(None),
            Err(error) => Err(Error::refused("")(error)),
        }
    }

    async fn create(&self, target: Target, manifest: &Value) -> Result<Target, Error> {
        let params = PostParams { field_manager: Some(self.manager("kubectl-create")), ..PostParams::default() };
        let created = target.api(self.job).create(&params, &decode(manifest)?).await;
        let created = created.map_err(Error::refused(format!("error when creating \"{MANIFEST}\": ")))?;
        Ok(Target { name: created.metadata.name.unwrap_or_default(), ..target })
    }

    async fn replace(&self, target: Target, manifest: Value) -> Result<Target, Error> {
        if self.flags.force {
            let flags = Flags { ignore_not_found: true, ..Flags::default() };
            let doing = Doing { job: self.job, action: Action::Delete, flags: &flags, strategy: "" };
            doing.delete(target.clone(), true).await?;
            return self.create(target, &manifest).await;
        }
        let doing = format!("error when replacing \"{MANIFEST}\": ");
        let api = target.api(self.job);
        let mut object = decode(&manifest)?;
        if object.metadata.resource_version.is_none() {
            let now = api.get_metadata(&target.name).await.map_err(Error::refused(doing.clone()))?;
            object.metadata.resource_version = now.metadata.resource_version;
        }
        let params = PostParams { field_manager: Some(self.manager("kubectl-replace")), ..PostParams::default() };
        api.replace(&target.name, &params, &object).await.map_err(Error::refused(doing))?;
        Ok(target)
    }

    async fn patch(&self, target: Target, body: &Value) -> Result<Target, Error> {
        let params = PatchParams { field_manager: Some(self.manager("kubectl-patch")), ..PatchParams::default() };
        let patch = match self.strategy {
            "" | "strategic" => Patch::Strategic(body.clone()),
            "merge" => Patch::Merge(body.clone()),
            "json" => Patch::Json(serde_json::from_value(body.clone()).map_err(|source| Error::Patch { source })?),
            other => return Err(Error::Strategy { strategy: other.to_owned() }),
        };
        let api = target.api(self.job);
        let patched = match self.flags.subresource.as_deref() {
            Some(part) => api.patch_subresource(part, &target.name, &params, &patch).await,
            None => api.patch(&target.name, &params, &patch).await,
        };
        patched.map_err(Error::refused(""))?;
        Ok(target)
    }

    /// As `kubectl apply` does it: fields of the last applied manifest that the new one lacks are removed.
    async fn apply(&self, target: Target, mut manifest: Value) -> Result<Target, Error> {
        let api = target.api(self.job);
        if self.flags.server_side {
            let mut params = PatchParams::apply(&self.manager("kubectl"));
            params.force = self.flags.force_conflicts;
            api.patch(&target.name, &params, &Patch::Apply(&manifest)).await.map_err(Error::refused(""))?;
            return Ok(target);
        }
        let note = format!("{manifest}\n");
        let current = api.get_opt(&target.name).await;
        let doing = format!("error when retrieving current configuration of \"{MANIFEST}\": ");
        let Some(current) = current.map_err(Error::refused(doing))? else {
            object::annotate(&mut manifest, LAST_APPLIED, note)?;
            return self.create(target, &manifest).await;
        };
        let last = current.metadata.annotations.as_ref().and_then(|notes| notes.get(LAST_APPLIED));
        let last: Value = last.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        object::annotate(&mut manifest, LAST_APPLIED, note)?;
        let mut patch = manifest;
        remove_missing(&last, &mut patch);
        let manager = self.manager("kubectl-client-side-apply");
        let params = PatchParams { field_manager: Some(manager), ..PatchParams::default() };
        let patched = match api.patch(&target.name, &params, &Patch::Strategic(&patch)).await {
            // custom resources know no strategic merge
            Err(kube::Error::Api(status)) if status.code == 415 => {
                api.patch(&target.name, &params, &Patch::Merge(&patch)).await
            }
            patched => patched,
        };
        patched.map_err(Error::refused(format!("error when applying patch to \"{MANIFEST}\": ")))?;
        Ok(target)
    }

    /// Deletes, and waits until the object is gone.
    async fn delete(&self, target: Target, from_manifest: bool) -> Result<(), Error> {
        let api = target.api(self.job);
        let policy = match self.flags.cascade.as_deref() {
            Some("orphan" | "false") => PropagationPolicy::Orphan,
            Some("foreground") => PropagationPolicy::Foreground,
            _ => PropagationPolicy::Background,
        };
        let grace = self.flags.grace_period.or(self.flags.force.then_some(0));
        let params =
            DeleteParams { propagation_policy: Some(policy), grace_period_seconds: grace, ..DeleteParams::default() };
        let uid = match api.delete(&target.name, &params).await {
            Ok(answer) => answer.left().and_then(|object| object.metadata.uid),
            Err(kube::Error::Api(status)) if status.code == 404 && self.flags.ignore_not_found => return Ok(()),
            Err(error) => {
                let doing = if from_manifest { format!("error when deleting \"{MANIFEST}\": ") } else { String::new() };
                return Err(Error::refused(doing)(error));
            }
        };
        // an answer without an object says that it is gone already
        if let Some(uid) = uid.filter(|_| !self.flags.no_wait) {
            let mut seen = std::pin::pin!(watch_object(api, &target.name));
            let failed = |source| Error::Watch { name: target.shown(), source: Box::new(source) };
            while let Some(object) = seen.try_next().await.map_err(failed)? {
                if object.is_none_or(|object| object.metadata.uid.as_ref() != Some(&uid)) {
                    break;
                }
            }
        }
        (self.job.log)(&format!("{} {}", target.shown(), past(Action::Delete)));
        Ok(())
    }

    fn manager(&self, default: &str) -> String {
        self.flags.field_manager.clone().unwrap_or_else(|| default.to_owned())
    }
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Get => "read",
        Action::Create => "created",
        Action::Apply => "applied",
        Action::Delete => "deleted",
        Action::Patch => "patched",
        Action::Replace => "replaced",
    }
}

fn decode(manifest: &Value) -> Result<DynamicObject, Error> {
    serde_json::from_value(manifest.clone()).map_err(|error| Error::Decode { what: error.to_string() })
}

/// Adds a null for each key that `last` has and `patch` lacks.
pub(super) fn remove_missing(last: &Value, patch: &mut Value) {
    let (Value::Object(last), Value::Object(patch)) = (last, patch) else { return };
    for (key, old) in last {
        match patch.get_mut(key) {
            Some(new) => remove_missing(old, new),
            None => drop(patch.insert(key.clone(), Value::Null)),
        }
    }
}
