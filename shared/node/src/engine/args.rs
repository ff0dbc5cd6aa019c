//! The arguments that make a container of a pod's container. Pure, so that tables test it.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SecurityContext};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::super::spec::Bind;
use super::flavor::Flavor;
use super::quantity;

/// How much of a log the engine keeps: what the node has of it in all its files.
const LOG_OPTION: &str = "max-size=50m";
/// Label with the directory of the node that made a container.
const NODE: &str = "io.argosy.node";
/// Label with the pod's uid.
pub const POD_UID: &str = "io.argosy.pod-uid";

/// How a node's containers are found.
pub fn node_filter(node: &str) -> String {
    format!("label={NODE}={node}")
}

/// The name of a container, for people and for the node after a restart.
pub fn name(pod_uid: &str, pod: &str, container: &str) -> String {
    format!("argosy_{container}_{pod}_{pod_uid}")
}

/// What makes a container.
pub struct Create<'a> {
    pub flavor: Flavor,
    /// Value of the node's label.
    pub node: &'a str,
    pub pod: &'a Pod,
    pub container: &'a Container,
    pub hostname: &'a str,
    /// The image, by a name that the engine has.
    pub image: &'a str,
    /// The command and its arguments.
    pub argv: &'a [String],
    pub env: &'a BTreeMap<String, String>,
    /// Where [`env_file`] was written.
    pub env_file: Option<&'a Path>,
    /// In the order of mounting.
    pub binds: &'a [Bind],
    /// Whether the engine is to keep the log, for a later life of the node.
    pub keep_log: bool,
}

impl Create<'_> {
    /// The arguments, from the word `create` on. The values of most variables are not among them, see [`way`], as everyone
    /// on the machine can read command lines.
    /// Errors: a sentence for the user.
    pub fn args(&self) -> Result<Vec<String>, String> {
        let Some((program, rest)) = self.argv.split_first() else {
            return Err("no command specified".into());
        };
        let mut out = Args(Vec::new());
        out.0.push("create".into());
        self.identity(&mut out);
        // whether the image is there was settled before
        out.pair("--pull", "never");
        // the user's command must not be process 1, for which signals that it does not handle mean nothing
        out.0.push("--init".into());
        out.0.push("--no-healthcheck".into());
        out.pair("--network", "host");
        // volumes are the host's directories, whose SELinux labels are not ours to change
        out.pair("--security-opt", "label=disable");
        out.pair("--log-driver", if self.keep_log { self.flavor.log_driver() } else { "none" });
        if self.keep_log {
            // as much as the node itself keeps
            out.pair("--log-opt", LOG_OPTION);
        }
        out.0.extend(self.flavor.create().iter().map(|text| text.to_string()));
        for alias in self.pod.spec.iter().flat_map(|spec| spec.host_aliases.iter().flatten()) {
            for host in alias.hostnames.iter().flatten() {
                out.pair("--add-host", format!("{host}:{}", alias.ip));
            }
        }
        self.process(&mut out);
        self.limits(&mut out)?;
        self.security(&mut out);
        for bind in self.binds {
            out.pair("--mount", mount(bind));
        }
        out.pair("--entrypoint", program);
        out.0.push(self.image.to_owned());
        out.0.extend_from_slice(rest);
        Ok(out.0)
    }

    fn identity(&self, out: &mut Args) {
        let meta = &self.pod.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (uid, pod, container) = (text(&meta.uid), text(&meta.name), &self.container.name);
        out.pair("--name", name(&uid, &pod, container));
        for (key, value) in [
            (NODE, self.node.to_owned()),
            (POD_UID, uid),
            ("io.argosy.pod", pod),
            ("io.argosy.namespace", text(&meta.namespace)),
            ("io.argosy.container", container.clone()),
        ] {
            out.pair("--label", format!("{key}={value}"));
        }
        out.pair("--hostname", self.hostname.trim_end_matches(['-', '.']));
    }

    fn process(&self, out: &mut Args) {
        let container = self.container;
        if let Some(file) = self.env_file {
            out.pair("--env-file", file.display().to_string());
        }
        for (key, value) in self.env {
            match way(key, value) {
                Way::File => {}
                Way::Environment => out.pair("--env", key),
                Way::Line => out.pair("--env", format!("{key}={value}")),
            }
        }
        if let Some(dir) = container.working_dir.as_deref().filter(|dir| !dir.is_empty()) {
            out.pair("--workdir", dir);
        }
        if container.stdin == Some(true) {
            out.0.push("--interactive".into());
        }
        if container.tty == Some(true) {
            out.0.push("--tty".into());
        }
    }

    fn limits(&self, out: &mut Args) -> Result<(), String> {
        let resources = self.container.resources.as_ref();
        let limit = |kind: &str| resources.and_then(|r| r.limits.as_ref()).and_then(|map| map.get(kind));
        let wrong = |kind, Quantity(text): &Quantity| format!("limits.{kind}: \"{text}\" is not a quantity");
        if let Some(limit) = limit("cpu") {
            out.pair("--cpus", quantity::cpus(&limit.0).ok_or_else(|| wrong("cpu", limit))?);
        }
        if let Some(limit) = limit("memory") {
            let bytes = quantity::bytes(&limit.0).ok_or_else(|| wrong("memory", limit))?.to_string();
            // as much with swap as without: none
            out.pair("--memory-swap", &bytes);
            out.pair("--memory", bytes);
        }
        Ok(())
    }

    fn security(&self, out: &mut Args) {
        let own = self.container.security_context.clone().unwrap_or_default();
        let all = self.pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
        if let Some(user) = user(&own, &all) {
            out.pair("--user", user);
        }
        for group in all.fs_group.iter().chain(all.supplemental_groups.iter().flatten()) {
            out.pair("--group-add", group.to_string());
        }
        let capabilities = own.capabilities.unwrap_or_default();
        for capability in capabilities.drop.iter().flatten() {
            out.pair("--cap-drop", capability);
        }
        for capability in capabilities.add.iter().flatten() {
            out.pair("--cap-add", capability);
        }
        if own.privileged == Some(true) {
            out.0.push("--privileged".into());
        }
        if own.read_only_root_filesystem == Some(true) {
            out.0.push("--read-only".into());
        }
        if own.allow_privilege_escalation == Some(false) {
            out.pair("--security-opt", "no-new-privileges");
        }
    }
}

