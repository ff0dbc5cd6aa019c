//! `argosy node set`.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::NodePhase;
use argosy_client::edit::edit;
use argosy_engine::ops::suspend::{self, NodeValues};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{each::one, told::Told};
use crate::{
    connect::Connect,
    failure::{Failure, Outcome, warn},
    output, phases,
    running::Named,
};

/// Set values of suspended steps
#[derive(Args, Debug)]
pub struct Node {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set phase, message or outputs of suspended steps
    Set(Set),
}

#[derive(Args, Debug)]
struct Set {
    /// The workflow; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    name: String,
    /// The steps: displayName=approve
    #[arg(long, value_name = "SELECTOR", default_value = "")]
    node_field_selector: String,
    /// Their phase
    #[arg(long, value_name = "PHASE", value_parser = phases::given())]
    phase: Option<NodePhase>,
    /// Added to their message
    #[arg(short, long, default_value = "")]
    message: String,
    /// Value of an output parameter (repeatable)
    #[arg(short = 'p', long = "output-parameter", value_name = "NAME=VALUE")]
    output_parameter: Vec<String>,
}

impl Node {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let Action::Set(set) = self.action;
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), unquoted(value))),
            None => Err(Failure::Usage(format!("expected parameter of the form: NAME=VALUE. Received: {text}"))),
        };
        let output_parameters = set.output_parameter.iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>()?;
        let values = NodeValues { phase: set.phase, message: set.message, output_parameters };
        let work = async |Named { connection, name, .. }: &Named| {
            edit(&connection.client, &connection.namespace, name, &warn, |workflow| {
                suspend::set(workflow, &set.node_field_selector, &values, Timestamp::now()).map_err(Told::from)
            })
            .await?;
            Ok(())
        };
        one(connect, &set.name, work).await?;
        output::print("workflow values set\n");
        Ok(())
    }
}

/// The text that a literal stands for, as Go writes them; any other text is meant as it is. Source: Argo's `node set`.
fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if inner('"').is_some()
        && let Ok(read) = serde_json::from_str(text)
    {
        return read;
    }
    match inner('`').filter(|raw| !raw.contains('`')) {
        Some(raw) => raw.to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn a_quoted_value_is_read() {
        for (text, expected) in [
            (r#""x\tl""#, "x\tl"),
            ("`a\\t`", "a\\t"),
            ("plain", "plain"),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#""a"b""#, r#""a"b""#),
            ("\"", "\""),
            ("", ""),
        ] {
            assert_eq!(unquoted(text), expected, "{text}");
        }
    }
}
