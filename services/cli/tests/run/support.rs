//! A folder in which `argosy` runs, and keeps what it keeps.

use std::{
    path::Path,
    process::{Child, Command, Output},
};

/// A workflow of two steps, of which the second fails and says so.
pub const FAILS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: fails}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: first, template: say}
    - - {name: second, template: bad}
  - name: say
    container: {image: busybox, command: [echo, hi]}
  - name: bad
    container: {image: busybox, command: [sh, -c, 'for i in $(seq 30); do echo line $i; done; exit 3']}
";

/// The folder.
pub struct Here {
    dir: tempfile::TempDir,
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

impl Here {
    /// A folder with `files`, of names and texts.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let here = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        files.iter().for_each(|(name, text)| here.file(name, text));
        here
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, with the folders that it stands in.
    pub fn file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// `argosy` with these arguments.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_argosy"));
        command.args(arguments.split_whitespace()).current_dir(self.path()).env_remove("KUBECONFIG");
        command.env("HOME", self.path()).env("XDG_STATE_HOME", self.path().join("state")).env("TZ", "UTC");
        command.env("TMPDIR", self.path());
        command
    }

    /// What it says.
    pub fn argosy(&self, arguments: &str) -> Said {
        said(&self.command(arguments).output().expect("argosy starts"))
    }
}

/// Sends a signal.
pub fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|sent| sent.success()), "{signal}");
}

/// As texts.
pub fn said(output: &Output) -> Said {
    Said {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

impl Said {
    /// Asserts the exit code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}
