//! Mistakes that a newcomer makes, each told at its place and with what was meant.

use crate::support::Here;

const HEAD: &str = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: a-}\nspec:\n";
const SOUND: &str = "  entrypoint: main\n  templates:\n  - {name: main, suspend: {}}\n";
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n";

/// Specs, the exit code of `lint`, and what it says, a line each.
const TABLE: &[(&str, i32, &[&str])] = &[
    (
        "  entrypoint: mian\n  templates:\n  - {name: main, suspend: {}}\n",
        2,
        &["a.yaml:5:15: spec.entrypoint: template name 'mian' undefined (did you mean `main`?)"],
    ),
    (
        "  entrypoint: main\n  templates:\n  - name: main\n    steps: [[{name: a, template: work, withItems: '[1,2]'}]]\n  - {name: work, suspend: {}}\n",
        2,
        &[
            "a.yaml:8:51: spec.templates[0].steps[0][0].withItems: expected a list, found the string \"[1,2]\" (remove the quotes)",
        ],
    ),
    (
        "  entrypoint: main\n  templates:\n  - name: main\n    dag: {tasks: [{name: a, template: wrok}]}\n  - {name: work, suspend: {}}\n",
        2,
        &["a.yaml:8:39: spec.templates[0].dag.tasks[0].template: ", "(did you mean `work`?)"],
    ),
    (
        "  entrypoint: main\n  arguments: {parameters: [{name: message, value: a}]}\n  templates:\n  - name: main\n    inputs: {parameters: [{name: text, default: a}]}\n    container:\n      image: busybox\n      command: [echo, '{{inputs.parameters.txt}}']\n      args: ['{{workflow.parameters.mesage}}', 'a {{inputs.parameters.other}}', '{{item}}']\n",
        2,
        &[
            "a.yaml:12:24: spec.templates[0].container.command[1]: templates.main: failed to resolve {{inputs.parameters.txt}} (did you mean `inputs.parameters.text`?)",
            "a.yaml:13:15: spec.templates[0].container.args[0]: ",
            "(did you mean `workflow.parameters.message`?)",
            "a.yaml:13:51: spec.templates[0].container.args[1]: ",
            "(known here: inputs.parameters.text)",
            "a.yaml:13:82: spec.templates[0].container.args[2]: ",
            "(only a step or task with withItems",
        ],
    ),
    (
        "  entrypoint: main\n  templates:\n  - {name: main, suspend: {}, retryStrategy: {limit: 2, backoff: {duration: 1x}}}\n",
        0,
        &["a.yaml:7:77: spec.templates[0].retryStrategy.backoff.duration: `1x` is no duration", "no linting errors"],
    ),
    (
        "  entrypoint: main\n  templates:\n  - {name: main, container: {image: a, command: [b], resources: {limits: {cpu: lots}}}}\n",
        2,
        &["a.yaml:7:80: spec.templates[0].container.resources.limits.cpu: `lots` is no quantity"],
    ),
    // Mistakes of shape hide none of meaning, and what is shown is what was written.
    (
        "  entrypoint: mian\n  templates:\n  - name: main\n    steps: [[{name: a, template: wrok, when: yes}]]\n  - {name: work, container: {image: a, command: [b], env: text}}\n",
        2,
        &[
            "a.yaml:5:15: spec.entrypoint: template name 'mian' undefined",
            "a.yaml:8:34: spec.templates[0].steps[0][0].template: ",
            "a.yaml:8:46: spec.templates[0].steps[0][0].when: expected a string, found `yes`, which is the bool true (write it in quotes: \"yes\")",
            "a.yaml:9:59: spec.templates[1].container.env: expected a list",
        ],
    ),
    (
        "  entrypoint: main\n  templates:\n  - name: main\n    steps: [[{name: a, template: work, when: '{{workflow.name}} = b'}]]\n  - {name: work, activeDeadlineSeconds: soon, suspend: {}}\n",
        2,
        &[
            "a.yaml:8:46: spec.templates[0].steps[0][0].when: `{{workflow.name}} = b` is no condition",
            "a.yaml:9:18: spec.templates[1].activeDeadlineSeconds: ",
        ],
    ),
    (
        "  entrypoint: main\n  artifactGC: {}\n  templates:\n  - {name: main, container: {image: 'a:1', command: [b], imagePullPolicy: Newer, volumeMounts: [{name: c, mountPath: /c}]}}\n",
        0,
        &[
            "a.yaml:6:3: spec.artifactGC: this is ignored: Argosy does not support it yet [unsupported]",
            "a.yaml:8:75: spec.templates[0].container.imagePullPolicy: `Newer` is no policy for pulling images (did you mean `Never`?) [refused-pod]",
            "a.yaml:8:104: spec.templates[0].container.volumeMounts[0].name: there is no volume `c` (add it to",
        ],
    ),
];

