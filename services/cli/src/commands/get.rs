//! `argosy get`.

use argosy_client::{objects, read};
use clap::Args;
use jiff::Timestamp;

use super::Steps;
use crate::{
    connect::Connect,
    failure::{Outcome, warn},
    output::{self, Output},
    render::{Style, details::details},
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
        let connection = connect.open_running(&self.names).await?;
        let style = Style { ascii: self.no_utf8, ..output::style(connect, self.output) };
        let mut values = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            let object = objects::get(&connection.client, &connection.namespace, name).await?;
            if matches!(self.output, Some(Output::Json | Output::Yaml | Output::Name)) {
                values.push(read::shown(&object, &warn)?);
                continue;
            }
            let workflow = read::readable(&object, &warn)?;
            let gap = if index > 0 { "\n" } else { "" };
            output::print(&format!("{gap}{}", details(&workflow, &filter, style, Timestamp::now())));
        }
        if values.is_empty() { Ok(()) } else { output::objects(&values, self.output, style) }
    }
}
