//! Images: whether they are here, how they are pulled, and what they run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use super::super::backend::NotYet;
use super::cli::Cli;

/// Pause after a failed pull; doubled each time up to the second figure. The kubelet's.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    IfNotPresent,
    Always,
    Never,
}

impl Policy {
    /// Of a container's `imagePullPolicy`.
    pub fn of(text: Option<&str>) -> Self {
        match text {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            _ => Self::IfNotPresent,
        }
    }
}

/// The part of an image's configuration that matters to run it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// A name by which the engine has it.
    pub name: String,
    /// Runs before the arguments.
    pub entrypoint: Vec<String>,
    /// The arguments when the container gives neither command nor arguments.
    pub cmd: Vec<String>,
}

/// The engine's images.
pub struct Images {
    cli: Cli,
    /// One pull of an image at a time, with what the last one left. Images that are here have no entry.
    pulls: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Failed>>>>>,
}

/// A pull that failed.
struct Failed {
    message: String,
    pause: Duration,
    again: Instant,
}

impl Images {
    /// Those of this engine.
    pub fn new(cli: Cli) -> Self {
        Self { cli, pulls: Mutex::default() }
    }

    /// The image, pulled where the policy wants it; `pulling` is called before.
    /// Errors: what the kubelet would say; ask again later.
    pub async fn ensure(&self, image: &str, policy: Policy, pulling: impl Fn()) -> Result<Image, NotYet> {
        if policy != Policy::Always
            && let Some(found) = self.find(image).await
        {
            return Ok(found);
        }
        if policy == Policy::Never {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            return Err(NotYet { reason: "ErrImageNeverPull", message });
        }
        let entry = self.pulls.lock().entry(image.to_owned()).or_default().clone();
        let mut failed = entry.lock().await;
        if policy == Policy::IfNotPresent
            && let Some(found) = self.find(image).await
        {
            // another container has waited for it too
            return Ok(found);
        }
        if let Some(Failed { message, .. }) = failed.as_ref().filter(|failed| failed.again > Instant::now()) {
            let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {message}");
            return Err(NotYet { reason: "ImagePullBackOff", message });
        }
        pulling();
        let name = self.cli.flavor().pull_name(image);
        let pulled = self.cli.output(["pull", "--quiet", &name]).await.map_err(|error| error.to_string());
        let found = match pulled {
            Ok(_) => self.find(&name).await.ok_or_else(|| format!("image {name} is not here after it was pulled")),
            Err(text) => Err(text),
        };
        match found {
            Ok(found) => {
                self.pulls.lock().remove(image);
                Ok(found)
            }
            Err(message) => {
                let pause = failed.as_ref().map_or(BACKOFF.0, |failed| (failed.pause * 2).min(BACKOFF.1));
                *failed = Some(Failed { message: message.clone(), pause, again: Instant::now() + pause });
                Err(NotYet { reason: "ErrImagePull", message })
            }
        }
    }

    /// An image that is here.
    pub async fn find(&self, name: &str) -> Option<Image> {
        let text = self.cli.output(["image", "inspect", "--format", "{{json .Config}}", name]).await;
        let text = text.inspect_err(|error| tracing::debug!(%error, image = name, "no such image")).ok()?;
        parse(name, &text)
    }
}

/// What an engine says of an image.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

fn parse(name: &str, text: &str) -> Option<Image> {
    // an imported image may have no configuration at all
    let config = serde_json::from_str::<Option<Config>>(text.trim()).ok()?.unwrap_or_default();
    let (entrypoint, cmd) = (config.entrypoint.unwrap_or_default(), config.cmd.unwrap_or_default());
    Some(Image { name: name.to_owned(), entrypoint, cmd })
}

impl Image {
    /// The command line of a container that gives arguments only.
    /// Errors: a sentence for the user when nothing says what to run.
    pub fn command_line(&self, args: &[String]) -> Result<Vec<String>, String> {
        let tail = if args.is_empty() { &self.cmd } else { args };
        let line = [self.entrypoint.as_slice(), tail].concat();
        match line.is_empty() {
            true => Err(format!("image {} has neither entrypoint nor command: give command", self.name)),
            false => Ok(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_composed_like_docker_does() {
        let line = |config: &str, args: &[&str]| {
            let args: Vec<_> = args.iter().map(|arg| arg.to_string()).collect();
            parse("i", config).expect("a configuration").command_line(&args).map(|line| line.join(" "))
        };
        let both = r#"{"Entrypoint":["/e","x"],"Cmd":["c"],"Env":null}"#;
        assert_eq!(line(both, &[]), Ok("/e x c".into()));
        assert_eq!(line(both, &["a"]), Ok("/e x a".into()));
        assert_eq!(line(r#"{"Cmd":["sh"],"Entrypoint":null}"#, &[]), Ok("sh".into()));
        assert_eq!(line(r#"{"Cmd":["sh"]}"#, &["true"]), Ok("true".into()));
        let text = Err("image i has neither entrypoint nor command: give command".into());
        assert_eq!((line("{}", &[]), line("null", &[])), (text.clone(), text));
    }
}