#[test]
fn mistakes_are_told_at_their_places_with_what_was_meant() {
    for (spec, code, lines) in TABLE {
        let here = Here::with(&[("a.yaml", &format!("{HEAD}{spec}"))]);
        let said = here.argosy("lint --offline -o simple a.yaml").ends_with(*code);
        for line in *lines {
            assert!(said.out.contains(line), "{line:?} is not in\n{}", said.out);
        }
    }
}

#[test]
fn flags_that_name_a_template_get_the_same_help() {
    let here = Here::with(&[("a.yaml", &format!("{HEAD}{SOUND}"))]);
    let said = here.argosy("run a.yaml --entrypoint mian").ends_with(2);
    assert!(said.err.contains("(did you mean `main`?)"), "{said:#?}");
}

#[test]
fn objects_of_others_are_skipped_and_not_praised() {
    let rollout = DEPLOYMENT.replace("apps/v1", "argoproj.io/v1alpha1").replace("Deployment", "Rollout");
    let here = Here::with(&[("d.yaml", DEPLOYMENT), ("r.yaml", &rollout), ("a.yaml", &format!("{HEAD}{SOUND}"))]);
    let said = here.argosy("lint --offline d.yaml").ends_with(2);
    assert!(said.err.contains("skipped: d.yaml:1: a Deployment is not checked"), "{said:#?}");
    assert!(said.err.contains("nothing to check") && said.out.is_empty(), "{said:#?}");
    let said = here.argosy("lint --offline d.yaml r.yaml a.yaml").ends_with(0);
    assert!(said.err.contains("a Rollout is not checked") && said.out.contains("no linting errors"), "{said:#?}");
}

#[test]
fn of_a_folder_only_what_is_meant_for_us_is_read() {
    let here = Here::with(&[
        ("a.yaml", &format!("{HEAD}{SOUND}")),
        ("package.json", "{\"name\": \"a\"}"),
        ("broken.json", "{"),
        ("chart/values.yaml", "a: {{ .Values.a }}\n"),
    ]);
    here.argosy("run a.yaml --data-dir data --timeout 1s").ends_with(1);
    here.file("data/artifacts/left.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Workfow\n");
    let said = here.argosy("lint --offline .").ends_with(0);
    assert!(said.err.is_empty(), "{said:#?}");
    here.file("sub/b.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: [\n");
    let said = here.argosy("lint --offline .").ends_with(2);
    assert!(said.err.contains("sub/b.yaml:"), "{said:#?}");
    // A file that is named is always read.
    here.argosy("lint --offline package.json").ends_with(2);
}

#[test]
fn of_a_folder_nothing_hidden_is_read_nothing_is_waited_for_and_what_cannot_be_read_is_told() {
    let broken = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: [\n";
    let here = Here::with(&[("a.yaml", &format!("{HEAD}{SOUND}")), (".git/b.yaml", broken), (".c.yaml", broken)]);
    let pipe = std::process::Command::new("mkfifo").arg(here.path().join("pipe.yaml")).status();
    assert!(pipe.is_ok_and(|made| made.success()));
    std::os::unix::fs::symlink("nowhere", here.path().join("link.yaml")).expect("linked");
    std::os::unix::fs::symlink(here.path(), here.path().join("round.yaml")).expect("linked");
    std::fs::write(here.path().join("other.json"), b"\xff\xfe").expect("written");
    let said = here.argosy("lint --offline .").ends_with(0);
    assert_eq!(said.err, "warning: ./link.yaml: the link leads nowhere\n1 warning\n");
    let latin = b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: caf\xe9}\n";
    std::fs::write(here.path().join("latin.yaml"), latin).expect("written");
    let said = here.argosy("lint --offline .").ends_with(2);
    assert!(said.err.contains("error: ./latin.yaml:3: this is not UTF-8 text"), "{said:#?}");
    // Who names what is hidden means it.
    here.argosy("lint --offline .git").ends_with(2);
}

