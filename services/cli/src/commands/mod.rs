//! One file a command; what they share is here.

pub mod cluster_template;
pub mod completion;
pub mod cron;
pub mod delete;
pub mod dev;
pub mod doctor;
mod each;
pub mod get;
pub mod kind;
mod library;
pub mod lint;
pub mod list;
pub mod logs;
pub mod node;
pub mod quarantine;
mod reasons;
pub mod resubmit;
pub mod retry;
pub mod roles;
pub mod select;
pub mod stop;
pub mod submit;
pub mod suspend;
mod takers;
pub mod template;
pub mod told;
pub mod version;
pub mod wait;
pub mod watch;
pub mod why;

use argosy_api::v1alpha1::NodePhase;
use clap::Args;
use kube::{Client, api::DynamicObject};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    channel,
    connect::Connect,
    failure::{Failure, Outcome},
    follow::{self, Interrupt},
    output, phases,
    render::{human, tree::Filter},
    tails,
    view::Show,
};

/// What to do once a workflow is on its way: `submit`, `retry`, `resubmit`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Afterwards {
    /// Wait until it has ended; exit code 1 when it did not succeed
    #[arg(short, long)]
    wait: bool,
    /// Show it until it has ended
    #[arg(long)]
    watch: bool,
    /// Print its logs until it has ended
    #[arg(long)]
    log: bool,
}

impl Afterwards {
    /// Only waits.
    pub fn wait() -> Self {
        Self { wait: true, ..Self::default() }
    }

    /// True when what was created need not be printed: it is shown until it has ended.
    pub fn shows(self) -> bool {
        self.watch && !self.log
    }

    /// Follows the workflows as the flags say.
    pub async fn follow(
        self,
        client: &Client,
        started: Vec<DynamicObject>,
        filter: Filter,
        connect: &Connect,
    ) -> Outcome {
        let show = match (self.log, self.watch, self.wait) {
            (true, _, _) => Show::Logs,
            (false, true, _) => Show::Progress,
            (false, false, true) => Show::Nothing,
            (false, false, false) => return Ok(()),
        };
        follow_to_end(client, started, show, filter, connect).await
    }
}

/// Which steps of a workflow are shown.
#[derive(Args, Clone, Debug, Default)]
pub struct Steps {
    /// Only steps in this phase
    #[arg(long, value_name = "PHASE", value_parser = phases::node())]
    status: Option<NodePhase>,
    /// Only steps that this selects: displayName=a,phase=Failed
    #[arg(long, value_name = "SELECTOR")]
    node_field_selector: Option<String>,
}

impl Steps {
    /// The filter. Errors: a selector that is none.
    pub fn filter(&self) -> Result<Filter, Failure> {
        let selector = select::selector(self.node_field_selector.as_deref())?;
        Ok(Filter { status: self.status, selector })
    }
}

/// Follows workflows to their end; fails when one did not succeed.
pub async fn follow_to_end(
    client: &Client,
    started: Vec<DynamicObject>,
    show: Show,
    filter: Filter,
    connect: &Connect,
) -> Outcome {
    let options = follow::Options {
        call: Ok(connect.command()),
        to_stderr: false,
        show,
        filter,
        timeout: None,
        no_color: connect.no_color,
        interrupt: Interrupt::Leave,
    };
    let finals = follow::follow(client, started, &options, CancellationToken::new()).await?;
    match show {
        Show::Nothing => {
            for value in &finals {
                output::print(&ending(value));
                // Standard output has what Argo's says.
                channel::err(&reasons::of(value, &connect.command()));
            }
            let failed: Vec<Value> = finals.iter().filter(|value| !succeeded(value)).cloned().collect();
            let tails = tails::of(client, &failed, |name| format!("argosy logs {name} shows all")).await;
            tails.iter().for_each(|tails| _ = tails.print(true));
        }
        Show::Progress => {
            let style = output::style(connect, None);
            let mut lines = output::details(&finals, &options.filter, style)?;
            let tails = tails::of(client, &finals, |name| format!("argosy logs {name} shows all")).await;
            lines += tails.iter().map(|tails| tails.print(false)).sum::<usize>();
            output::remind(&finals, lines, style)?;
        }
        Show::Logs | Show::ProgressAndLogs => {}
    }
    if finals.iter().all(succeeded) { Ok(()) } else { Err(Failure::Workflow) }
}

fn succeeded(value: &Value) -> bool {
    value.pointer("/status/phase").and_then(Value::as_str) == Some("Succeeded")
}

/// `hello-x7k2p Succeeded at 2026-01-01 00:00:00 +0000 UTC`, as Argo's CLI says it.
fn ending(value: &Value) -> String {
    let text = |path| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let at = text("/status/finishedAt").parse().map_or_else(|_| "an unknown time".to_owned(), human::go_time);
    format!("{} {} at {at}\n", text("/metadata/name"), text("/status/phase"))
}
