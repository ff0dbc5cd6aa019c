//! `argosy stop` and `argosy terminate`.

use argosy_api::{
    labels,
    v1alpha1::{NodePhase, Shutdown, Workflow},
};
use argosy_client::edit::edit;
use argosy_engine::ops::suspend;
use clap::Args;
use jiff::Timestamp;

use super::{select::Selectors, told::Told};
use crate::{
    connect::Connect,
    failure::{Outcome, warn},
    output,
};

/// Stop workflows: nothing new starts, exit handlers run
#[derive(Args, Debug)]
pub struct Stop {
    /// Names; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    names: Vec<String>,
    /// Why: the message of the suspended steps that this stops, and shown by `get` and `wait`
    #[arg(short, long, default_value = "")]
    message: String,
    /// Fail only the suspended steps that this selects: displayName=approve
    #[arg(long, value_name = "SELECTOR", default_value = "")]
    node_field_selector: String,
    #[command(flatten)]
    selectors: Selectors,
    /// Say what would be stopped
    #[arg(long)]
    dry_run: bool,
}

/// Terminate workflows: everything ends at once, exit handlers don't run
#[derive(Args, Debug)]
pub struct Terminate {
    /// Names; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    names: Vec<String>,
    #[command(flatten)]
    selectors: Selectors,
    /// Say what would be terminated
    #[arg(long)]
    dry_run: bool,
}

impl Stop {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let how = How {
            shutdown: Shutdown::Stop,
            done: "stopped",
            selector: &self.node_field_selector,
            message: &self.message,
        };
        shut_down(connect, &self.names, &self.selectors, self.dry_run, how).await
    }
}

impl Terminate {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let how = How { shutdown: Shutdown::Terminate, done: "terminated", selector: "", message: "" };
        shut_down(connect, &self.names, &self.selectors, self.dry_run, how).await
    }
}

struct How<'a> {
    shutdown: Shutdown,
    done: &'static str,
    selector: &'a str,
    message: &'a str,
}

/// Ends the steps that wait for somebody with `message`: the engine, which ends all others, knows of none.
fn end_waiting(workflow: &mut Workflow, message: &str) -> Result<(), suspend::Error> {
    let phase = Some(NodePhase::Failed);
    let values = suspend::NodeValues { phase, message: message.to_owned(), ..suspend::NodeValues::default() };
    match suspend::set(workflow, "phase=Running", &values, Timestamp::now()) {
        Err(suspend::Error::NothingSelected { .. }) => Ok(()),
        other => other,
    }
}

async fn shut_down(connect: &Connect, names: &[String], selectors: &Selectors, dry_run: bool, how: How<'_>) -> Outcome {
    selectors.check(names)?;
    let connection = connect.open_running(names).await?;
    for name in selectors.names(&connection.client, &connection.namespace, names).await? {
        if dry_run {
            output::print(&format!("workflow {name} {} (dry-run)\n", how.done));
            continue;
        }
        edit(&connection.client, &connection.namespace, &name, &warn, |workflow| {
            if !how.message.is_empty() && how.selector.is_empty() {
                end_waiting(workflow, how.message).map_err(Told::from)?;
                // Steps in pods end with messages of their own, as Argo has them.
                workflow.metadata.annotations.insert(labels::STOP_MESSAGE.to_owned(), how.message.to_owned());
            }
            suspend::shut_down(workflow, how.shutdown, how.selector, how.message, None, Timestamp::now())
                .map_err(Told::from)
        })
        .await?;
        output::print(&format!("workflow {name} {}\n", how.done));
    }
    Ok(())
}