const LOOSE: &str = "  entrypoint: main
  templates:
  - name: main
    container: {image: busybox, command: [c], env: [{name: TOKEN, value: hunter2}]}
  - {name: island, suspend: {}}
";

#[test]
fn what_is_surely_not_meant_is_a_warning_with_a_rule_that_can_be_silenced() {
    let here = Here::with(&[("a.yaml", &format!("{HEAD}{LOOSE}"))]);
    let said = here.argosy("lint --offline -o simple a.yaml").ends_with(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 4, "{said:#?}");
    assert!(
        lines[0].starts_with("a.yaml:8:24: spec.templates[0].container.image: ") && lines[0].ends_with("[image-tag]")
    );
    assert!(lines[1].contains(".container.env[0]: ") && lines[1].ends_with("[plain-secret]"), "{said:#?}");
    assert!(lines[2].starts_with("a.yaml:9:12: ") && lines[2].ends_with("[unreachable-template]"), "{said:#?}");
    assert!(!said.out.contains("hunter2"), "{said:#?}");
    let said = here.argosy("lint --offline -o simple --silence image-tag,plain-secret a.yaml").ends_with(0);
    assert_eq!(said.out.lines().count(), 2, "{said:#?}");
    let said = here.argosy("lint --offline a.yaml --deny-warnings").ends_with(2);
    assert!(said.err.contains("3 warnings"), "{said:#?}");
    here.argosy("lint --offline a.yaml --deny-warnings --silence image-tag,plain-secret,unreachable-template")
        .ends_with(0);
    let said = here.argosy("lint --offline a.yaml --silence image-tags").ends_with(2);
    assert!(said.err.contains("there is no rule `image-tags`; did you mean `image-tag`?"), "{said:#?}");

    let head = HEAD.replace(
        "{generateName: a-}",
        "{generateName: a-, annotations: {argosy.io/lint-silence: 'image-tag, plain-secrets'}}",
    );
    here.file("b.yaml", &format!("{head}{LOOSE}"));
    let said = here.argosy("lint --offline -o simple b.yaml").ends_with(0);
    assert!(!said.out.contains("[image-tag]") && said.out.contains("[plain-secret]"), "{said:#?}");
    assert!(said.out.contains("there is no rule `plain-secrets` (did you mean `plain-secret`?)"), "{said:#?}");
    // A mistake comes first: what it leads to would be told twice.
    here.file("c.yaml", &format!("{HEAD}{LOOSE}").replace("entrypoint: main", "entrypoint: mian"));
    let said = here.argosy("lint --offline -o simple c.yaml").ends_with(2);
    assert_eq!(said.out.lines().count(), 1, "{said:#?}");
}

#[test]
fn programs_read_what_is_told() {
    let here = Here::with(&[("a.yaml", &format!("{HEAD}{LOOSE}")), ("b.yaml", "kind: [\n")]);
    let said = here.argosy("lint --offline -o sarif a.yaml b.yaml").ends_with(2);
    let log: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("results");
    let told: Vec<_> = results.iter().map(|r| (r["ruleId"].as_str(), r["level"].as_str())).collect();
    assert!(
        told.contains(&(Some("mistake"), Some("error"))) && told.contains(&(Some("image-tag"), Some("warning"))),
        "{told:?}"
    );
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules");
    for result in results {
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{result}");
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(region["startLine"].as_u64() > Some(0) && region["startColumn"].as_u64() > Some(0), "{result}");
    }
    let said = here.argosy("lint --offline -o github a.yaml").ends_with(0);
    let first = said.out.lines().next().expect("a line");
    assert!(
        first.starts_with("::warning file=a.yaml,line=8,col=24,title=image-tag::spec.templates[0].container.image: "),
        "{first}"
    );
}
