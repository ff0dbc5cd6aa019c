//! Pods: names that become directories and host names, and paths below volumes.
//! Source: `k8s.io/kubernetes/pkg/apis/core/validation`.

use std::collections::BTreeSet;

use super::cause::Causes;
use super::names;
use crate::json::Json;

/// The longest deadline of a pod.
const SECONDS_MAX: i64 = i32::MAX as i64;
/// Lists of containers in a pod's spec.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
/// Volumes whose items name files below the volume, by the members that lead to the items.
const ITEMS: [&[&str]; 3] = [&["configMap"], &["secret"], &["downwardAPI"]];

pub(super) fn check(tree: &Json, causes: &mut Causes) {
    for field in ["hostname", "subdomain"] {
        if let Some(name) = tree.str_at(&["spec", field]) {
            refuse(causes, format!("spec.{field}"), name, names::label(name));
        }
    }
    if let Some(seconds) = tree.at(&["spec", "activeDeadlineSeconds"]).and_then(Json::as_i64)
        && !(1..=SECONDS_MAX).contains(&seconds)
    {
        let why = format!("Invalid value: {seconds}: must be between 1 and {SECONDS_MAX}, inclusive");
        causes.push(("spec.activeDeadlineSeconds".to_owned(), why));
    }
    let mut volumes = BTreeSet::new();
    for (at, volume) in list(tree, &["spec", "volumes"]).iter().enumerate() {
        let place = format!("spec.volumes[{at}]");
        name(volume, &place, &mut volumes, causes);
        for kind in ITEMS {
            items(volume, kind, &place, causes);
        }
        for (index, source) in list(volume, &["projected", "sources"]).iter().enumerate() {
            for kind in ITEMS {
                items(source, kind, &format!("{place}.projected.sources[{index}]"), causes);
            }
            if let Some(path) = source.str_at(&["serviceAccountToken", "path"]) {
                below(causes, format!("{place}.projected.sources[{index}].serviceAccountToken.path"), path);
            }
        }
    }
    let mut containers = BTreeSet::new();
    for list_name in CONTAINERS {
        for (at, container) in list(tree, &["spec", list_name]).iter().enumerate() {
            let place = format!("spec.{list_name}[{at}]");
            name(container, &place, &mut containers, causes);
            let mut paths = BTreeSet::new();
            for (index, mount) in list(container, &["volumeMounts"]).iter().enumerate() {
                let place = format!("{place}.volumeMounts[{index}]");
                mounted(mount, &place, &volumes, causes);
                if let Some(path) = mount.str_at(&["mountPath"])
                    && !paths.insert(path)
                {
                    causes.push((format!("{place}.mountPath"), format!("Invalid value: {path:?}: must be unique")));
                }
            }
        }
    }
}

/// A name that is a label, and that no other has.
fn name<'a>(value: &'a Json, place: &str, taken: &mut BTreeSet<&'a str>, causes: &mut Causes) {
    let field = format!("{place}.name");
    match value.str_at(&["name"]) {
        None => causes.push((field, "Required value".to_owned())),
        Some(name) => match names::label(name) {
            None if !taken.insert(name) => causes.push((field, format!("Duplicate value: {name:?}"))),
            why => refuse(causes, field, name, why),
        },
    }
}

fn mounted(mount: &Json, place: &str, volumes: &BTreeSet<&str>, causes: &mut Causes) {
    match mount.str_at(&["name"]) {
        Some(name) if volumes.contains(name) => {}
        Some(name) => causes.push((format!("{place}.name"), format!("Not found: {name:?}"))),
        None => causes.push((format!("{place}.name"), "Required value".to_owned())),
    }
    if mount.str_at(&["mountPath"]).is_none() {
        causes.push((format!("{place}.mountPath"), "Required value".to_owned()));
    }
    for field in ["subPath", "subPathExpr"] {
        if let Some(path) = mount.str_at(&[field]) {
            below(causes, format!("{place}.{field}"), path);
        }
    }
}

fn items(volume: &Json, kind: &[&str], place: &str, causes: &mut Causes) {
    let path = [kind, &["items"]].concat();
    for (at, item) in list(volume, &path).iter().enumerate() {
        let field = format!("{place}.{}.items[{at}].path", kind.join("."));
        match item.str_at(&["path"]) {
            Some(path) => below(causes, field, path),
            None => causes.push((field, "Required value".to_owned())),
        }
    }
}

/// A path that stays below where it begins.
fn below(causes: &mut Causes, field: String, path: &str) {
    let why = if path.starts_with('/') {
        "must be a relative path"
    } else if path.split('/').any(|part| part == "..") {
        "must not contain '..'"
    } else {
        return;
    };
    causes.push((field, format!("Invalid value: {path:?}: {why}")));
}

fn refuse(causes: &mut Causes, field: String, value: &str, why: Option<String>) {
    if let Some(why) = why {
        causes.push((field, format!("Invalid value: {value:?}: {why}")));
    }
}

fn list<'a>(tree: &'a Json, path: &[&str]) -> &'a [Json] {
    tree.at(path).and_then(Json::as_array).unwrap_or(&[])
}
