//! `argosy wait`.

use clap::Args;

use super::follow_to_end;
use crate::{connect::Connect, failure::Outcome, objects};

/// Wait until workflows have ended; exit code 1 when one did not succeed
#[derive(Args, Debug)]
pub struct Wait {
    /// Names; `@latest` is the one created last
    #[arg(required = true, value_name = "WORKFLOW")]
    names: Vec<String>,
    /// A workflow that is not there counts as ended
    #[arg(long)]
    ignore_not_found: bool,
}

impl Wait {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let api = objects::workflows(&connection.client, &connection.namespace);
        let mut names = Vec::new();
        for name in &self.names {
            let name = objects::name(&connection.client, &connection.namespace, name).await?;
            if !self.ignore_not_found || api.get_opt(&name).await?.is_some() {
                names.push(name);
            }
        }
        follow_to_end(&connection.client, &connection.namespace, &names, connect, false, true).await
    }
}
