//! Bad files: each with its place in the message, exit code 2, and nothing left behind.

use std::process::Command;

/// Files of one mistake, where it is, and a word of what is said.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("unknown field", "{entrypoint: a, templates: [{name: a, suspend: {}, contaner: {}}]}", ":4:", "contaner"),
    ("wrong type", "{entrypoint: a, parallelism: many, templates: [{name: a, suspend: {}}]}", ":4:", "parallelism"),
    (
        "bad reference",
        "{entrypoint: a, templates: [{name: a, steps: [[{name: s, template: b}]]}]}",
        ":4:",
        "'b' undefined",
    ),
    (
        "cycle",
        "{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: x, template: e, dependencies: [y]}, {name: y, template: e, dependencies: [x]}]}}, {name: e, suspend: {}}]}",
        ":4:",
        "cycle",
    ),
    ("bad YAML", "{entrypoint: a, templates: [", ":4:", "mistake"),
    (
        "bad expression",
        "{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: x, template: e, depends: 'y &&'}]}}, {name: e, suspend: {}}]}",
        ":4:",
        "depends",
    ),
    (
        "bad expression in a tag",
        "{entrypoint: a, templates: [{name: a, container: {image: busybox, command: [echo, '{{=1 +}}']}}]}",
        ":4:",
        "bad expression",
    ),
    (
        "missing parameter",
        "{entrypoint: a, arguments: {parameters: [{name: o, value: 1}, {name: p}]}, templates: [{name: a, suspend: {}}]}",
        ":4:70: spec.arguments.parameters[1]:",
        "`-p p=VALUE`",
    ),
    (
        "bad condition",
        "{entrypoint: a, templates: [{name: a, steps: [[{name: s, template: e, when: '1 =='}]]}, {name: e, suspend: {}}]}",
        ":4:",
        "steps[0][0].when: Invalid 'when' expression",
    ),
    (
        "mistakes of shape and meaning at once",
        "{entrypoint: b, foo: 1, templates: [{name: a, suspend: {}}]}",
        ":4:20:",
        "2 mistakes",
    ),
    (
        "a wrong type hides nothing",
        "{entrypoint: b, parallelism: many, templates: [{name: 5, suspend: {}}]}",
        ":4:20:",
        "3 mistakes",
    ),
    (
        "what is missing is told once",
        "{entrypoint: a, templates: [{name: a, container: {image: busybox, env: [{value: x}]}}]}",
        ":4:",
        "1 mistake",
    ),
    ("missing template", "{entrypoint: nowhere, templates: [{name: a, suspend: {}}]}", ":4:", "nowhere"),
];

/// Whole files, where the mistake is, and a word of what is said.
const FILES: &[(&str, &[u8], &str, &str)] = &[
    ("tabs", b"kind: Workflow\nspec:\n\tentrypoint: a\n", "wf.yaml:3:2:", "indent with spaces"),
    ("indentation", b"kind: Workflow\nspec:\n  a: 1\n   b: 2\n", "wf.yaml:4:", "bad YAML"),
    ("a key twice", b"kind: Workflow\nkind: Workflow\n", "wf.yaml:2:1:", "set twice"),
    ("empty", b"", "wf.yaml:", "the file is empty"),
    ("binary", b"\x00\xff\xfe", "wf.yaml:1:", "not UTF-8"),
    ("zeros", b"\x00\x00", "wf.yaml:1:1:", "unexpected character"),
    ("a list", b"- a\n", "wf.yaml:1:1:", "expected a mapping"),
    ("no kind", b"apiVersion: v1\n", "wf.yaml:1:1:", "`kind` is missing"),
    ("misspelt kind", b"apiVersion: argoproj.io/v1alpha1\nkind: Workfow\n", "wf.yaml:2:7:", "did you mean `Workflow`"),
    ("other version", b"apiVersion: argoproj.io/v1\nkind: Workflow\n", "wf.yaml:1:13:", "argoproj.io/v1alpha1"),
    ("nothing to run", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "wf.yaml:", "no Workflow"),
    ("no spec", b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: a}\n", "wf.yaml:1:1:", "`spec` is missing"),
    (
        "no name",
        b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {labels: {generateName: a-}}\nspec: {entrypoint: a, templates: [{name: a, suspend: {}}]}\n",
        "wf.yaml:3:1: metadata:",
        "among the labels",
    ),
    (
        "bad name",
        b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: A_}\nspec: {entrypoint: a, templates: [{name: a, suspend: {}}]}\n",
        "wf.yaml:3:26: metadata.generateName:",
        "lower-case",
    ),
    (
        "exported",
        b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: a, resourceVersion: '7'}\nspec: {entrypoint: a, templates: [{name: a, suspend: {}}]}\n",
        "wf.yaml:3:21: metadata.resourceVersion:",
        "argosy resubmit",
    ),
    (
        "an item of a list",
        b"apiVersion: v1\nkind: List\nitems:\n- apiVersion: argoproj.io/v1alpha1\n  kind: Workflow\n  metadata: {name: a}\n  spec: {entrypoint: q, templates: [{name: a, suspend: {}}]}\n",
        "wf.yaml:7:22: spec.entrypoint:",
        "'q' undefined",
    ),
    (
        "one of two documents",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: a}\nspec: {entrypoint: q, templates: [{name: a, suspend: {}}]}\n",
        "wf.yaml:8:20: spec.entrypoint:",
        "'q' undefined",
    ),
];

