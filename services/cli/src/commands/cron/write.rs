//! `argosy cron create` and `update`.

use argosy_api::labels;
use argosy_client::{objects, read};
use argosy_engine::ops::submit::SubmitOptions;
use clap::Args;
use serde_json::{Value, json};

use super::show::{self, KIND};
use crate::{
    check::{self, Purpose, Rules},
    commands::takers,
    connect::Connect,
    diagnostic::Diagnostic,
    failure::{self, Failure, Outcome},
    load,
    output::Output,
    overrides::{self, Overrides},
};

#[derive(Args, Debug)]
pub struct Write {
    /// Files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The schedule, in place of those of the files
    #[arg(long, value_name = "SCHEDULE")]
    schedule: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// Unknown fields are mistakes; the default, and here for scripts that say it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    strict: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
}

impl Write {
    /// Creates them, or also replaces those that are there.
    pub async fn run(self, replaces: bool, connect: &Connect) -> Outcome {
        let options = self.overrides.options()?;
        let (mut documents, mut problems) = load::files(&self.files);
        for document in documents.iter_mut().filter(|document| document.kind() == KIND) {
            if let Some(schedule) = &self.schedule {
                document.value["spec"]["schedules"] = json!([schedule]);
            }
            if let Err(message) = edit(&mut document.value, &options) {
                problems.push(Diagnostic::of_source(&document.source, message));
            }
        }
        let connection = connect.open().await?;
        let library = crate::commands::library::of_cluster(&connection.client, &connection.namespace).await;
        let rules = Rules { library: &library, purpose: Purpose::Lint, strict: self.strict, silenced: None };
        problems.extend(check::documents(&mut documents, rules, &mut |_| Ok(())));
        problems.extend(documents.iter().filter(|document| document.kind() != KIND).map(|document| Diagnostic {
            help: Some(takers::of(document.kind()).to_owned()),
            ..Diagnostic::of_source(&document.source, format!("expected a {KIND}, found a {}", document.kind()))
        }));
        failure::settle(problems)?;
        if documents.is_empty() {
            return Err(Failure::Usage(format!("there is no {KIND} in the files")));
        }
        let (client, namespace) = (&connection.client, &connection.namespace);
        let mut values = Vec::new();
        for document in documents {
            let object = if replaces {
                let kept = kept(&connection, document.value).await?;
                objects::apply(client, namespace, KIND, kept).await?
            } else {
                objects::create(client, namespace, KIND, document.value, false).await?
            };
            values.push(read::value(&object)?);
        }
        show::show(&values, self.output, connect)
    }
}

/// Sets what flags say: of the metadata on the object, of the rest on the spec of its workflows.
fn edit(object: &mut Value, options: &SubmitOptions) -> Result<(), String> {
    let mut workflow = json!({ "apiVersion": argosy_api::v1alpha1::API_VERSION, "kind": "Workflow",
        "metadata": object["metadata"], "spec": object["spec"]["workflowSpec"] });
    let before = workflow.clone();
    overrides::apply(&mut workflow, options)?;
    if workflow != before {
        object["metadata"] = workflow["metadata"].take();
        object["spec"]["workflowSpec"] = workflow["spec"].take();
    }
    Ok(())
}

/// The object with what is noted on the one that it takes the place of: its last run stays its last run.
async fn kept(connection: &argosy_client::Connection, mut value: Value) -> Result<Value, Failure> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let namespace = text("/metadata/namespace").unwrap_or_else(|| connection.namespace.clone());
    let Some(name) = text("/metadata/name") else { return Ok(value) };
    let Some(old) = objects::api(&connection.client, KIND, Some(&namespace)).get_opt(&name).await? else {
        return Ok(value);
    };
    let old = read::value(&old)?;
    if value.get("status").is_none() && old.get("status").is_some() {
        value["status"] = old["status"].clone();
    }
    for key in [labels::CRON_LAST_USED_SCHEDULE, labels::CRON_SCHEDULE_SINCE] {
        let noted = &old["metadata"]["annotations"][key];
        if value["metadata"]["annotations"][key].is_null() && !noted.is_null() {
            value["metadata"]["annotations"][key] = noted.clone();
        }
    }
    Ok(value)
}
