//! Flags that most often are a slip of the pen.

use crate::support::{FAILS, Here};

const GREETS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: greets}
spec:
  entrypoint: main
  arguments: {parameters: [{name: message, value: hello}]}
  templates:
  - {name: main, container: {image: busybox, command: [echo, '{{workflow.parameters.message}}']}}
";

#[test]
fn a_parameter_that_no_workflow_has_is_told_and_the_run_goes_on() {
    let here = Here::with(&[("greets.yaml", GREETS)]);
    let said = here.argosy("run greets.yaml -p mesage=bye").ends_with(0);
    assert!(
        said.err.contains("warning: parameter mesage: no workflow has") && said.err.contains("did you mean `message`?"),
        "{said:#?}"
    );
    let said = here.argosy("run greets.yaml -p message=bye").ends_with(0);
    assert!(!said.err.contains("parameter message") && said.out.contains("  bye\n"), "{said:#?}");
    let said = here.argosy("submit greets.yaml -p nothing=bye --dry-run").ends_with(0);
    assert!(said.err.contains("parameter nothing") && said.err.contains("(known here: message)"), "{said:#?}");
}

#[test]
fn what_is_not_there_is_told_with_what_to_do() {
    let here = Here::with(&[(
        "greets.yaml",
        &GREETS.replace("busybox, command: [echo, '{{workflow.parameters.message}}']", "elsewhere/x"),
    )]);
    let said = here.argosy("list --kubeconfig nowhere").ends_with(2);
    assert!(said.err.contains("--kubeconfig: there is no file nowhere; a running `argosy dev` is found"), "{said:#?}");
    let output = here.command("list").env("KUBECONFIG", "nowhere").output().expect("argosy starts");
    assert!(String::from_utf8_lossy(&output.stderr).contains("$KUBECONFIG: there is no file nowhere"), "{output:?}");
    let said = here.argosy("list").ends_with(1);
    assert_eq!(
        said.err,
        "error: no API server: start one with `argosy dev`, or name one with --kubeconfig or $KUBECONFIG\n"
    );
    let said = here.argosy("run greets.yaml").ends_with(1);
    assert!(said.out.contains("give the container a command"), "{said:#?}");
    assert!(said.err.contains("hint: ") && said.err.contains("--image elsewhere/x=PROGRAM"), "{said:#?}");
    for arguments in ["logs", "stop", "retry", "resubmit", "resume"] {
        let said = here.argosy(arguments).ends_with(2);
        assert!(said.err.contains("name a workflow, or select some"), "{said:#?}");
    }
    let said = here.argosy("archive list").ends_with(2);
    assert!(said.err.contains("there is no `argosy archive`"), "{said:#?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let said = here.argosy(&format!("dev --port {port}")).ends_with(2);
    assert!(said.err.contains("perhaps another `argosy dev`; choose another with --port"), "{said:#?}");
}

#[test]
fn a_program_that_this_machine_does_not_have_comes_with_what_to_do() {
    let here = Here::with(&[("greets.yaml", &GREETS.replace("[echo, ", "[no-such-program-here, "))]);
    let said = here.argosy("run greets.yaml --watch").ends_with(1);
    assert!(said.err.ends_with("or use --runtime docker or --runtime podman\n"), "{said:#?}");
}

#[test]
fn values_of_flags_that_do_not_exist_are_told() {
    let here = Here::with(&[("greets.yaml", GREETS)]);
    for (arguments, words) in [
        ("list --status Runing", "a similar value exists: 'Running'"),
        ("get x --status Faild", "a similar value exists: 'Failed'"),
        ("node set x --phase Done", "[possible values: Succeeded, Failed, Error]"),
        ("lint --kinds workflwos greets.yaml", "did you mean `workflows`?"),
    ] {
        let said = here.argosy(arguments).ends_with(2);
        assert!(said.err.contains(words), "{said:#?}");
    }
    here.argosy("lint --offline --kinds Workflow,cronworkflows greets.yaml").ends_with(0);
}

#[test]
fn an_object_that_is_too_large_comes_with_what_to_do() {
    let here = Here::with(&[("greets.yaml", &GREETS.replace("hello", &"x".repeat(2_000_000)))]);
    let said = here.argosy("run greets.yaml").ends_with(1);
    assert!(said.err.contains("an object may have 1.5 MiB; pass large data as an artifact"), "{said:#?}");
}

#[test]
fn help_keeps_flags_of_one_kind_together() {
    let said = Here::with(&[]).argosy("run --help").ends_with(0);
    let (own, connection) = said.out.split_once("\nConnection:").expect("a heading");
    assert!(
        own.contains("--timeout") && !own.contains("--kubeconfig") && connection.contains("--context"),
        "{}",
        said.out
    );
}

#[test]
fn a_run_without_time_ends_and_shows_nothing_of_our_own() {
    let here = Here::with(&[("bad.yaml", FAILS)]);
    for _ in 0..5 {
        let said = here.argosy("run bad.yaml --timeout 0s").ends_with(1);
        assert!(!said.err.contains("shim"), "{said:#?}");
    }
}

#[test]
fn mistakes_of_flags_are_told_of_the_flags() {
    let here = Here::with(&[("bad.yaml", FAILS), ("empty.yaml", ""), ("comment.yaml", "# nothing\n")]);
    let said = here.argosy("run bad.yaml --entrypoint nowhere").ends_with(2);
    assert!(said.err.contains("error: --entrypoint nowhere: template name 'nowhere' undefined"), "{said:#?}");
    let said = here.argosy("run bad.yaml --name A_b").ends_with(2);
    assert!(said.err.contains("error: --name A_b: "), "{said:#?}");
    // Files are read before a server is looked for.
    for command in ["run", "submit", "lint"] {
        let said = here.argosy(&format!("{command} empty.yaml comment.yaml")).ends_with(2);
        assert!(said.err.contains("empty.yaml: the file is empty"), "{command}: {said:#?}");
    }
    here.file("bad.yaml", &FAILS.replace("kind: Workflow", "kind: ["));
    let said = here.argosy("submit bad.yaml").ends_with(2);
    assert!(said.err.contains("bad.yaml:"), "{said:#?}");
}

#[test]
fn what_to_do_about_an_unknown_image_is_told_once() {
    let here = Here::with(&[("bad.yaml", &FAILS.replace("{image: busybox, command: [echo, hi]}", "{image: own:1}"))]);
    let said = here.argosy("run bad.yaml").ends_with(1);
    assert_eq!(format!("{}{}", said.out, said.err).matches("--image").count(), 1, "{said:#?}");
}
