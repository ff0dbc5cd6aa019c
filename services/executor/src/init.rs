//! `init`: stages the script and the input artifacts.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use argosy_api::v1alpha1::{Artifact, Template};
use argosy_artifacts::{Place, Store, place, place_of};

use crate::Error;
use crate::layout::{INPUTS, Layout, MAIN_FILES, SCRIPT, is_mounted, mains, user_mounts};

/// What `init` works with.
pub struct Inputs<'a> {
    /// The substituted template.
    pub template: &'a Template,
    /// The volume that all containers share.
    pub layout: &'a Layout,
    /// Where artifacts are kept.
    pub store: &'a dyn Store,
    /// The host's path for a path of this container.
    pub host: &'a (dyn Fn(&str) -> io::Result<PathBuf> + Sync),
}

/// Stages everything. May be repeated.
/// Errors: an input that is neither there nor optional; those of the file system.
pub async fn stage(inputs: Inputs<'_>) -> Result<(), Error> {
    let template = inputs.template;
    let text = serde_json::to_vec(template).map_err(|source| Error::Template { source })?;
    inputs.layout.write(&inputs.layout.template(), &text)?;
    for main in mains(template) {
        inputs.layout.make_container(&main)?;
    }
    for sidecar in &template.sidecars {
        inputs.layout.make_container(&sidecar.container.name)?;
    }
    if let Some(script) = template.script.as_ref().filter(|script| !script.source.is_empty()) {
        let failed = |source| Error::File { path: SCRIPT.into(), source };
        let path = (inputs.host)(SCRIPT).map_err(failed)?;
        std::fs::write(&path, &script.source).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    let mounts = user_mounts(template);
    for artifact in template.inputs.artifacts.iter().filter(|artifact| !artifact.path.is_empty()) {
        let place = place_of(&artifact.location);
        if artifact.optional && matches!(place, Err(argosy_artifacts::Error::NoLocation)) {
            continue;
        }
        let inside = match is_mounted(&artifact.path, &mounts) {
            true => format!("{MAIN_FILES}{}", artifact.path),
            false => format!("{INPUTS}/{}", artifact.name),
        };
        let to = (inputs.host)(&inside).map_err(|source| Error::File { path: inside, source })?;
        match load(artifact, inputs.store, &to).await {
            Err(argosy_artifacts::Error::NotFound { .. }) if artifact.optional => {}
            loaded => {
                loaded.map_err(|source| Error::Artifact { name: artifact.name.clone(), action: "load", source })?;
            }
        }
    }
    Ok(())
}

async fn load(artifact: &Artifact, store: &dyn Store, to: &Path) -> Result<(), argosy_artifacts::Error> {
    let name = to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let part = to.with_file_name(format!(".{name}.loading"));
    // a run before this one may have been cut off
    let removed = if part.is_dir() { std::fs::remove_dir_all(&part) } else { std::fs::remove_file(&part) };
    if let Err(error) = removed {
        tracing::trace!(%error, "nothing to remove");
    }
    let io = |source| argosy_artifacts::Error::Io { doing: "write", path: part.clone(), source };
    if let Some(parent) = part.parent() {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    match place_of(&artifact.location)? {
        Place::Raw(text) => std::fs::write(&part, text).map_err(io)?,
        Place::Key(key) => {
            let key = match artifact.sub_path.trim_matches('/') {
                "" => key,
                sub_path => format!("{key}/{sub_path}"),
            };
            store.get(&key, &part).await?;
        }
    }
    if part.is_dir() && to.is_file() {
        std::fs::remove_file(to).map_err(io)?;
    }
    place(&part, to, artifact)?;
    if part.is_dir() {
        std::fs::remove_dir_all(&part).map_err(io)?;
    }
    Ok(())
}
