//! `argosy wait`.

use argosy_client::objects;
use clap::Args;

use super::follow_to_end;
use crate::{connect::Connect, failure::Outcome, render::tree::Filter, view::Show};

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
        let connection = connect.open_running(&self.names).await?;
        let mut started = Vec::new();
        for name in &self.names {
            match objects::get_opt(&connection.client, &connection.namespace, name).await? {
                Some(object) => started.push(object),
                None if self.ignore_not_found => {}
                None => return Err(objects::not_found(name).into()),
            }
        }
        follow_to_end(&connection.client, started, Show::Nothing, Filter::default(), connect).await
    }
}
