//! Who may depend on whom.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Crates that take no part in IO, time or chance.
const PURE: [&str; 5] = ["argosy-api", "argosy-template", "argosy-engine", "argosy-cron", "argosy-locks"];

/// What a pure crate must not depend on, not even through another crate.
const IMPURE: [&str; 17] = [
    "async-nats",
    "async-std",
    "axum",
    "fastrand",
    "getrandom",
    "hyper",
    "k8s-openapi",
    "kube",
    "mio",
    "nix",
    "notify",
    "rand",
    "rand_core",
    "reqwest",
    "tempfile",
    "tokio",
    "uuid",
];

/// Crates that must stay apart from others, even through a third one.
const APART: &[(&str, &[&str])] = &[
    ("argosy-actor", &["argosy-api", "argosy-objects", "k8s-openapi", "kube", "kube-client", "kube-core"]),
    ("argosy-apiserver", &["argosy-api", "argosy-beneath", "argosy-executor", "argosy-node"]),
    ("argosy-client", CLIENT),
    ("argosy-executor", &["argosy-apiserver", "argosy-node"]),
    (
        "argosy-host",
        &["argosy-api", "argosy-objects", "argosy-workflows", "k8s-openapi", "kube", "kube-client", "kube-core"],
    ),
    ("argosy-node", &["argosy-api", "argosy-apiserver", "argosy-executor"]),
    ("argosy-objects", &["argosy-actor", "argosy-bus", "argosy-telemetry", "argosy-engine"]),
    ("argosy-workflows", &["argosy-engine"]),
];

/// Neither how the services work, nor what is the command line's: flags, terminals and exit codes.
const CLIENT: &[&str] = &[
    "anstream",
    "anyhow",
    "argosy-actor",
    "argosy-bus",
    "argosy-apiserver",
    "argosy-engine",
    "argosy-executor",
    "argosy-node",
    "argosy-telemetry",
    "clap",
    "tabwriter",
    "terminal_size",
];

/// What crates must not name themselves, though a third one may bring it along.
const UNNAMED: [(&str, &[&str]); 1] = [("argosy-client", &["annotate-snippets"])];

/// Pure crates that depend on something that is not.
pub fn impure(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for package in PURE {
        found.extend(impurities(package, &dependencies(root, package, None)?));
    }
    Ok(found)
}

/// Crates that depend on what they must stay apart from.
pub fn apart(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (package, others) in APART {
        found.extend(intruders(package, others, &dependencies(root, package, None)?));
    }
    for (package, others) in UNNAMED {
        found.extend(intruders(package, others, &dependencies(root, package, Some("1"))?));
    }
    Ok(found)
}

fn intruders(package: &str, others: &[&str], dependencies: &BTreeSet<String>) -> Vec<String> {
    let bad = others.iter().filter(|name| dependencies.contains(**name));
    bad.map(|name| format!("{package} must not depend on {name}")).collect()
}

/// The names of the crates that a package depends on outside of its tests, at most so deep.
fn dependencies(root: &Path, package: &str, depth: Option<&str>) -> Result<BTreeSet<String>> {
    let mut args =
        vec!["tree", "--locked", "--offline", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"];
    if let Some(depth) = depth {
        args.extend(["--depth", depth]);
    }
    let tree = cargo(root, &args)?;
    let names: BTreeSet<String> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    ensure!(names.contains(package), "`cargo tree -p {package}` does not name {package}");
    Ok(names)
}

fn impurities(package: &str, dependencies: &BTreeSet<String>) -> Vec<String> {
    let bad = IMPURE.iter().filter(|name| dependencies.contains(**name));
    bad.map(|name| format!("{package} must stay pure, but depends on {name}: see `cargo tree -p {package} -i {name}`"))
        .collect()
}

/// Services that depend on each other: they meet only on the bus. `standalone` puts them together, `cli` starts them.
pub fn forbidden_edges(root: &Path) -> Result<Vec<String>> {
    let text = cargo(root, &["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"])?;
    let metadata: Value = serde_json::from_str(&text).context("read the output of `cargo metadata`")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let is_service = |p: &&Value| p["manifest_path"].as_str().is_some_and(|path| path.contains("/services/"));
    let name = |p: &Value| p["name"].as_str().unwrap_or_default().to_owned();
    let services: BTreeSet<String> = packages.iter().filter(is_service).map(name).collect();
    ensure!(services.contains("argosy-scheduler"), "`cargo metadata` does not list the services");
    let together = ["argosy-standalone", "argosy-cli"];
    let mut found = Vec::new();
    for package in packages {
        let from = name(package);
        let is_test =
            package["manifest_path"].as_str().is_some_and(|p| p.contains("/tests/") || p.contains("/testkit/"));
        if together.contains(&from.as_str()) || is_test {
            continue;
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = name(dependency);
            let is_normal = dependency["kind"].is_null();
            if is_normal && services.contains(&to) {
                found.push(format!("{from} must not depend on the service {to}"));
            }
            if is_normal && to == "argosy-testkit" {
                found.push(format!("{from} must not depend on argosy-testkit outside its tests"));
            }
        }
    }
    Ok(found)
}

fn cargo(root: &Path, args: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(args).current_dir(root).stdin(Stdio::null()).output().context("start cargo")?;
    ensure!(output.status.success(), "`cargo {}`: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8(output.stdout).context("read the output of cargo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_does_not_stay_apart_is_seen() {
        let names = ["argosy-client", "clap", "kube"].map(str::to_owned).into();
        assert_eq!(
            intruders("argosy-client", &["anstream", "clap"], &names),
            ["argosy-client must not depend on clap"]
        );
    }

    #[test]
    fn an_impure_dependency_is_seen() {
        let found = impurities("argosy-engine", &["serde", "tokio", "argosy-engine"].map(str::to_owned).into());
        assert_eq!(
            found,
            ["argosy-engine must stay pure, but depends on tokio: see `cargo tree -p argosy-engine -i tokio`"]
        );
    }
}
