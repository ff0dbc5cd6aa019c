//! Pods and workflows go, and the configuration is read, while `argosy dev` runs.

use std::time::{Duration, Instant};

use crate::support::Dev;

const SHORT_LIVED: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: short}
spec:
  entrypoint: main
  ttlStrategy: {secondsAfterCompletion: 0}
  templates: [{name: main, container: {image: busybox, command: ['true']}}]
";

const WITHOUT_PODS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: stays}
spec:
  entrypoint: main
  podGC: {strategy: OnWorkflowCompletion, deleteDelayDuration: 0s}
  templates: [{name: main, container: {image: busybox, command: ['true']}}]
";

const GREETING: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: greeting-}
spec:
  entrypoint: main
  templates: [{name: main, container: {image: busybox, command: [sh, -c, 'echo greeting=$GREETING']}}]
";

const CONFIGURATION: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: workflow-controller-configmap}
data:
  mainContainer: |
    env: [{name: GREETING, value: hello}]
";

/// Tries until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn pods_and_workflows_go_as_they_say() {
    let Some(dev) = Dev::with_kubectl() else { return };
    dev.file("short.yaml", SHORT_LIVED);
    dev.file("stays.yaml", WITHOUT_PODS);
    dev.argosy(0, "submit short.yaml");
    dev.until("list", "No workflows found");
    dev.argosy(0, "submit stays.yaml --wait");
    eventually("its pods are gone", || dev.kubectl(0, &["get", "pods", "-o", "name"], "").is_empty());
    dev.until("list", "stays");
}

#[test]
fn the_configuration_is_obeyed_as_soon_as_it_is_there() {
    let Some(dev) = Dev::with_kubectl() else { return };
    dev.file("greeting.yaml", GREETING);
    let greeting = || {
        dev.argosy(0, "submit greeting.yaml --wait");
        dev.argosy(0, "logs @latest")
    };
    assert!(greeting().ends_with("greeting=\n"));
    dev.kubectl(0, &["apply", "-f", "-"], CONFIGURATION);
    eventually("a step has what the configuration gives it", || greeting().ends_with("greeting=hello\n"));
}
