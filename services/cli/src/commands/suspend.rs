//! `argosy suspend` and `argosy resume`.

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
        let connection = connect.open_running(&self.names).await?;
        let selectors = Selectors::default();
        for name in selectors.names(&connection.client, &connection.namespace, &self.names).await? {
            edit(&connection.client, &connection.namespace, &name, &warn, |workflow| suspend::suspend(workflow, None))
                .await?;
            output::print(&format!("workflow {name} suspended\n"));
        }
        Ok(())
    }
}

impl Resume {
    pub async fn run(self, connect: &Connect) -> Outcome {
        self.selectors.check(&self.names)?;
        let connection = connect.open_running(&self.names).await?;
        for name in self.selectors.names(&connection.client, &connection.namespace, &self.names).await? {
            edit(&connection.client, &connection.namespace, &name, &warn, |workflow| {
                suspend::resume(workflow, &self.node_field_selector, None, Timestamp::now()).map_err(Told::from)
            })
            .await?;
            output::print(&format!("workflow {name} resumed\n"));
        }
        Ok(())
    }
}
