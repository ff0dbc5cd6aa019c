//! `argosy cron`: CronWorkflows.

mod backfill;
mod change;
mod show;
mod write;

use clap::{Args, Subcommand};

use crate::{connect::Connect, failure::Outcome};

/// Create, show, list, replace, delete, suspend, check and backfill CronWorkflows
#[derive(Args, Debug)]
pub struct Cron {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create CronWorkflows from files
    Create(write::Write),
    /// Create CronWorkflows from files, or replace those of the same names
    Update(write::Write),
    /// Show CronWorkflows
    Get(show::Get),
    /// List CronWorkflows
    List(show::List),
    /// Delete CronWorkflows, with the workflows that they have started
    Delete(change::Delete),
    /// Keep CronWorkflows from starting workflows
    Suspend(change::Names),
    /// Let suspended CronWorkflows go on
    Resume(change::Names),
    /// Check files
    Lint(super::lint::Lint),
    /// Run what a schedule would have run in a span of time
    Backfill(backfill::Backfill),
}

impl Cron {
    pub async fn run(self, connect: &Connect) -> Outcome {
        match self.action {
            Action::Create(write) => write.run(false, connect).await,
            Action::Update(write) => write.run(true, connect).await,
            Action::Get(get) => get.run(connect).await,
            Action::List(list) => list.run(connect).await,
            Action::Delete(delete) => delete.run(connect).await,
            Action::Suspend(names) => names.suspend(true, connect).await,
            Action::Resume(names) => names.suspend(false, connect).await,
            Action::Lint(lint) => lint.run(connect).await,
            Action::Backfill(backfill) => backfill.run(connect).await,
        }
    }
}
