//! `argosy submit`.

use argosy_client::{Connection, objects};
use argosy_operations::{Template, UnknownKind};
use clap::Args;
use serde_json::Value;

use super::{Afterwards, Steps, takers};
use crate::{
    check::{self, Purpose, Rules},
    connect::Connect,
    diagnostic::Diagnostic,
    failure::{self, Failure, Outcome},
    load,
    output::{self, Output},
    overrides::{self, Overrides},
    parameters::Known,
};

/// Create workflows from files, or from a template of the cluster
#[derive(Args, Debug)]
pub struct Submit {
    /// Files; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "from")]
    files: Vec<String>,
    /// Run what is there: workflowtemplate/NAME, clusterworkflowtemplate/NAME or cronworkflow/NAME
    #[arg(long, value_name = "KIND/NAME", conflicts_with = "files")]
    from: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// Annotation with the time of a schedule that the workflow stands for (RFC 3339)
    #[arg(long, value_name = "TIME")]
    scheduled_time: Option<String>,
    /// Print the workflow, create nothing
    #[arg(long)]
    dry_run: bool,
    /// Let the API server check the workflow, create nothing
    #[arg(long)]
    server_dry_run: bool,
    /// Unknown fields are mistakes; the default, and here for scripts that say it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    strict: bool,
    #[command(flatten)]
    steps: Steps,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
    #[command(flatten)]
    afterwards: Afterwards,
}

impl Submit {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let mut options = self.overrides.options()?;
        let filter = self.steps.filter()?;
        options.scheduled_time = self.scheduled_time.clone().unwrap_or_default();
        let (mut documents, mut problems) = load::files(&self.files);
        if self.from.is_none() {
            failure::settle(load::nothing_in(&self.files, &documents, &problems))?;
        }
        let connection = match self.dry_run && self.from.is_none() {
            true => None,
            false => match connect.open().await {
                Ok(connection) => Some(connection),
                // What is wrong with the files is wrong with any server.
                Err(failure) => return Err(failure::settle(problems).err().unwrap_or(failure)),
            },
        };
        let values = match (&self.from, &connection) {
            (Some(from), Some(connection)) => {
                let mut value = from_object(connection, from).await?;
                let library = super::library::of_cluster(&connection.client, &connection.namespace).await;
                failure::settle(Known::of([&value], &library).warnings(&options.parameters))?;
                overrides::apply(&mut value, &options).map_err(Failure::Usage)?;
                vec![value]
            }
            _ => {
                let library = match &connection {
                    Some(connection) => super::library::of_cluster(&connection.client, &connection.namespace).await,
                    None => check::Library::default(),
                };
                let mut all = library.clone();
                all.add_documents(&documents);
                let given = documents.iter().filter(|document| document.kind() == "Workflow");
                let known = Known::of(given.map(|document| &document.value), &all);
                problems.extend(known.warnings(&options.parameters));
                let mut edit = |value: &mut Value| overrides::apply(value, &options);
                let rules = Rules { library: &library, purpose: Purpose::Run, strict: self.strict, silenced: None };
                let mut found = check::documents(&mut documents, rules, &mut edit);
                overrides::blame(&mut found, &options);
                problems.extend(found);
                let (workflows, others): (Vec<_>, Vec<_>) =
                    documents.into_iter().partition(|document| document.kind() == "Workflow");
                problems.extend(others.iter().map(|document| Diagnostic {
                    help: Some(takers::of(document.kind()).to_owned()),
                    ..Diagnostic::of_source(&document.source, format!("a {} cannot be submitted", document.kind()))
                }));
                failure::settle(problems)?;
                workflows.into_iter().map(|document| document.value).collect()
            }
        };
        if values.is_empty() {
            return Err(Failure::Usage("there is no Workflow in the files".to_owned()));
        }
        let style = output::style(connect, self.output);
        let Some(connection) = connection.filter(|_| !self.dry_run) else {
            return output::objects(&values, Some(self.output.unwrap_or(Output::Yaml)), style);
        };
        let mut created = Vec::new();
        for value in values {
            let (client, namespace) = (&connection.client, &connection.namespace);
            created.push(objects::create(client, namespace, "Workflow", value, self.server_dry_run).await?);
        }
        if self.output.is_some() || self.server_dry_run || !self.afterwards.shows() {
            output::listed(&created, self.output, connect)?;
        }
        if self.server_dry_run {
            return Ok(());
        }
        self.afterwards.follow(&connection.client, created, filter, connect).await
    }
}

/// A workflow that runs what `from` names.
async fn from_object(connection: &Connection, from: &str) -> Result<Value, Failure> {
    let Some((kind, name)) = from.split_once('/') else {
        return Err(Failure::Usage(format!("--from {from}: expected KIND/NAME, such as workflowtemplate/build")));
    };
    let template: Template =
        kind.parse().map_err(|error: UnknownKind| Failure::Usage(format!("--from {from}: {error}")))?;
    Ok(template.workflow(&connection.client, &connection.namespace, name).await?)
}
