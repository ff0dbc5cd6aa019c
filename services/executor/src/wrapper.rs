//! `main`: runs the user's command, in a container set after its dependencies, and leaves its outputs for `wait`.

use std::io;
use std::path::Path;
use std::time::Duration;

use argosy_api::executor::MAIN;
use argosy_api::v1alpha1::{Artifact, ContainerSetRetryStrategy, IntOrString, Template};
use argosy_artifacts::{Archive, make_readable, pack};
use argosy_beneath::{At, Limits as TreeLimits};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::layout::{Layout, Problem};
use crate::work::blocking;
use argosy_api::executor::FAILED;

use crate::{Error, Limits, refused};

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
    /// Where a file or directory of this container can be read until the next call, when it has a copy within `limits`.
    /// Errors: `NotFound`, and those of the file system.
    async fn file(&self, path: &str, limits: TreeLimits) -> io::Result<At>;
    /// Leaves what the command wrote where `wait` looks for it.
    /// Errors: `File`.
    async fn keep_output(&self, layout: &Layout) -> Result<(), Error>;
    /// Cancelled when the container is asked to stop.
    fn stopping(&self) -> &CancellationToken;
}

/// Runs a wrapped container to its end: its exit code and termination message.
pub async fn wrap(container: &dyn Wrapped, layout: &Layout, limits: Limits) -> (i32, String) {
    let (code, message) = match run(container, layout, limits).await {
        Ok(code) => (code, String::new()),
        Err(error) => (FAILED, error.to_string()),
    };
    let written = layout.write(&layout.exit_code(container.name()), code.to_string().as_bytes());
    match written {
        Ok(()) => (code, message),
        Err(error) => (FAILED, error.to_string()),
    }
}

async fn run(container: &dyn Wrapped, layout: &Layout, limits: Limits) -> Result<i32, Error> {
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
        container.keep_output(layout).await?;
        keep_files(container, layout, &template, limits).await?;
    }
    Ok(code)
}

/// Leaves output files for `wait`. Missing ones are for it to judge; those that are there and not taken it is told of.
async fn keep_files(
    container: &dyn Wrapped,
    layout: &Layout,
    template: &Template,
    limits: Limits,
) -> Result<(), Error> {
    let mut problems = Vec::new();
    let parameters = template.outputs.parameters.iter().filter_map(|p| p.value_from.as_ref());
    for path in parameters.map(|from| &from.path).filter(|path| !path.is_empty()) {
        let read = match container.file(path, limits.parameter()).await {
            Ok(at) => blocking(move |_| Ok::<_, Error>(at.read(limits.outputs_bytes_max))).await?,
            Err(error) => Err(error),
        };
        match read {
            Ok(bytes) => layout.write(&layout.parameter(path), &bytes)?,
            Err(error) => note(path, &error, &mut problems),
        }
    }
    for artifact in template.outputs.artifacts.iter().filter(|artifact| !artifact.path.is_empty()) {
        match container.file(&artifact.path, limits.artifact()).await {
            Ok(found) => match keep_artifact(found, artifact, layout, limits).await? {
                Err(argosy_artifacts::Error::Limit { refusal }) => {
                    problems.push(Problem { path: artifact.path.clone(), what: refusal.to_string() });
                }
                kept => {
                    kept.map_err(|source| Error::Artifact { name: artifact.name.clone(), action: "save", source })?
                }
            },
            Err(error) => note(&artifact.path, &error, &mut problems),
        }
    }
    if !problems.is_empty() {
        let text = serde_json::to_vec(&problems).map_err(|source| Error::Template { source })?;
        layout.write(&layout.problems(), &text)?;
    }
    Ok(())
}

async fn keep_artifact(
    found: At,
    artifact: &Artifact,
    layout: &Layout,
    limits: Limits,
) -> Result<Result<(), argosy_artifacts::Error>, Error> {
    let name = Path::new(&artifact.path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let path = layout.artifact_of(artifact);
    layout.make_parent(&path)?;
    let (to, is_shared) = (layout.at(&path), layout.is_shared());
    let archive = Archive::of(artifact.archive.as_ref());
    let limits = limits.artifact();
    blocking(move |cancel| {
        let packed = pack(&found, &name, &to, archive, limits, cancel);
        let is_readable = || if is_shared { make_readable(&to, limits, cancel) } else { Ok(()) };
        Ok::<_, Error>(packed.and_then(|()| is_readable()))
    })
    .await
}

fn note(path: &str, error: &io::Error, problems: &mut Vec<Problem>) {
    match refused(error) {
        Some(what) => problems.push(Problem { path: path.to_owned(), what }),
        None => tracing::debug!(path, %error, "no output file"),
    }
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