struct Args(Vec<String>);

impl Args {
    fn pair(&mut self, flag: &str, value: impl Into<String>) {
        self.0.extend([flag.to_owned(), value.into()]);
    }
}

/// How a variable is handed to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In a file that only this user can read.
    File,
    /// In the environment of the call, which the call itself might obey.
    Environment,
    /// On the command line, which everyone on the machine can read.
    Line,
}

/// Longest value that goes into a file: the engines read lines of 64 KiB. Bytes.
const FILE_VALUE_BYTES_MAX: usize = 32 << 10;

/// How a variable is handed over: in a file wherever the engines read what is written there, as nothing obeys that. A value
/// of several lines or with quotes cannot be; it goes with the environment of the call where its name is on the list of
/// those that are surely nobody's but the container's, and otherwise on the command line.
pub fn way(key: &str, value: &str) -> Way {
    let mut bytes = key.bytes();
    let is_name = bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'));
    let is_plain = !value.chars().any(|c| c.is_control() || matches!(c, '"' | '\'' | '\\'));
    if is_name && is_plain && value.len() <= FILE_VALUE_BYTES_MAX {
        Way::File
    } else if is_name && is_of_containers(key) {
        Way::Environment
    } else {
        Way::Line
    }
}

/// Names of ours, and of what containers are given to keep secret; none that an engine, its libraries or the loader obeys.
fn is_of_containers(key: &str) -> bool {
    const OURS: [&str; 2] = ["ARGO_", "ARGOSY_"];
    const SECRETS: [&str; 12] = [
        "SECRET",
        "SECRETS",
        "TOKEN",
        "PASSWORD",
        "PASSWD",
        "KEY",
        "CERT",
        "CERTIFICATE",
        "PEM",
        "JSON",
        "CREDENTIAL",
        "CREDENTIALS",
    ];
    const ENGINES: [&str; 9] =
        ["DOCKER", "BUILDKIT", "BUILDX", "COMPOSE", "PODMAN", "CONTAINER", "CONTAINERS", "STORAGE", "REGISTRY"];
    let mut words = key.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let last = words.next_back().unwrap_or(first);
    OURS.iter().any(|prefix| key.starts_with(prefix)) || SECRETS.contains(&last) && !ENGINES.contains(&first)
}

/// The file with the variables that go [that way](Way::File); `None` where none does.
pub fn env_file(env: &BTreeMap<String, String>) -> Option<String> {
    let lines: String = env
        .iter()
        .filter(|(key, value)| way(key, value) == Way::File)
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect();
    (!lines.is_empty()).then_some(lines)
}

fn user(own: &SecurityContext, all: &PodSecurityContext) -> Option<String> {
    let user = own.run_as_user.or(all.run_as_user)?;
    let group = own.run_as_group.or(all.run_as_group);
    Some(group.map_or_else(|| user.to_string(), |group| format!("{user}:{group}")))
}

/// A line of comma-separated values.
fn mount(bind: &Bind) -> String {
    let field = |key: &str, path: &std::path::Path| {
        let text = format!("{key}={}", path.display());
        if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    let read_only = if bind.read_only { ",readonly" } else { "" };
    format!("type=bind,{},{}{read_only}", field("source", &bind.source), field("target", &bind.at))
}

#[cfg(test)]
mod tests;
