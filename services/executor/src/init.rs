//! `init`: stages the script and the input artifacts.

use std::io::{self, Write};
use std::path::Path;

use argosy_api::executor::paths::{INPUTS, MAIN_FILES, SCRIPT};
use argosy_api::v1alpha1::{Artifact, Template};
use argosy_artifacts::{Place, Stores, beside, place, place_of};
use argosy_beneath::At;

use crate::layout::{Layout, is_mounted, user_mounts};
use crate::work::blocking;
use crate::{Error, Limits};

/// What `init` works with.
pub struct Inputs<'a> {
    /// The substituted template.
    pub template: &'a Template,
    /// Where the executor's containers meet.
    pub layout: &'a Layout,
    /// Where artifacts are kept.
    pub stores: &'a dyn Stores,
    /// Where a path of this container is.
    pub host: &'a (dyn Fn(&str) -> io::Result<At> + Sync),
    /// What an artifact may have.
    pub limits: Limits,
}

/// Stages everything. May be repeated.
/// Errors: an input that is neither there nor optional; those of the file system.
pub async fn stage(inputs: Inputs<'_>) -> Result<(), Error> {
    let template = inputs.template;
    let text = serde_json::to_vec(template).map_err(|source| Error::Template { source })?;
    inputs.layout.write(&inputs.layout.template(), &text)?;
    if let Some(script) = template.script.as_ref().filter(|script| !script.source.is_empty()) {
        let failed = |source| Error::File { path: SCRIPT.into(), source };
        let at = (inputs.host)(SCRIPT).map_err(failed)?;
        let made = at.dir.create(&at.path, 0o755);
        made.and_then(|mut file| file.write_all(script.source.as_bytes())).map_err(failed)?;
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
        match load(artifact, &inputs, &to).await? {
            Err(argosy_artifacts::Error::NotFound { .. }) if artifact.optional => {}
            // told as Argo's executor tells it, without saying what was done
            Err(source @ argosy_artifacts::Error::NoTarball) => return Err(Error::Archive { source }),
            Err(argosy_artifacts::Error::NoLocation) => {
                return Err(Error::NotSupplied { name: artifact.name.clone() });
            }
            loaded => {
                loaded.map_err(|source| Error::Artifact { name: artifact.name.clone(), action: "load", source })?;
            }
        }
    }
    Ok(())
}

/// Puts an artifact where it belongs, unpacked.
/// Errors: the inner one is the artifact's.
pub(crate) async fn load(
    artifact: &Artifact,
    inputs: &Inputs<'_>,
    to: &At,
) -> Result<Result<(), argosy_artifacts::Error>, Error> {
    let part = beside(to, "loading");
    let fetched = fetch(artifact, inputs, &part).await;
    if fetched.is_err() {
        return Ok(fetched);
    }
    let (artifact, to, limits) = (artifact.clone(), to.clone(), inputs.limits.artifact());
    blocking(move |cancel| {
        let placed = place(&part, &to, &artifact, limits, cancel);
        let removed = part.dir.remove(&part.path).map_err(io_error(&part));
        Ok::<_, Error>(placed.and(removed.map(drop)))
    })
    .await
}

async fn fetch(artifact: &Artifact, inputs: &Inputs<'_>, part: &At) -> Result<(), argosy_artifacts::Error> {
    // a run before this one may have been cut off
    part.dir.remove(&part.path).map_err(io_error(part))?;
    part.dir.make_dir(part.path.parent().unwrap_or(Path::new("")), 0o755).map_err(io_error(part))?;
    match place_of(&artifact.location)? {
        Place::Raw(text) => {
            let made = part.dir.create(&part.path, 0o644);
            made.and_then(|mut file| file.write_all(text.as_bytes())).map_err(io_error(part))
        }
        Place::Key(key) => {
            let key = match artifact.sub_path.trim_matches('/') {
                "" => key,
                sub_path => format!("{key}/{sub_path}"),
            };
            inputs.stores.of(&artifact.location)?.get(&key, part, inputs.limits.artifact()).await
        }
    }
}

fn io_error(at: &At) -> impl FnOnce(io::Error) -> argosy_artifacts::Error + use<> {
    let path = at.path.clone();
    move |source| argosy_artifacts::Error::Io { doing: "write", path, source }
}
