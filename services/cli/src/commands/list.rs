//! `argosy list`.

use std::time::Duration;

use argosy_client::select::{fetch, sort};
use clap::Args;
use jiff::Timestamp;

use super::select::Filters;
use crate::{
    connect::Connect,
    duration,
    failure::{Outcome, warn},
    output::{self, Output},
    render::list::{Columns, list},
    running::Running,
};

/// List workflows, those that run first
#[derive(Args, Debug)]
pub struct List {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Workflows that have not ended
    #[arg(long)]
    running: bool,
    /// Workflows that are younger than this: 10m, 3h, 1d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    since: Option<Duration>,
    #[command(flatten)]
    filters: Filters,
    /// Ask for this many at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    chunk_size: Option<u32>,
    /// No head
    #[arg(long)]
    no_headers: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
}

impl List {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let systems = Running::find(connect).await?.all();
        let are_several = systems.len() > 1;
        let (mut found, mut last_error) = (Vec::new(), None);
        for (label, connection) in systems {
            let namespace = (!self.all_namespaces).then_some(connection.namespace.as_str());
            let selectors = self.filters.selectors.plain();
            match fetch(&connection.client, namespace, &selectors, self.chunk_size, &warn).await {
                Ok(of_system) => {
                    let label = label.unwrap_or_default();
                    found.extend(of_system.into_iter().map(|(workflow, value)| (workflow, value, label.clone())));
                }
                // One that ends at this moment hides no other.
                Err(error) if are_several => last_error = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match last_error {
            Some(error) if found.is_empty() => return Err(error.into()),
            Some(error) => tracing::debug!(error = &error as &dyn std::error::Error, "a system is not listed"),
            None => {}
        }
        sort(&mut found, |(workflow, _, _)| workflow);
        let now = Timestamp::now();
        let filters = self.filters.plain();
        let young = |at: Timestamp, age: Duration| {
            now.as_second() - at.as_second() < i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
        };
        found.retain(|(workflow, _, _)| {
            let created = workflow.metadata.creation_timestamp;
            filters.pass(workflow, now)
                && (!self.running || !workflow.status.phase.is_completed())
                && self.since.is_none_or(|age| created.is_some_and(|at| young(at.0, age)))
        });
        let style = output::style(connect, self.output);
        match self.output {
            Some(Output::Name) => {
                found.iter().for_each(|(workflow, _, _)| output::print(&format!("{}\n", workflow.metadata.name)))
            }
            Some(form @ (Output::Json | Output::Yaml)) => {
                let values = serde_json::Value::Array(found.into_iter().map(|(_, value, _)| value).collect());
                output::objects(&[values], Some(form), style)?;
            }
            None | Some(Output::Wide | Output::Short) => {
                let (workflows, labels): (Vec<_>, Vec<_>) =
                    found.into_iter().map(|(workflow, _, label)| (workflow, label)).unzip();
                let systems = are_several.then_some(labels.as_slice());
                let columns = Columns { namespace: self.all_namespaces, no_headers: self.no_headers, systems };
                output::print(&list(&workflows, columns, style, now));
            }
        }
        Ok(())
    }
}
