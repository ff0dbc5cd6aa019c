//! Recorded runs on a real cluster: submitted by `kubectl`, run by the Argosy that is installed there.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use argosy_testkit::golden::Golden;
use serde_json::{Value, json};

/// The namespace that all were recorded in.
const NAMESPACE: &str = "argo";
/// Lets the steps of recorded runs do what they did there: some make objects of their own.
const RIGHTS: &str = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
    "metadata": {"name": "argosy-conformance"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "argo"}]}"#;

/// What the steps use there: the keys of the S3 server, and service accounts.
const SETUP: &str = include_str!("../../cluster/setup.yaml");

/// Makes the namespace, with what steps use in it, and with rights for its default service account.
///
/// Errors: `kubectl` fails, as where there is no cluster.
pub fn prepare() -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    kubectl(&["apply", "-f", "-"], &namespace.to_string())?;
    kubectl(&["apply", "-n", NAMESPACE, "-f", "-"], SETUP)?;
    kubectl(&["apply", "-f", "-"], RIGHTS).map(drop)
}

/// Runs a workflow to its end, and gives its final object.
///
/// Errors: `kubectl` fails, or the workflow does not end in time.
pub fn run(golden: &Golden, limit: Duration) -> Result<Value> {
    let Some((workflow, supports)) = golden.input.split_last() else { bail!("it has no input") };
    for support in supports {
        let text = support.to_string();
        kubectl(&["apply", "--server-side", "--force-conflicts", "-n", NAMESPACE, "-f", "-"], &text)?;
    }
    let mut workflow = workflow.clone();
    workflow["metadata"]["namespace"] = json!(NAMESPACE);
    if let Some(name) = golden.workflow["metadata"]["name"].as_str() {
        kubectl(&["delete", "workflow", name, "-n", NAMESPACE, "--ignore-not-found"], "")?;
        // ids of nodes are made of it
        workflow["metadata"]["name"] = json!(name);
    }
    let name = kubectl(&["create", "-n", NAMESPACE, "-f", "-", "-o", "name"], &workflow.to_string())?;
    let (name, timeout) = (name.trim(), format!("--timeout={}s", limit.as_secs()));
    let waited = kubectl(&["wait", name, "-n", NAMESPACE, "--for=jsonpath={.status.finishedAt}", &timeout], "");
    let object = kubectl(&["get", name, "-n", NAMESPACE, "-o", "json"], "")?;
    kubectl(&["delete", name, "-n", NAMESPACE, "--wait=false"], "")?;
    let object: Value = serde_json::from_str(&object).context("read the final object")?;
    match waited {
        Ok(_) => Ok(object),
        Err(_) => bail!("still {} after {} s", object["status"]["phase"].as_str().unwrap_or("new"), limit.as_secs()),
    }
}

fn kubectl(arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("kubectl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        // it may end without reading
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().context("wait for kubectl")?;
    if !output.status.success() {
        bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
