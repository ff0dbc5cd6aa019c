//! `argosy cluster-template`.

use clap::Args;

use super::kind::{self, Action};
use crate::{connect::Connect, failure::Outcome};

/// Create, show, list, replace, delete and check ClusterWorkflowTemplates
#[derive(Args, Debug)]
pub struct ClusterTemplate {
    #[command(subcommand)]
    action: Action,
}

impl ClusterTemplate {
    pub async fn run(self, connect: &Connect) -> Outcome {
        kind::run("ClusterWorkflowTemplate", self.action, connect).await
    }
}
