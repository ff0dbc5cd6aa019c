//! `argosy wait`.

use argosy_client::objects;
use clap::Args;

use super::{Afterwards, each::each, select::Selectors};
use crate::{connect::Connect, failure::Outcome, running::Named};

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
        let selectors = Selectors::default();
        let started = each(connect, &selectors, &self.names, async |Named { connection, name, .. }| {
            match objects::get_opt(&connection.client, &connection.namespace, name).await? {
                None if !self.ignore_not_found => Err(objects::not_found(name).into()),
                found => Ok(found),
            }
        });
        started.await?.present().follow(Afterwards::wait(), connect).await
    }
}
