//! What an image would run, for images that are known by name only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Programs that the node provides because the images of Argo's examples have them and hosts often do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// `/argosay`, Argo's test program.
    Argosay,
    /// `cowsay`.
    Cowsay,
    /// `python`, where the host has only `python3`.
    Python,
}

/// The part of an image's configuration that matters to run it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Image {
    /// Runs before the arguments.
    pub entrypoint: Vec<String>,
    /// The arguments when the container gives neither command nor arguments.
    pub cmd: Vec<String>,
    /// Programs the image has.
    pub tools: Vec<Tool>,
}

/// Images by name, as written or without registry, `library/` and tag.
#[derive(Clone, Debug)]
pub struct Images {
    by_name: BTreeMap<String, Image>,
}

impl Default for Images {
    /// The images that Argo's examples use and that need no more than the host has.
    fn default() -> Self {
        let mut images = Self { by_name: BTreeMap::new() };
        for base in ["busybox", "alpine", "debian", "ubuntu", "bash"] {
            images.insert(base, Image { cmd: vec!["sh".into()], ..Image::default() });
        }
        let python = Image { cmd: vec!["python3".into()], tools: vec![Tool::Python], ..Image::default() };
        images.insert("python", python);
        let argosay = Image {
            entrypoint: vec!["/argosay".into()],
            tools: vec![Tool::Argosay, Tool::Cowsay, Tool::Python],
            ..Image::default()
        };
        images.insert("argoproj/argosay", argosay);
        images
            .insert("docker/whalesay", Image { tools: vec![Tool::Cowsay], cmd: vec!["sh".into()], ..Image::default() });
        for program in ["curl", "jq", "git"] {
            let image = Image { entrypoint: vec![program.into()], ..Image::default() };
            let name = match program {
                "curl" => "curlimages/curl",
                "jq" => "stedolan/jq",
                _ => "alpine/git",
            };
            images.insert(name, image);
        }
        images
    }
}

impl Images {
    /// Adds or replaces an image.
    pub fn insert(&mut self, name: &str, image: Image) {
        self.by_name.insert(name.to_owned(), image);
    }

    /// The image of this name, else of its name without tag, digest and default registry.
    pub fn get(&self, name: &str) -> Option<&Image> {
        let bare = bare(name);
        self.by_name.get(name).or_else(|| self.by_name.get(bare))
    }

    /// The whole command line of a container, as Docker composes it.
    /// Errors: a sentence for the user when nothing says what to run.
    pub fn command_line(&self, name: &str, command: &[String], args: &[String]) -> Result<Vec<String>, String> {
        if !command.is_empty() {
            return Ok([command, args].concat());
        }
        let image = self.get(name).cloned().unwrap_or_default();
        let tail = if args.is_empty() { &image.cmd } else { args };
        let line = [image.entrypoint.as_slice(), tail].concat();
        // arguments alone are a command only for an image that is known to have no entrypoint
        if line.is_empty() || self.get(name).is_none() {
            return Err(format!("image {name} has no known entrypoint: give the container a command"));
        }
        Ok(line)
    }
}

fn bare(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let name = match name.rsplit_once(':') {
        Some((head, tag)) if !tag.contains('/') => head,
        _ => name,
    };
    let name = name.strip_prefix("docker.io/").or(name.strip_prefix("quay.io/")).unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(image: &str, command: &[&str], args: &[&str]) -> Result<Vec<String>, String> {
        let own = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        Images::default().command_line(image, &own(command), &own(args))
    }

    #[test]
    fn command_lines_are_composed_like_docker_does() {
        assert_eq!(
            line("argoproj/argosay:v2", &[], &["echo", "a"]),
            Ok(vec!["/argosay".into(), "echo".into(), "a".into()])
        );
        assert_eq!(line("docker.io/library/busybox:1", &[], &[]), Ok(vec!["sh".into()]));
        assert_eq!(line("alpine", &[], &["true"]), Ok(vec!["true".into()]));
        assert_eq!(line("localhost:5000/x", &["a"], &["b"]), Ok(vec!["a".into(), "b".into()]));
        let text = line("localhost:5000/x", &[], &["b"]).expect_err("unknown image");
        assert!(text.contains("localhost:5000/x has no known entrypoint"), "{text}");
    }
}
