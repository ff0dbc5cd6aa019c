//! One file a command; what they share is here.

pub mod cluster_template;
pub mod completion;
pub mod delete;
pub mod dev;
pub mod edit;
pub mod get;
pub mod kind;
pub mod lint;
pub mod list;
pub mod logs;
pub mod node;
pub mod resubmit;
pub mod retry;
pub mod roles;
pub mod select;
pub mod stop;
pub mod submit;
pub mod suspend;
pub mod template;
pub mod version;
pub mod wait;
pub mod watch;

use clap::Args;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::{
    connect::Connect,
    failure::{Failure, Outcome},
    follow::{self, Interrupt},
    objects, output,
};

/// What to do once a workflow is on its way: `submit`, `retry`, `resubmit`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Afterwards {
    /// Wait until it has ended; exit code 1 when it did not succeed
    #[arg(long)]
    wait: bool,
    /// Show it until it has ended
    #[arg(long)]
    watch: bool,
    /// Print its logs until it has ended
    #[arg(long)]
    log: bool,
}

impl Afterwards {
    /// True when the command goes on after the start.
    pub fn any(self) -> bool {
        self.wait || self.watch || self.log
    }

    /// Follows the workflows `names` as the flags say.
    pub async fn follow(self, client: &Client, namespace: &str, names: &[String], connect: &Connect) -> Outcome {
        if !self.any() {
            return Ok(());
        }
        let silent = !self.watch && !self.log;
        follow_to_end(client, namespace, names, connect, self.log, silent).await
    }
}

/// Follows workflows to their end; fails when one did not succeed.
pub async fn follow_to_end(
    client: &Client,
    namespace: &str,
    names: &[String],
    connect: &Connect,
    log: bool,
    silent: bool,
) -> Outcome {
    let mut started = Vec::new();
    for name in names {
        started.push(objects::get(client, namespace, name).await?);
    }
    let options = follow::Options {
        to_stderr: false,
        log,
        silent,
        timeout: None,
        no_color: connect.no_color,
        interrupt: Interrupt::Leave,
    };
    let finals = follow::follow(client, started, &options, CancellationToken::new()).await?;
    let mut all = true;
    for value in &finals {
        let text = |path| value.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default();
        let phase = text("/status/phase");
        all &= phase == "Succeeded";
        if silent {
            output::print(&format!("{} {phase} at {}\n", text("/metadata/name"), text("/status/finishedAt")));
        }
    }
    if !silent && !log {
        output::objects(&finals, None, output::style(connect, None))?;
    }
    if all { Ok(()) } else { Err(Failure::Workflow) }
}
