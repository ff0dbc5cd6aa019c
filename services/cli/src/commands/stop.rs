//! `argosy stop` and `argosy terminate`.

use argosy_api::v1alpha1::Shutdown;
use clap::Args;

use super::{each::each, select::Selectors, told::Told};
use crate::{
    connect::Connect,
    failure::{Outcome, warn},
    output,
    running::Named,
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

async fn shut_down(connect: &Connect, names: &[String], selectors: &Selectors, dry_run: bool, how: How<'_>) -> Outcome {
    let done = each(connect, selectors, names, async |Named { connection, name, .. }| {
        if dry_run {
            output::print(&format!("workflow {name} {} (dry-run)\n", how.done));
            return Ok(());
        }
        let (client, namespace) = (&connection.client, &connection.namespace);
        argosy_operations::stop(client, namespace, name, how.shutdown, (how.selector, how.message), None, &warn)
            .await
            .map_err(|error| error.map(Told::from))?;
        output::print(&format!("workflow {name} {}\n", how.done));
        Ok(())
    });
    done.await?.outcome()
}
