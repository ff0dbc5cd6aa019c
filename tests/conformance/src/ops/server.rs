//! A running `argosy dev`, and the commands that are run beside it.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context, Result, bail};
use argosy_client::connect::{Connection, Options, Source};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time,
};

/// How long the program may take to listen, or to end.
const PATIENCE: time::Duration = time::Duration::from_secs(60);

/// The system, in a folder of its own.
pub struct Server {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: tempfile::TempDir,
    child: Child,
    pub connection: Connection,
}

impl Server {
    /// Starts it on a free port, and waits until it listens.
    pub async fn start(program: &Path, namespace: &str) -> Result<Self> {
        let home = tempfile::tempdir().context("create a directory")?;
        let mut command = Command::new(program);
        command
            .args(["dev", "--port", "0", "--data-dir"])
            .arg(home.path().join("data"))
            .env("HOME", home.path())
            .env_remove("XDG_STATE_HOME")
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let said = child.stdout.take().context("its output is no pipe")?;
        let mut lines = BufReader::new(said).lines();
        let listens = async {
            while let Some(line) = lines.next_line().await? {
                if line.starts_with("Ctrl-C") {
                    return Ok(());
                }
            }
            bail!("`argosy dev` ended before it listened")
        };
        time::timeout(PATIENCE, listens).await.context("`argosy dev` does not listen")??;
        let kubeconfig = home.path().join("data/kubeconfig");
        let options = Options { namespace: Some(namespace.to_owned()), ..Options::default() };
        let connection = Connection::open(Source::File(kubeconfig.clone()), &options).await?;
        Ok(Self { program: program.to_owned(), kubeconfig, home, child, connection })
    }

    /// Runs the command line with these arguments; answers the exit code and what was printed.
    pub async fn argosy(&self, arguments: &[String]) -> Result<(i32, String)> {
        let run = Command::new(&self.program)
            .args(["--no-color", "-n", &self.connection.namespace])
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let Output { status, stdout, stderr } =
            time::timeout(PATIENCE, run).await.with_context(|| format!("argosy {arguments:?} does not end"))??;
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        Ok((status.code().unwrap_or(-1), text.trim().to_owned()))
    }

    /// Ends it in order, so that no step is left behind.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            let sent = Command::new("kill").args(["-INT", &id.to_string()]).status().await;
            sent.context("end `argosy dev`")?;
        }
        time::timeout(PATIENCE, self.child.wait()).await.context("`argosy dev` does not end")??;
        Ok(())
    }
}
