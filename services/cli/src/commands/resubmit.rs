//! `argosy resubmit`.

use argosy_client::{objects, read};
use argosy_engine::ops::resubmit::{self, Resubmit as Options};
use clap::Args;
use jiff::Timestamp;

use super::{Afterwards, each::each, select::Selectors, told::Told};
use crate::{
    connect::Connect,
    failure::{self, Failure, Outcome},
    output::{self, Output},
    parameters::Known,
    running::Named,
};

/// Create workflows like existing ones
#[derive(Args, Debug)]
pub struct Resubmit {
    /// Names; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    names: Vec<String>,
    /// Do not run again what succeeded
    #[arg(long)]
    memoized: bool,
    /// New value of a workflow parameter (repeatable)
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    parameter: Vec<String>,
    /// Priority among waiting workflows
    #[arg(long, value_name = "N")]
    priority: Option<i32>,
    #[command(flatten)]
    selectors: Selectors,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
    #[command(flatten)]
    afterwards: Afterwards,
}

impl Resubmit {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let created = each(connect, &self.selectors, &self.names, async |Named { connection, name, .. }| {
            let (client, namespace) = (&connection.client, connection.namespace.as_str());
            let object = objects::get(client, namespace, name).await?;
            let old = read::workflow(&object)?;
            if !self.parameter.is_empty() {
                let library = super::library::of_cluster(client, namespace).await;
                failure::settle(Known::of([&read::value(&object)?], &library).warnings(&self.parameter))?;
            }
            let options = Options {
                memoized: self.memoized.then(argosy_operations::name_suffix),
                parameters: self.parameter.clone(),
            };
            let mut new = resubmit::resubmit(&old, &options, None, Timestamp::now())
                .map_err(|error| Failure::Other(anyhow::anyhow!("{name}: {}", Told::from(error))))?;
            new.spec.priority = self.priority.or(new.spec.priority);
            let value = serde_json::to_value(&new).map_err(anyhow::Error::from)?;
            Ok(objects::create(client, namespace, "Workflow", value, false).await?)
        })
        .await?;
        if self.output.is_some() || !self.afterwards.shows() {
            output::listed(&created.objects(), self.output, connect)?;
        }
        created.follow(self.afterwards, connect).await
    }
}
