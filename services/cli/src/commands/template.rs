//! `argosy template`.

use clap::Args;

use super::kind::{self, Action};
use crate::{connect::Connect, failure::Outcome};

/// Create, show, list, replace, delete and check WorkflowTemplates
#[derive(Args, Debug)]
pub struct Template {
    #[command(subcommand)]
    action: Action,
}

impl Template {
    pub async fn run(self, connect: &Connect) -> Outcome {
        kind::run("WorkflowTemplate", self.action, connect).await
    }
}
