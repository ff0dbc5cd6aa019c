//! `argosy get`.

use argosy_api::v1alpha1::NodePhase;
use clap::Args;
use jiff::Timestamp;

use crate::{
    connect::Connect,
    failure::Outcome,
    objects,
    output::{self, Output},
    render::{details::details, tree::Filter},
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
    /// Only steps in this phase
    #[arg(long, value_name = "PHASE")]
    status: Option<NodePhase>,
    /// Only steps that this selects: displayName=a,phase=Failed
    #[arg(long, value_name = "SELECTOR")]
    node_field_selector: Option<String>,
}

impl Get {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let selector = super::node::selector(self.node_field_selector.as_deref())?;
        let connection = connect.open().await?;
        let style = output::style(connect, self.output);
        let filter = Filter { status: self.status, selector };
        let mut values = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            let object = objects::get(&connection.client, &connection.namespace, name).await?;
            if matches!(self.output, Some(Output::Json | Output::Yaml | Output::Name)) {
                values.push(objects::value(&object)?);
                continue;
            }
            let workflow = objects::workflow(&object)?;
            let gap = if index > 0 { "\n" } else { "" };
            output::print(&format!("{gap}{}", details(&workflow, &filter, style, Timestamp::now())));
        }
        if values.is_empty() { Ok(()) } else { output::objects(&values, self.output, style) }
    }
}
