//! `argosy watch`.

use argosy_client::objects;
use clap::Args;

use super::{Steps, follow_to_end};
use crate::{
    connect::Connect,
    failure::{Failure, Outcome},
    view::Show,
};

/// Show a workflow until it has ended
#[derive(Args, Debug)]
pub struct Watch {
    /// Its name; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    name: String,
    #[command(flatten)]
    steps: Steps,
}

impl Watch {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let filter = self.steps.filter()?;
        let connection = connect.open_running(std::slice::from_ref(&self.name)).await?;
        let started = objects::get(&connection.client, &connection.namespace, &self.name).await?;
        match follow_to_end(&connection.client, vec![started], Show::Progress, filter, connect).await {
            // Watching succeeded, however the workflow ended.
            Err(Failure::Workflow) => Ok(()),
            other => other,
        }
    }
}
