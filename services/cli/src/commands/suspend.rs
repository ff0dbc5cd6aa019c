//! `argosy suspend` and `argosy resume`.

use argosy_client::edit::edit;
use argosy_engine::ops::suspend;
use clap::Args;
use jiff::Timestamp;

use super::{each::each, select::Selectors, told::Told};
use crate::{
    connect::Connect,
    failure::{Outcome, warn},
    output,
    running::Named,
};

/// Keep workflows from starting more steps
#[derive(Args, Debug)]
pub struct Suspend {
    /// Names; `@latest` is the one created last
    #[arg(required = true, value_name = "WORKFLOW")]
    names: Vec<String>,
}

/// Let suspended workflows, or suspended steps, go on
#[derive(Args, Debug)]
pub struct Resume {
    /// Names; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    names: Vec<String>,
    /// Only the suspended steps that this selects: displayName=approve
    #[arg(long, value_name = "SELECTOR", default_value = "")]
    node_field_selector: String,
    #[command(flatten)]
    selectors: Selectors,
}

impl Suspend {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let selectors = Selectors::default();
        let done = each(connect, &selectors, &self.names, async |Named { connection, name, .. }| {
            edit(&connection.client, &connection.namespace, name, &warn, |workflow| suspend::suspend(workflow, None))
                .await?;
            output::print(&format!("workflow {name} suspended\n"));
            Ok(())
        });
        done.await?.outcome()
    }
}

impl Resume {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let done = each(connect, &self.selectors, &self.names, async |Named { connection, name, .. }| {
            edit(&connection.client, &connection.namespace, name, &warn, |workflow| {
                suspend::resume(workflow, &self.node_field_selector, None, Timestamp::now()).map_err(Told::from)
            })
            .await?;
            output::print(&format!("workflow {name} resumed\n"));
            Ok(())
        });
        done.await?.outcome()
    }
}
