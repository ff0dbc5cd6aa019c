use std::{path::PathBuf, sync::Arc};

use super::*;
use crate::load::{self, Source};

fn mistakes(body: &str) -> Vec<String> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    load::text(&Arc::new(Source::new("f.yaml", body)), &mut documents, &mut problems);
    documents.iter().flat_map(check).map(|problem| problem.line()).collect()
}

const HEAD: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: a-}\n";

#[test]
fn all_mistakes_are_named_with_place_path_and_help() {
    let body = format!(
        "{HEAD}spec:\n  entryPoint: main\n  parallelism: many\n  templates:\n  - name: main\n    container:\n      image: 1\n      command: sh\n      imagee: x\n"
    );
    let found = mistakes(&body);
    let expected = [
        "f.yaml:5:3: spec.entryPoint: unknown field `entryPoint` (did you mean `entrypoint`?)",
        "f.yaml:6:16: spec.parallelism: expected an integer, found the string \"many\"",
        "f.yaml:11:16: spec.templates[0].container.command: expected a list, found the string \"sh\" (write it as a list: [a, b] or a line `- a` for each)",
        "f.yaml:10:14: spec.templates[0].container.image: expected a string, found the number 1 (write it in quotes: \"1\")",
        "f.yaml:12:7: spec.templates[0].container.imagee: unknown field `imagee` (did you mean `image`?)",
    ];
    assert_eq!(found, expected);
}

#[test]
fn enums_required_fields_and_inline_templates() {
    let body = format!(
        "{HEAD}spec:\n  templates:\n  - name: main\n    retryStrategy: {{retryPolicy: always}}\n    inputs: {{parameters: [{{value: 1}}]}}\n    steps: [[{{name: a, inline: {{containr: {{}}}}}}]]\n"
    );
    let found = mistakes(&body).join("\n");
    assert!(found.contains("`name` is missing"), "{found}");
    assert!(
        found.contains("\"always\" is none of Always, OnFailure, OnError, OnTransientError (did you mean `Always`?)"),
        "{found}"
    );
    assert!(
        found.contains("steps[0][0].inline.containr: unknown field `containr` (did you mean `container`?)"),
        "{found}"
    );
}

#[test]
fn what_argo_lets_pass() {
    let body = format!(
        "{HEAD}spec:\n  arguments: {{parameters: [{{name: a, value: 1}}, {{name: b, value: true, enum: [1, 2]}}]}}\n  templates:\n  - name: main\n    activeDeadlineSeconds: \"10\"\n    container: {{image: x, resources: {{limits: {{cpu: 1, memory: 1Gi}}}}, env: null}}\n"
    );
    assert_eq!(mistakes(&body), Vec::<String>::new());
}

#[test]
#[ignore = "needs Argo's own examples beside the checkout"]
fn argos_own_examples_pass() {
    let conformance = std::env::var_os("ARGOSY_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let examples = conformance.join("../argo/examples");
    let (documents, problems) = load::files(&[examples.to_string_lossy().into_owned()]);
    let mut lines: Vec<_> = problems.iter().filter(|problem| !problem.warning).map(Diagnostic::line).collect();
    lines.extend(documents.iter().flat_map(check).map(|problem| problem.line()));
    assert!(documents.len() > 200, "only {} documents", documents.len());
    assert_eq!(lines, Vec::<String>::new());
}
