//! `argosy delete`.

use argosy_client::{objects, select::fetch};
use clap::Args;
use jiff::Timestamp;
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use super::{each::tell, select::Filters};
use crate::{
    channel::say,
    connect::Connect,
    failure::{Failure, Outcome, warn},
    output,
    running::{Named, Running},
};

/// Delete workflows
#[derive(Args, Debug)]
pub struct Delete {
    /// Names; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    names: Vec<String>,
    /// All workflows of the namespace
    #[arg(long)]
    all: bool,
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    #[command(flatten)]
    filters: Filters,
    /// Also those that finalizers hold: they are taken off
    #[arg(long)]
    force: bool,
    /// Ask for this many at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    query_chunk_size: Option<u32>,
    /// Say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

impl Delete {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let filters = &self.filters;
        let filtered = filters.completed
            || !filters.status.is_empty()
            || filters.older.is_some()
            || filters.prefix.is_some()
            || filters.resubmitted
            || filters.selectors.any();
        if self.names.is_empty() && !self.all && !filtered {
            return Err(Failure::Usage(
                "name workflows, or choose with --all, --completed, --older, --prefix, --status, -l".to_owned(),
            ));
        }
        let running = Running::find(connect).await?;
        let mut chosen: Vec<(Client, String, String)> = Vec::new();
        let mut outcome = Ok(());
        for name in &self.names {
            match running.named(name).await {
                Ok(Named { connection, name, .. }) => chosen.push((connection.client, connection.namespace, name)),
                Err(failure) if self.names.len() == 1 => return Err(failure),
                Err(failure) => outcome = tell(name, failure),
            }
        }
        if self.all || filtered {
            let (_, connection) = running.first()?;
            let namespace = (!self.all_namespaces).then_some(connection.namespace.as_str());
            let now = Timestamp::now();
            let found =
                fetch(&connection.client, namespace, &filters.selectors.plain(), self.query_chunk_size, &warn).await?;
            let filters = filters.plain();
            let found = found.into_iter().filter(|(workflow, _)| filters.pass(workflow, now));
            chosen.extend(
                found.map(|(workflow, _)| {
                    (connection.client.clone(), workflow.metadata.namespace, workflow.metadata.name)
                }),
            );
        }
        if chosen.is_empty() {
            output::print("No resources found\n");
        }
        let (mut deleted, mut has_failed, wanted) = (0, false, chosen.len());
        let namespace = chosen.first().map(|(_, namespace, _)| namespace.clone()).unwrap_or_default();
        for (client, namespace, name) in chosen {
            if self.dry_run {
                output::print(&format!("Workflow '{name}' deleted (dry-run)\n"));
                deleted += 1;
                continue;
            }
            match self.delete(&client, &namespace, &name).await {
                Ok(true) => {
                    deleted += 1;
                    output::print(&format!("Workflow '{name}' deleted\n"));
                }
                Ok(false) => output::print(&format!("Workflow '{name}' not found\n")),
                Err(failure) if wanted == 1 => return Err(failure),
                Err(failure) => {
                    has_failed = true;
                    outcome = tell(&name, failure);
                }
            }
        }
        if wanted > 0 && deleted == 0 && !has_failed {
            say!("nothing was deleted: no workflow of this name is in namespace {namespace}");
        }
        outcome
    }

    /// Deletes one; false where there is none.
    async fn delete(&self, client: &Client, namespace: &str, name: &str) -> Result<bool, Failure> {
        let api = objects::workflows(client, namespace);
        if !objects::is_name(name) {
            return Ok(false);
        }
        if self.force {
            let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
            match api.patch(name, &PatchParams::default(), &free).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => _ = other?,
            }
        }
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