/// Flags beside a sound file, and a word of what is said.
const FLAGS: &[(&[&str], &str)] = &[
    (&["-p", "p"], "--parameter p: expected NAME=VALUE"),
    (&["-p", "=1"], "--parameter =1: expected NAME=VALUE"),
    (&["-l", "a"], "--labels a: expected NAME=VALUE"),
    (&["-f", "list.yaml"], "list.yaml:1:1: expected a mapping of names and values"),
    (&["-f", "broken.yaml"], "broken.yaml:1:4: bad YAML"),
    (&["-f", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
    (&["-f", "."], "cannot read"),
    (&["--name", "A_b"], "`A_b` is no name"),
    (&["--entrypoint", "b"], "'b' undefined"),
    (&["--timeout", "soon"], "no duration"),
    (&["--image", "x"], "IMAGE=ENTRYPOINT"),
    (&["-n", "A_b"], "no namespace can have this name"),
    (&["nowhere.yaml"], "nowhere.yaml: there is no such file"),
    (&["p=1"], "did you mean `-p p=1`?"),
    (&["https://host/a.yaml"], "curl -sSL https://host/a.yaml | argosy"),
];

#[test]
fn bad_specs_are_refused_with_their_place() {
    let here = Here::new();
    for (name, spec, place, word) in TABLE {
        let text = format!("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: x}}\nspec: {spec}\n");
        // Bad YAML may be noticed at the end of the file only.
        let place = if *name == "bad YAML" { ":" } else { place };
        here.refuses(name, text.as_bytes(), &[], &[&format!("wf.yaml{place}"), word]);
    }
    here.is_clean(&["wf.yaml"]);
}

#[test]
fn bad_files_are_refused_with_their_place() {
    let here = Here::new();
    for (name, bytes, place, word) in FILES {
        here.refuses(name, bytes, &[], &[place, word]);
    }
    here.refuses("50 MB", &vec![b'#'; 50 * 1024 * 1024], &[], &["wf.yaml", "larger"]);
    here.is_clean(&["wf.yaml"]);
}

#[test]
fn bad_flags_are_refused_by_name() {
    let here = Here::new();
    std::fs::write(here.dir.path().join("list.yaml"), "- a\n").expect("written");
    std::fs::write(here.dir.path().join("broken.yaml"), "p: [\n").expect("written");
    let sound = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: x}\nspec: {entrypoint: a, templates: [{name: a, suspend: {}}]}\n";
    for (flags, word) in FLAGS {
        here.refuses(&format!("{flags:?}"), sound.as_bytes(), flags, &[word]);
    }
    here.is_clean(&["broken.yaml", "list.yaml", "wf.yaml"]);
}

/// A folder in which `argosy` runs, and keeps what it keeps.
struct Here {
    dir: tempfile::TempDir,
}

impl Here {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Asserts that `argosy run wf.yaml` with `flags` says all of `words` and ends with exit code 2.
    fn refuses(&self, name: &str, bytes: &[u8], flags: &[&str], words: &[&str]) {
        let dir = self.dir.path();
        std::fs::write(dir.join("wf.yaml"), bytes).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_argosy"));
        command.args(["run", "wf.yaml", "-o", "name"]).args(flags).current_dir(dir);
        let output = command.env("TMPDIR", dir).env("XDG_STATE_HOME", dir).output().expect("argosy starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.is_empty(), "{name}: standard output is for finished workflows");
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        for word in words {
            assert!(said.contains(word), "{name}: {word:?} is not in {said}");
        }
    }

    /// Asserts that nothing but `files` is there.
    fn is_clean(&self, files: &[&str]) {
        let entries = std::fs::read_dir(self.dir.path()).expect("readable").flatten();
        let mut left: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        left.sort();
        assert_eq!(left, files, "something was left behind");
    }
}
