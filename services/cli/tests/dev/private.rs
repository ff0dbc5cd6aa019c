//! What other users and other programs get of a running `argosy dev`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Output},
};

use crate::support::{Dev, has};

const ESCAPES: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: esc}
spec:
  entrypoint: main
  arguments: {parameters: [{name: p, value: \"a\\e]0;PWNED\\aB\"}]}
  templates:
  - name: main
    container: {image: busybox, command: [sh, -c, \"printf 'x\\\\033]0;P\\\\007y\\\\n'; printf '\\\\033[2Jm' > /dev/termination-log; exit 1\"]}
";

/// All below `dir` that a user other than its owner could read, write or enter.
fn open_to_others(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let own = std::fs::symlink_metadata(dir).expect("it is there");
    if own.mode() & 0o077 != 0 {
        found.push(format!("{} {:o}", dir.display(), own.mode() & 0o777));
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            // What is below a closed directory is closed.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.extend(open_to_others(&entry.path()));
            }
        }
    }
    found
}

fn answer(port: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    stream.write_all(request.replace("PORT", port).as_bytes()).expect("sent");
    let mut text = String::new();
    // A connection that is cut says enough.
    _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn what_is_kept_and_what_is_answered_is_for_this_user_alone() {
    let dev = Dev::start_with_umask("000");
    for place in ["data", "state/argosy"] {
        assert_eq!(open_to_others(&dev.path().join(place)), Vec::<String>::new());
    }
    for file in ["data/kubeconfig", "data/api-access.json", "state/argosy/kubeconfig", "data/api/lock"] {
        let mode = std::fs::metadata(dev.path().join(file)).expect("kept").mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let kept = ["data/api", "data/bus"].map(|place| std::fs::read_dir(dev.path().join(place)).expect("readable"));
    for entry in kept.into_iter().flatten().flatten() {
        assert_eq!(entry.metadata().expect("there").mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    let kubeconfig = std::fs::read_to_string(dev.path().join("data/kubeconfig")).expect("kept");
    let after = |word: &str| kubeconfig.split_once(word).expect(word).1.lines().next().expect("a line").to_owned();
    let (port, token) = (after("server: https://127.0.0.1:"), after("token: "));
    let body = r#"{"metadata":{"name":"c"},"spec":{"entrypoint":"m","templates":[{"name":"m","container":{"image":"a","command":["id"]}}]}}"#;
    let create = |headers: &str| {
        let path = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows";
        answer(
            &port,
            &format!(
                "POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
                body.len()
            ),
        )
    };
    let host = "Host: 127.0.0.1:PORT\r\n";
    has(&create(&format!("{host}Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n")), &["HTTP/1.1 403"]);
    has(&create(&format!("{host}Content-Type: application/json\r\n")), &["HTTP/1.1 401"]);
    let bearer = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    has(&create(&format!("Host: evil.example.com\r\n{bearer}")), &["HTTP/1.1 403"]);
    assert_eq!(dev.argosy(0, "list"), "No workflows found\n");
    has(&create(&format!("{host}{bearer}")), &["HTTP/1.1 201"]);
    has(&dev.argosy(0, "list"), &["c "]);
}

#[test]
fn nothing_a_workflow_says_moves_the_cursor() {
    let dev = Dev::start();
    dev.file("esc.yaml", ESCAPES);
    dev.argosy(1, "submit esc.yaml --wait");
    for command in ["get esc", "get esc -o wide", "get esc -o short", "list", "list -o wide", "watch esc"] {
        let text = dev.argosy(0, command);
        let control = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(control, None, "{command}: {text:?}");
    }
    has(&dev.argosy(0, "get esc"), &["a^[]0;PWNED^GB"]);
    // Programs read what was said.
    has(&dev.argosy(0, "get esc -o json"), &["a\\u001b]0;PWNED\\u0007B"]);
    has(&dev.argosy(0, "logs esc"), &["x\u{1b}]0;P\u{7}y"]);
    dev.file("bad.yaml", "kind: \"W\\e[2Jf\"\napiVersion: argoproj.io/v1alpha1\nmetadata: {name: x}\n");
    let said = dev.argosy(2, "lint bad.yaml");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

/// `argosy` in `dir` with these variables besides PATH.
fn argosy(dir: &Path, variables: &[(&str, &Path)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_argosy"));
    command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TMPDIR", dir).envs(variables.iter().copied()).args(arguments).output().expect("argosy starts")
}

#[test]
fn a_kubeconfig_that_is_not_surely_ours_is_not_obeyed() {
    let dir = tempfile::tempdir().expect("a directory");
    let ran = dir.path().join("ran");
    let hostile = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:1'}}}}]\n\
         users: [{{name: a, user: {{exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: [{}], interactiveMode: Never}}}}}}]\n\
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\ncurrent-context: a\n",
        ran.display()
    );
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let state = dir.path().join("argosy");
    std::fs::create_dir(&state).expect("made");
    std::fs::write(state.join("kubeconfig"), &hostile).expect("written");
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    // Where nothing says who we are, not even what lies in the folder for temporary files.
    for command in [&["list"][..], &["get", "x"]] {
        let output = argosy(dir.path(), &[], command);
        assert!(!output.status.success() && !ran.exists(), "{}", said(&output));
    }
    let output = argosy(dir.path(), &[], &["dev", "--port", "0"]);
    assert_eq!(output.status.code(), Some(2));
    has(&said(&output), &["HOME or XDG_STATE_HOME", "--data-dir"]);
    // Others may write to the folder, or to the file.
    let home = [("XDG_STATE_HOME", dir.path())];
    for (path, wrong, right) in [(state.clone(), 0o777, 0o700), (state.join("kubeconfig"), 0o666, 0o600)] {
        mode(&path, wrong);
        for command in [&["list"][..], &["dev", "--port", "0"]] {
            if wrong == 0o666 && command[0] == "dev" {
                continue;
            }
            let output = argosy(dir.path(), &home, command);
            has(&said(&output), &["others may write to"]);
            assert!(!output.status.success() && !ran.exists());
        }
        mode(&path, right);
    }
    // A link to a file of somebody else.
    std::fs::rename(state.join("kubeconfig"), dir.path().join("elsewhere")).expect("moved");
    symlink(dir.path().join("elsewhere"), state.join("kubeconfig")).expect("linked");
    let output = argosy(dir.path(), &home, &["list"]);
    has(&said(&output), &["not a regular file"]);
    assert!(!ran.exists());
    // A data directory that others may write to.
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("made");
    mode(&data, 0o777);
    let output = argosy(dir.path(), &[], &["dev", "--port", "0", "--data-dir", "data"]);
    assert!(!output.status.success());
    has(&said(&output), &["others may write to", "data"]);
    if is_root() {
        mode(&data, 0o700);
        std::os::unix::fs::chown(&data, Some(65534), None).expect("root may");
        let output = argosy(dir.path(), &[], &["dev", "--port", "0", "--data-dir", "data"]);
        has(&said(&output), &["belongs to the user with id 65534"]);
    }
}

/// Whether a directory can be given to somebody else here.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
