//! A running `argosy dev` and programs beside it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// The system, in a folder of its own. Ends with the value.
pub struct Dev {
    dir: tempfile::TempDir,
    child: Child,
    kubeconfig: PathBuf,
}

impl Dev {
    /// Starts it, and waits until its API listens.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`start`](Self::start), with these flags of `dev`.
    pub fn start_with(flags: &[&str]) -> Self {
        Self::started("022", flags)
    }

    /// As [`start`](Self::start), where kubectl is installed.
    pub fn with_kubectl() -> Option<Self> {
        if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
            eprintln!("no kubectl: skipped");
            return None;
        }
        Some(Self::start())
    }

    /// As [`start`](Self::start), by a shell with this umask.
    pub fn start_with_umask(umask: &str) -> Self {
        Self::started(umask, &[])
    }

    fn started(umask: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut command = program("sh", dir.path());
        command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_argosy")]);
        command
            .args(["dev", "--port", "0", "--data-dir", "data"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("argosy starts");
        let said = child.stdout.take().expect("its output is a pipe");
        let lines = BufReader::new(said).lines().map_while(Result::ok);
        let lines: Vec<_> = lines.take_while(|line| line != "Ctrl-C ends it.").collect();
        let line = lines.iter().find_map(|line| line.strip_prefix("kubeconfig:")).expect("it has a kubeconfig");
        let kubeconfig = dir.path().join(line.trim());
        Self { dir, child, kubeconfig }
    }

    /// Another one of the same user, with this data directory.
    pub fn beside(&self, data: &str) -> Beside {
        let mut command = self.command(&format!("dev --port 0 --data-dir {data}"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("argosy starts");
        let said = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        assert!(said.lines().map_while(Result::ok).any(|line| line == "Ctrl-C ends it."), "it does not start");
        Beside { child }
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ends");
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file beside it.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    /// `argosy` with these arguments.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_argosy"), self.path());
        command.args(arguments.split_whitespace());
        command
    }

    /// What `argosy` with these arguments says on standard output; panics unless it ends with `code`.
    pub fn argosy(&self, code: i32, arguments: &str) -> String {
        let mut command = self.command(arguments);
        said(arguments, code, &command.output().expect("argosy starts"))
    }

    /// As [`argosy`](Self::argosy), of kubectl, with `input`.
    pub fn kubectl(&self, code: i32, arguments: &[&str], input: &str) -> String {
        let mut command = program("kubectl", self.path());
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(self.path().join("cache"));
        // The editor of `kubectl edit`.
        command.env("EDITOR", "sed -i s/replaced/edited/");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        // One that does not read its input has said what is wrong.
        _ = child.stdin.take().expect("its input is a pipe").write_all(input.as_bytes());
        said(&format!("kubectl {arguments:?}"), code, &child.wait_with_output().expect("kubectl ends"))
    }

    /// Repeats `argosy` until `word` is in what it says.
    pub fn until(&self, arguments: &str, word: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = self.argosy(0, arguments);
            if text.contains(word) {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "{arguments}: {word:?} never came:\n{text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let ended = Command::new("kill").arg(self.child.id().to_string()).status();
        if !ended.is_ok_and(|status| status.success()) {
            _ = self.child.kill();
        }
        _ = self.child.wait();
    }
}

/// A second system of a user.
pub struct Beside {
    child: Child,
}

impl Beside {
    /// Ends it as Ctrl-C does; what it said on standard error.
    pub fn end(&mut self) -> String {
        let ended = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(ended.is_ok_and(|status| status.success()));
        let mut said = String::new();
        _ = self.child.stderr.take().expect("its errors are a pipe").read_to_string(&mut said);
        assert!(self.child.wait().expect("it ends").success(), "{said}");
        said
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A command that keeps everything it keeps in `dir`.
fn program(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(dir).env_remove("KUBECONFIG").env("TZ", "UTC");
    command.env("HOME", dir).env("XDG_STATE_HOME", dir.join("state")).env("TMPDIR", dir);
    command
}

fn said(what: &str, code: i32, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what}\n{text}\n{errors}");
    // What a failing command says, it says there.
    if code == 0 { text } else { format!("{text}{errors}") }
}

/// Asserts that all `words` are in `text`.
#[track_caller]
pub fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

/// The last line, where `-o name` prints the name.
pub fn name(text: &str) -> &str {
    text.lines().last().expect("a name")
}
