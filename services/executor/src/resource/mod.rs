//! `resource` templates: what Argo's executor asks of `kubectl`, asked of the API server directly.
//! Source: Argo `workflow/executor/resource.go`, `docs/walk-through/kubernetes-resources.md`; messages as `kubectl` 1.33 writes them.

mod action;
mod condition;
mod error;
mod filter;
mod flags;
mod job;
mod jq;
mod jsonpath;
mod kinds;
mod object;
mod output;
mod wait;

use std::path::Path;

use argosy_api::v1alpha1::{ResourceTemplate, WorkflowOwner};
use argosy_artifacts::{Place, place_of};
use serde_json::{Value, json};

use crate::init::{Inputs, load};
use crate::limits::{MANIFEST_BYTES_MAX, OWN_BYTES_MAX};
use crate::refused;
use crate::work::blocking;
use action::{Action, Doing, Target};
use condition::Conditions;
pub use error::Error;
use error::MANIFEST;
pub use filter::{COMMAND as FILTER_COMMAND, main as filter_main};
use flags::Flags;
pub use job::Job;

impl Job<'_> {
    /// Acts, waits for the conditions, and leaves the output parameters for `wait`.
    /// Repeated after a cut, it does not act again once the objects were noted in the volume.
    /// Errors: see [`Error`]; its text is the step's message.
    pub async fn run(&self) -> Result<(), crate::Error> {
        let Some(resource) = &self.template.resource else {
            return Err(Error::NoResource.into());
        };
        let from = resource.manifest_from.as_ref().and_then(|from| from.artifact.as_ref());
        let named = from.and_then(|from| self.template.inputs.artifacts.iter().find(|input| input.name == from.name));
        match (self.done(resource).await, named) {
            (Err(crate::Error::Resource(source)), Some(named)) => {
                Err(Error::Elsewhere { path: named.path.clone(), source: Box::new(source) }.into())
            }
            (done, _) => done,
        }
    }

    async fn done(&self, resource: &ResourceTemplate) -> Result<(), crate::Error> {
        let done = self.layout.resource();
        let targets = match self.layout.read(&done, OWN_BYTES_MAX)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|source| Error::Encode { source })?,
            None => {
                let targets = self.act(resource).await?;
                let text = serde_json::to_vec(&targets).map_err(|source| Error::Encode { source })?;
                self.layout.write(&done, &text)?;
                targets
            }
        };
        let conditions = Conditions::parse(&resource.success_condition, &resource.failure_condition)?;
        if !conditions.is_empty() {
            for target in &targets {
                wait::until(self, target, &conditions).await?;
            }
        }
        output::keep(self, targets.first()).await
    }

    async fn act(&self, resource: &ResourceTemplate) -> Result<Vec<Target>, crate::Error> {
        let action: Action = resource.action.parse()?;
        let flags = Flags::parse(&resource.action, &resource.flags)?;
        let text = self.manifest(resource).await?;
        if text.trim().is_empty() && resource.flags.is_empty() {
            return Err(Error::Nothing.into());
        }
        let is_patch_body = action == Action::Patch && (!flags.words.is_empty() || resource.merge_strategy == "json");
        let mut manifests = blocking(move |_| documents(&text)).await?;
        if resource.set_owner_reference && !is_patch_body {
            manifests.iter_mut().try_for_each(|manifest| self.own(manifest))?;
        }
        let doing = Doing { job: self, action, flags: &flags, strategy: &resource.merge_strategy };
        if is_patch_body {
            let Some(body) = manifests.pop() else { return Err(Error::Nothing.into()) };
            return Ok(doing.patch_named(body).await?);
        }
        match manifests.is_empty() {
            true => Ok(doing.named().await?),
            false => Ok(doing.manifests(manifests).await?),
        }
    }

    async fn manifest(&self, resource: &ResourceTemplate) -> Result<String, crate::Error> {
        let Some(from) = resource.manifest_from.as_ref().and_then(|from| from.artifact.as_ref()) else {
            return Ok(resource.manifest.clone());
        };
        let failed = |source| crate::Error::Artifact { name: from.name.clone(), action: "load", source };
        let named = self.template.inputs.artifacts.iter().find(|artifact| artifact.name == from.name);
        let location = &named.unwrap_or(from).location;
        match place_of(location).map_err(failed)? {
            Place::Raw(text) => Ok(text),
            Place::Key(_) => {
                let to = self.layout.at(Path::new("manifest"));
                let nowhere = |_: &str| Err(std::io::ErrorKind::Unsupported.into());
                let (template, layout, stores) = (self.template, self.layout, self.stores);
                let inputs = Inputs { template, layout, stores, host: &nowhere, limits: self.limits };
                load(named.unwrap_or(from), &inputs, &to).await?.map_err(failed)?;
                let read = blocking(move |_| Ok::<_, crate::Error>(to.read(MANIFEST_BYTES_MAX))).await?;
                let text = match read {
                    Err(error) if refused(&error).is_some() => {
                        return Err(Error::Large { bytes_max: MANIFEST_BYTES_MAX }.into());
                    }
                    read => read.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other)),
                };
                text.map_err(|source| crate::Error::File { path: MANIFEST.into(), source })
            }
        }
    }

    /// The workflow becomes the controller of the object.
    fn own(&self, manifest: &mut Value) -> Result<(), Error> {
        let owners = json!([WorkflowOwner::controller(self.workflow, self.workflow_uid)]);
        object::own(manifest, owners)
    }
}

/// The documents of a manifest; a `List` counts as its items.
fn documents(text: &str) -> Result<Vec<Value>, Error> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let read: Result<Vec<Value>, _> = serde_saphyr::from_str_multiple_with_options(text, options);
    let read = read.map_err(|source| Error::Manifest { source: Box::new(source) })?;
    let mut documents = Vec::new();
    for mut document in read {
        if document.get("kind").is_some_and(|kind| kind == "List") {
            documents.append(&mut items_of(&mut document));
        } else if !document.is_null() {
            documents.push(document);
        }
    }
    Ok(documents)
}

fn items_of(list: &mut Value) -> Vec<Value> {
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
