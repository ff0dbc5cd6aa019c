//! `main`: runs the user's command, in a container set after its dependencies, and leaves its outputs for `wait`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argosy_api::v1alpha1::{Artifact, ContainerSetRetryStrategy, IntOrString, Template};
use argosy_artifacts::{Archive, pack};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::layout::{Layout, MAIN};
use crate::{Error, FAILED};

/// A container with the user's command in it.
#[async_trait]
pub trait Wrapped: Send + Sync {
    /// Its name.
    fn name(&self) -> &str;
    /// Runs the user's command for the n-th time (0-based) and gives its exit code.
    /// Errors: `Command`, `Start`.
    async fn run(&self, attempt: u32) -> Result<i32, Error>;
    /// Waits for the end of another container of the set and gives its exit code.
    async fn dependency(&self, name: &str) -> i32;
    /// The path at which a file of this container can be read until the next call.
    /// Errors: `NotFound`, and those of the file system.
    async fn file(&self, path: &str) -> io::Result<PathBuf>;
    /// Leaves what the command wrote where `wait` looks for it.
    /// Errors: `File`.
    fn keep_output(&self, layout: &Layout) -> Result<(), Error>;
    /// Cancelled when the container is asked to stop.
    fn stopping(&self) -> &CancellationToken;
}

/// Runs a wrapped container to its end: its exit code and termination message.
pub async fn wrap(container: &dyn Wrapped, layout: &Layout) -> (i32, String) {
    let (code, message) = match run(container, layout).await {
        Ok(code) => (code, String::new()),
        Err(error) => (FAILED, error.to_string()),
    };
    let written = layout.write(&layout.exit_code(container.name()), code.to_string().as_bytes());
    match written {
        Ok(()) => (code, message),
        Err(error) => (FAILED, error.to_string()),
    }
}

async fn run(container: &dyn Wrapped, layout: &Layout) -> Result<i32, Error> {
    let template = layout.read_template()?.unwrap_or_default();
    let set = template.container_set.as_ref();
    let node = set.and_then(|set| set.containers.iter().find(|node| node.container.name == container.name()));
    for name in node.iter().flat_map(|node| &node.dependencies) {
        match container.dependency(name).await {
            0 => {}
            code => {
                return Err(Error::Dependency { name: name.clone(), code });
            }
        }
    }
    let (retries, pause) = match set.and_then(|set| set.retry_strategy.as_ref()) {
        Some(strategy) if node.is_some() => retries(strategy),
        _ => (0, Duration::ZERO),
    };
    let mut attempt = 0;
    let code = loop {
        let code = container.run(attempt).await?;
        if code == 0 || attempt >= retries || container.stopping().is_cancelled() {
            break code;
        }
        attempt += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = container.stopping().cancelled() => break code,
        }
    };
    if container.name() == MAIN {
        container.keep_output(layout)?;
        keep_files(container, layout, &template).await?;
    }
    Ok(code)
}

/// Leaves output files in the shared volume. Missing ones are for `wait` to judge.
async fn keep_files(container: &dyn Wrapped, layout: &Layout, template: &Template) -> Result<(), Error> {
    let parameters = template.outputs.parameters.iter().filter_map(|p| p.value_from.as_ref());
    for path in parameters.map(|from| &from.path).filter(|path| !path.is_empty()) {
        let found = container.file(path).await.and_then(std::fs::read);
        match found {
            Ok(bytes) => layout.write(&layout.parameter(path), &bytes)?,
            Err(error) => note(path, &error),
        }
    }
    for artifact in template.outputs.artifacts.iter().filter(|artifact| !artifact.path.is_empty()) {
        match container.file(&artifact.path).await {
            Ok(found) => {
                let failed = |source| Error::Artifact { name: artifact.name.clone(), action: "save", source };
                keep_artifact(&found, artifact, layout).map_err(failed)?;
            }
            Err(error) => note(&artifact.path, &error),
        }
    }
    Ok(())
}

fn keep_artifact(found: &Path, artifact: &Artifact, layout: &Layout) -> Result<(), argosy_artifacts::Error> {
    let name = Path::new(&artifact.path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let to = layout.artifact(&artifact.path);
    let archive = Archive::of(artifact.archive.as_ref())?;
    if to.is_dir() {
        // left by a run that was cut off
        let io = |source| argosy_artifacts::Error::Io { doing: "remove", path: to.clone(), source };
        std::fs::remove_dir_all(&to).map_err(io)?;
    }
    pack(found, &name, &to, archive)
}

fn note(path: &str, error: &io::Error) {
    tracing::debug!(path, %error, "no output file");
}

/// Retries after the first run, and the pause before each.
fn retries(strategy: &ContainerSetRetryStrategy) -> (u32, Duration) {
    let count = match strategy.retries.as_ref() {
        Some(IntOrString::Int(n)) => u32::try_from(*n).unwrap_or(0),
        Some(IntOrString::Text(text)) => text.trim().parse().unwrap_or(0),
        None => 0,
    };
    (count, duration(&strategy.duration).unwrap_or_default())
}

/// A Go duration such as `1m30s`, or plain seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let unit = match &tail[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = &tail[end..];
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_durations() {
        let ms = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(
            (ms("1m30s"), ms("250ms"), ms("3"), ms("x"), ms("1y")),
            (Some(90_000), Some(250), Some(3000), None, None)
        );
    }
}
