//! `create`, `get`, `list`, `update`, `delete`, `lint` for a kind of template.

use argosy_client::{objects, read};
use clap::{Args, Subcommand};
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;

use super::takers;
use crate::{
    check::{self, Purpose, Rules},
    connect::Connect,
    diagnostic::Diagnostic,
    failure::{self, Outcome},
    load,
    output::{self, Output},
    render::{Style, human, table::table},
};

/// What to do with templates.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Create templates from files
    Create(Files),
    /// Create templates from files, or replace those of the same names
    Update(Files),
    /// Show templates
    Get(Names),
    /// List templates
    List(Listing),
    /// Delete templates
    Delete(Deletion),
    /// Check files
    Lint(super::lint::Lint),
}

#[derive(Args, Debug)]
pub struct Files {
    /// Files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Unknown fields are mistakes; the default, and here for scripts that say it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    strict: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Args, Debug)]
pub struct Names {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    pub(super) output: Option<Output>,
}

#[derive(Args, Debug)]
pub struct Listing {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
    /// Label selector: a=b,c!=d
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(super) selector: Option<String>,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    pub(super) output: Option<Output>,
}

#[derive(Args, Debug)]
pub struct Deletion {
    /// Names
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// All of the namespace
    #[arg(long)]
    all: bool,
}

/// Runs `action` for templates of `kind`.
pub async fn run(kind: &str, action: Action, connect: &Connect) -> Outcome {
    match action {
        Action::Create(files) => write(kind, &files, false, connect).await,
        Action::Update(files) => write(kind, &files, true, connect).await,
        Action::Get(names) => {
            let connection = connect.open().await?;
            let api = objects::api(&connection.client, kind, Some(&connection.namespace));
            let mut values = Vec::new();
            for name in &names.names {
                values.push(read::value(&api.get(objects::checked(name)?).await?)?);
            }
            show(&values, names.output)
        }
        Action::List(listing) => list(kind, &listing, connect).await,
        Action::Delete(deletion) => {
            let connection = connect.open().await?;
            let api = objects::api(&connection.client, kind, Some(&connection.namespace));
            let mut names = deletion.names;
            if deletion.all {
                let all = api.list(&ListParams::default()).await?;
                names.extend(all.items.into_iter().filter_map(|object| object.metadata.name));
            }
            for name in names {
                api.delete(objects::checked(&name)?, &DeleteParams::default()).await?;
                output::print(&format!("{kind} '{name}' deleted\n"));
            }
            Ok(())
        }
        Action::Lint(lint) => lint.run(connect).await,
    }
}

async fn write(kind: &str, files: &Files, replace: bool, connect: &Connect) -> Outcome {
    let (mut documents, mut problems) = load::files(&files.files);
    let connection = connect.open().await?;
    let library = super::library::of_cluster(&connection.client, &connection.namespace).await;
    let rules = Rules { library: &library, purpose: Purpose::Lint, strict: files.strict, silenced: None };
    problems.extend(check::documents(&mut documents, rules, &mut |_| Ok(())));
    problems.extend(documents.iter().filter(|document| document.kind() != kind).map(|document| Diagnostic {
        help: Some(takers::of(document.kind()).to_owned()),
        ..Diagnostic::of_source(&document.source, format!("expected a {kind}, found a {}", document.kind()))
    }));
    failure::settle(problems)?;
    let mut values = Vec::new();
    for document in documents {
        let object = if replace {
            objects::apply(&connection.client, &connection.namespace, kind, document.value).await?
        } else {
            objects::create(&connection.client, &connection.namespace, kind, document.value, false).await?
        };
        values.push(read::value(&object)?);
    }
    show(&values, files.output)
}

async fn list(kind: &str, listing: &Listing, connect: &Connect) -> Outcome {
    let connection = connect.open().await?;
    let namespace = (!listing.all_namespaces).then_some(connection.namespace.as_str());
    let params = ListParams { label_selector: listing.selector.clone(), ..ListParams::default() };
    let found = objects::api(&connection.client, kind, namespace).list(&params).await?;
    let values = found.items.iter().map(read::value).collect::<Result<Vec<_>, _>>()?;
    if listing.output.is_some_and(|form| form != Output::Wide && form != Output::Short) {
        let whole = if listing.output == Some(Output::Name) { values } else { vec![Value::Array(values)] };
        return output::objects(&whole, listing.output, Style::default());
    }
    let mut rows = vec![vec!["NAME".to_owned()]];
    if listing.all_namespaces && kind != "ClusterWorkflowTemplate" {
        rows[0].insert(0, "NAMESPACE".to_owned());
    }
    for value in &values {
        let mut row = vec![text(value, "/metadata/name").to_owned()];
        if rows[0].len() > 1 {
            row.insert(0, text(value, "/metadata/namespace").to_owned());
        }
        rows.push(row);
    }
    output::print(&table(&rows, 3));
    Ok(())
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn show(values: &[Value], output: Option<Output>) -> Outcome {
    if matches!(output, Some(Output::Json | Output::Yaml | Output::Name)) {
        return output::objects(values, output, Style::default());
    }
    for value in values {
        let mut lines = format!("Name:                {}\n", text(value, "/metadata/name"));
        let namespace = text(value, "/metadata/namespace");
        if !namespace.is_empty() {
            lines.push_str(&format!("Namespace:           {namespace}\n"));
        }
        if let Ok(at) = text(value, "/metadata/creationTimestamp").parse() {
            lines.push_str(&format!("Created:             {}\n", human::moment(at, jiff::Timestamp::now())));
        }
        output::print(&lines);
    }
    Ok(())
}
