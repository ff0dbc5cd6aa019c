//! `argosy watch`.

use clap::Args;

use super::{
    Steps,
    each::{object_of, one},
    follow_to_end,
};
use crate::{
    connect::Connect,
    failure::{Failure, Outcome},
    running::Named,
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
        let (Named { connection, .. }, started) = one(connect, &self.name, object_of).await?;
        match follow_to_end(&connection.client, vec![started], Show::Progress, filter, connect).await {
            // Watching succeeded, however the workflow ended.
            Err(Failure::Workflow) => Ok(()),
            other => other,
        }
    }
}
