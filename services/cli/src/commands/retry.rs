//! `argosy retry`.

use argosy_client::{edit, objects, read};
use argosy_engine::ops::retry::Retry as Options;
use clap::Args;

use super::{Afterwards, each::each, select::Selectors, told::Told};
use crate::{
    channel::say,
    connect::Connect,
    failure::{self, Failure, Outcome},
    output::{self, Output},
    parameters::Known,
    running::Named,
};

/// Run failed workflows again, from what failed
#[derive(Args, Debug)]
pub struct Retry {
    /// Names; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    names: Vec<String>,
    /// Also run again the succeeded steps that --node-field-selector selects
    #[arg(long)]
    restart_successful: bool,
    /// Steps to run again: displayName=a
    #[arg(long, value_name = "SELECTOR", default_value = "")]
    node_field_selector: String,
    /// New value of a workflow parameter (repeatable)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameter: Vec<String>,
    #[command(flatten)]
    selectors: Selectors,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
    #[command(flatten)]
    afterwards: Afterwards,
}

impl Retry {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let options = Options {
            restart_successful: self.restart_successful,
            selector: self.node_field_selector.clone(),
            parameters: self.parameter.clone(),
        };
        if !self.node_field_selector.is_empty() && !self.restart_successful {
            say!("warning: --node-field-selector selects nothing without --restart-successful: what failed runs again");
        }
        let retried = each(connect, &self.selectors, &self.names, async |Named { connection, name, .. }| {
            let (client, namespace) = (&connection.client, connection.namespace.as_str());
            if !self.parameter.is_empty() {
                let object = objects::get(client, namespace, name).await?;
                let library = super::library::of_cluster(client, namespace).await;
                failure::settle(Known::of([&read::value(&object)?], &library).warnings(&self.parameter))?;
            }
            argosy_operations::retry(client, namespace, name, &options, None, &failure::warn).await.map_err(
                |error| match error {
                    edit::Error::Refused(error) => Failure::Other(anyhow::anyhow!("{name}: {}", Told::from(error))),
                    error => error.into(),
                },
            )?;
            Ok(objects::get(client, namespace, name).await?)
        })
        .await?;
        if self.output.is_some() || !self.afterwards.shows() {
            output::listed(&retried.objects(), self.output, connect)?;
        }
        retried.follow(self.afterwards, connect).await
    }
}
