//! `argosy watch`.

use clap::Args;

use super::follow_to_end;
use crate::{
    connect::Connect,
    failure::{Failure, Outcome},
    objects,
};

/// Show a workflow until it has ended
#[derive(Args, Debug)]
pub struct Watch {
    /// Its name; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    name: String,
}

impl Watch {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let name = objects::name(&connection.client, &connection.namespace, &self.name).await?;
        match follow_to_end(&connection.client, &connection.namespace, &[name], connect, false, false).await {
            // Watching succeeded, however the workflow ended.
            Err(Failure::Workflow) => Ok(()),
            other => other,
        }
    }
}
