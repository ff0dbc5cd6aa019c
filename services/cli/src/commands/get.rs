//! `argosy get`.

use std::cell::Cell;

use argosy_client::{objects, read};
use clap::Args;
use jiff::Timestamp;

use super::{Steps, each::each, select::Selectors};
use crate::{
    connect::Connect,
    failure::{Outcome, warn},
    output::{self, Output},
    render::{Style, details::details},
    running::Named,
};

/// Show workflows: their facts and the tree of their steps
#[derive(Args, Debug)]
pub struct Get {
    /// Names; `@latest` is the one created last
    #[arg(required = true, value_name = "WORKFLOW")]
    names: Vec<String>,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
    #[command(flatten)]
    steps: Steps,
    /// Only ASCII signs
    #[arg(long)]
    no_utf8: bool,
}

impl Get {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let filter = self.steps.filter()?;
        let style = Style { ascii: self.no_utf8, ..output::style(connect, self.output) };
        let is_first = Cell::new(true);
        let found = each(connect, &Selectors::default(), &self.names, async |Named { connection, name, .. }| {
            let object = objects::get(&connection.client, &connection.namespace, name).await?;
            if matches!(self.output, Some(Output::Json | Output::Yaml | Output::Name)) {
                return Ok(Some(read::shown(&object, &warn)?));
            }
            let workflow = read::readable(&object, &warn)?;
            let gap = if is_first.replace(false) { "" } else { "\n" };
            output::print(&format!("{gap}{}", details(&workflow, &filter, style, Timestamp::now())));
            Ok(None)
        })
        .await?;
        let outcome = found.outcome();
        let values: Vec<_> = found.done.into_iter().filter_map(|(_, value)| value).collect();
        if !values.is_empty() {
            output::objects(&values, self.output, style)?;
        }
        outcome
    }
}
