//! A small process beside a node whose containers are not to outlive it: when the node dies without a word, it removes
//! them. The node's life is a pipe: its end means that the node is gone.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Child;

use super::args::node_filter;
use super::flavor::Flavor;

/// The subcommand of the executable that leads here.
pub const COMMAND: &str = "__reap";
/// What the node says when it ends well.
const BYE: &[u8] = b".";
/// An engine may still be making a container that the dead node asked for: it is looked for more than once.
const ROUNDS: (u32, Duration) = (3, Duration::from_secs(1));

/// Runs the reaper named by the arguments of this process: `EXECUTABLE __reap PROGRAM NODE`.
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(2).collect();
    let [program, node] = args.as_slice() else {
        eprintln!("{COMMAND} is started by argosy itself");
        return ExitCode::from(2);
    };
    let Some(flavor) = Flavor::of_program(program) else {
        return ExitCode::from(2);
    };
    let mut said = Vec::new();
    // an error ends the pipe as well as its end does
    let _ = io::stdin().take(BYE.len() as u64).read_to_end(&mut said);
    if said == BYE {
        return ExitCode::SUCCESS;
    }
    for round in 0..ROUNDS.0 {
        if round > 0 {
            std::thread::sleep(ROUNDS.1);
        }
        let _ = remove_all(flavor, node);
    }
    ExitCode::SUCCESS
}

fn remove_all(flavor: Flavor, node: &str) -> io::Result<()> {
    let call = || {
        let mut command = Command::new(flavor.program());
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let listed = call().args(["ps", "--all", "--quiet", "--filter", &node_filter(node)]).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for id in listed.split_whitespace() {
        call().args(["rm", "--force", "--volumes", id]).stdout(Stdio::null()).status()?;
    }
    Ok(())
}

/// The reaper as its node holds it.
pub struct Reaper {
    child: Child,
}

impl Reaper {
    /// Starts the reaper of `node`'s containers.
    /// Errors: the process cannot be made.
    pub fn start(executable: &Path, flavor: Flavor, node: &str) -> io::Result<Self> {
        let child = tokio::process::Command::new(executable)
            .args([COMMAND, flavor.program(), node])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // Ctrl-C at the terminal is for the node
            .process_group(0)
            .spawn()?;
        Ok(Self { child })
    }

    /// Ends it: the node has removed its containers itself.
    pub async fn dismiss(mut self) {
        let told = match self.child.stdin.take() {
            Some(mut stdin) => stdin.write_all(BYE).await,
            None => Ok(()),
        };
        if let Err(error) = told.and(self.child.wait().await.map(drop)) {
            tracing::debug!(%error, "cannot end the reaper");
        }
    }
}
