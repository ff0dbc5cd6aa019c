//! What images run by themselves. The executor stands before the user's command; where a template has none, that is the
//! command of its image, and only the image's registry knows it.
//! Source: Argo docs/workflow-executors.md (emissary), `workflow/util/entrypoint` for what is asked.

mod command;
mod reference;
mod registry;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use argosy_api::executor::WRAPPER;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub use command::Command as ImageCommand;
use command::Command;
use reference::Reference;

/// So many images are remembered; beyond that all are asked for anew.
const KNOWN_MAX: usize = 10_000;

/// Why it is not known what an image runs.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("image \"{image}\" has no command, and its container says none")]
    NoCommand { image: String },
    #[error("\"{image}\" is no name of an image")]
    Reference { image: String },
    #[error("ask the registry what image \"{image}\" runs: {what}; a container with a command needs no registry")]
    Refused { image: String, what: String },
    #[error("ask the registry what image \"{image}\" runs: {what}")]
    NoAnswer { image: String, what: String },
}

impl Error {
    /// Whether asking again may help.
    pub fn passes(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::NoCommand { .. } | Self::Reference { .. } | Self::Refused { .. } => false,
        }
    }
}

/// Where the images of a registry are asked for: `docker.io=http://mirror:5000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    registry: String,
    url: http::Uri,
}

/// A mirror that is none.
#[derive(Debug, thiserror::Error)]
#[error("expected REGISTRY=URL, such as docker.io=http://mirror:5000")]
pub struct BadMirror;

impl FromStr for Mirror {
    type Err = BadMirror;

    fn from_str(text: &str) -> Result<Self, BadMirror> {
        let (registry, url) = text.split_once('=').ok_or(BadMirror)?;
        let url: http::Uri = url.parse().map_err(|_| BadMirror)?;
        if registry.is_empty() || url.scheme().is_none() || url.host().is_none() {
            return Err(BadMirror);
        }
        Ok(Self { registry: registry.to_owned(), url })
    }
}

/// What is known of images.
#[derive(Default)]
pub(crate) struct Images {
    mirrors: Vec<Mirror>,
    configured: BTreeMap<String, Command>,
    known: Mutex<HashMap<String, Arc<OnceCell<Command>>>>,
}

impl Images {
    pub fn new(mirrors: Vec<Mirror>, configured: BTreeMap<String, Command>) -> Self {
        Self { mirrors, configured, known: Mutex::default() }
    }

    /// Gives each container whose wrapper stands before nothing the command of its image.
    pub async fn complete(&self, pod: &mut Value) -> Result<(), Error> {
        let Some(containers) = pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut) else { return Ok(()) };
        for container in containers.iter_mut().filter(|container| container["command"] == json!(WRAPPER)) {
            let image = container["image"].as_str().unwrap_or_default().to_owned();
            let command = self.command(&image).await?;
            fill(container, &image, command)?;
        }
        Ok(())
    }

    async fn command(&self, image: &str) -> Result<Command, Error> {
        if let Some(command) = self.configured.get(image) {
            return Ok(command.clone());
        }
        let cell = {
            let mut known = self.known.lock();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            Arc::clone(known.entry(image.to_owned()).or_default())
        };
        // who asks for the same meanwhile waits for the same answer
        let asked = cell.get_or_try_init(async || {
            let reference = Reference::parse(image).ok_or_else(|| Error::Reference { image: image.to_owned() })?;
            let mirror = self.mirrors.iter().find(|mirror| mirror.registry == reference.registry);
            registry::ask(&reference, mirror.map(|mirror| &mirror.url)).await.map_err(|failed| match failed {
                registry::Failed::Refused(what) => Error::Refused { image: image.to_owned(), what },
                registry::Failed::NoAnswer(what) => Error::NoAnswer { image: image.to_owned(), what },
            })
        });
        asked.await.cloned()
    }
}

fn fill(container: &mut Value, image: &str, command: Command) -> Result<(), Error> {
    let has_args = container["args"].as_array().is_some_and(|args| !args.is_empty());
    let runs_nothing = command.entrypoint.is_empty() && (has_args || command.cmd.is_empty());
    if runs_nothing && !has_args {
        return Err(Error::NoCommand { image: image.to_owned() });
    }
    let wrapped = WRAPPER.iter().map(|word| (*word).to_owned()).chain(command.entrypoint);
    container["command"] = json!(wrapped.collect::<Vec<_>>());
    if !has_args {
        container["args"] = json!(command.cmd);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(args: Value, entrypoint: &[&str], cmd: &[&str]) -> Result<(Value, Value), String> {
        let mut container = json!({"name": "main", "image": "i", "command": WRAPPER, "args": args});
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        fill(&mut container, "i", Command { entrypoint: words(entrypoint), cmd: words(cmd) })
            .map_err(|e| e.to_string())?;
        let command = container["command"].as_array().map(|all| all[WRAPPER.len()..].to_vec());
        Ok((json!(command), container["args"].clone()))
    }

    #[test]
    fn a_container_without_a_command_has_its_images() {
        assert_eq!(filled(json!(["a"]), &["/e"], &["b"]), Ok((json!(["/e"]), json!(["a"]))));
        assert_eq!(filled(json!(null), &["/e"], &["b"]), Ok((json!(["/e"]), json!(["b"]))));
        assert_eq!(filled(json!([]), &[], &["/b", "c"]), Ok((json!([]), json!(["/b", "c"]))));
        // as the container runtime has it: arguments alone are the command
        assert_eq!(filled(json!(["/a"]), &[], &["/b"]), Ok((json!([]), json!(["/a"]))));
        assert!(filled(json!(null), &[], &[]).is_err_and(|text| text.contains("has no command")));
    }

    #[test]
    fn mirrors_are_urls() {
        assert!("docker.io=http://127.0.0.1:5000".parse::<Mirror>().is_ok());
        for bad in ["", "docker.io", "=http://a", "docker.io=", "docker.io=mirror:5000/x y"] {
            assert!(bad.parse::<Mirror>().is_err(), "{bad}");
        }
    }
}
