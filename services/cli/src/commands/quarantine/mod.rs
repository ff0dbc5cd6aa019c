//! `argosy quarantine`: workflows that were put out of service, because something of them cannot be read, run or written.
//!
//! Nothing here reads such an object as a Workflow: only its JSON.

mod kept;

use argosy_api::labels;
use argosy_client::{Connection, objects, read};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use kube::{
    Client,
    api::{GetParams, ListParams, Patch, PatchParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    channel::say,
    connect::Connect,
    failure::{Failure, Outcome},
    output::{self, Output},
    render::{human, table::table},
    terminal,
};

/// How often a retry is tried when another writer was faster.
const TRIES: usize = 10;

/// Workflows that were put out of service: list them, see why, take them back
#[derive(Args, Debug)]
pub struct Quarantine {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List workflows that were put out of service, and why
    List(List),
    /// Show why a workflow was put out of service, what can be told of it, and the messages that were kept
    Show(Show),
    /// Take workflows back into service, once what was wrong with them is mended
    Retry(Retry),
}

#[derive(Args, Debug)]
struct List {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// No head
    #[arg(long)]
    no_headers: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Args, Debug)]
struct Show {
    /// The workflow
    #[arg(value_name = "WORKFLOW")]
    name: String,
    #[command(flatten)]
    bus: kept::Place,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
}

#[derive(Args, Debug)]
struct Retry {
    /// The workflows
    #[arg(required = true, value_name = "WORKFLOW")]
    names: Vec<String>,
}

impl Quarantine {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        match self.action {
            Action::List(list) => list.run(&connection).await,
            Action::Show(show) => show.run(&connection).await,
            Action::Retry(retry) => {
                for name in &retry.names {
                    take_back(&connection, name).await?;
                    output::print(&format!("workflow {name} taken back into service\n"));
                }
                Ok(())
            }
        }
    }
}

/// A list whose items may be anything.
#[derive(Deserialize)]
struct Listed {
    items: Vec<Value>,
}

impl List {
    async fn run(self, connection: &Connection) -> Outcome {
        let namespace = (!self.all_namespaces).then_some(connection.namespace.as_str());
        let api = objects::api(&connection.client, "Workflow", namespace);
        let selected = ListParams::default().labels(&format!("{}=true", labels::QUARANTINED));
        // Metadata only: what they hold may be what is wrong with them.
        let request = Request::new(api.resource_url()).list_metadata(&selected).map_err(anyhow::Error::from)?;
        let mut found = connection.client.request::<Listed>(request).await?.items;
        found.sort_by_key(|item| std::cmp::Reverse(text(item, CREATED).to_owned()));
        match self.output {
            Some(Output::Name) => {
                found.iter().for_each(|item| output::print(&format!("{}\n", text(item, "/metadata/name"))))
            }
            Some(form @ (Output::Json | Output::Yaml)) => {
                let entries = found.iter().map(|item| {
                    json!({
                        "name": text(item, "/metadata/name"),
                        "namespace": text(item, "/metadata/namespace"),
                        "uid": text(item, "/metadata/uid"),
                        "creationTimestamp": text(item, CREATED),
                        "reason": reason(item),
                    })
                });
                return print_value(&Value::Array(entries.collect()), form);
            }
            None | Some(Output::Wide | Output::Short) if found.is_empty() => {
                output::print("No workflows are in quarantine\n");
            }
            None | Some(Output::Wide | Output::Short) => output::print(&self.table(&found, Timestamp::now())),
        }
        Ok(())
    }

    fn table(&self, found: &[Value], now: Timestamp) -> String {
        let mut rows = Vec::new();
        if !self.no_headers {
            rows.push(["NAMESPACE", "NAME", "AGE", "REASON"].map(str::to_owned).to_vec());
        }
        rows.extend(found.iter().map(|item| {
            let cell = |text: &str| terminal::line(text).into_owned();
            vec![
                cell(text(item, "/metadata/namespace")),
                cell(text(item, "/metadata/name")),
                age(item, now).map(human::short).unwrap_or_default(),
                cell(reason(item)),
            ]
        }));
        if !self.all_namespaces {
            rows.iter_mut().for_each(|row| _ = row.remove(0));
        }
        table(&rows, 3)
    }
}

impl Show {
    async fn run(self, connection: &Connection) -> Outcome {
        let object = get(&connection.client, &connection.namespace, &self.name).await?;
        let kept = self.bus.kept(text(&object, "/metadata/uid")).await;
        match self.output {
            Some(Output::Name) => output::print(&format!("{}\n", text(&object, "/metadata/name"))),
            Some(form @ (Output::Json | Output::Yaml)) => {
                let mut value = facts(&object);
                match &kept {
                    kept::Kept::Entries(entries) => {
                        value["kept"] = entries.iter().map(kept::value).collect();
                    }
                    kept::Kept::NotAsked | kept::Kept::Failed(_) => {
                        say!("note: {}", terminal::lines(&kept.text()))
                    }
                }
                print_value(&value, form)?;
            }
            None | Some(Output::Wide | Output::Short) => {
                output::print(&describe(&object, Timestamp::now()));
                output::print(&format!("\n{}", terminal::lines(&kept.text())));
            }
        }
        match kept {
            kept::Kept::Failed(failure) => Err(failure),
            kept::Kept::Entries(_) | kept::Kept::NotAsked => Ok(()),
        }
    }
}

/// Where an object says when it was made.
const CREATED: &str = "/metadata/creationTimestamp";

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Why it was put out of service.
fn reason(object: &Value) -> &str {
    let annotation = object.pointer("/metadata/annotations").and_then(|all| all.get(labels::QUARANTINE_REASON));
    annotation.and_then(Value::as_str).unwrap_or("the object does not say why")
}

fn is_quarantined(object: &Value) -> bool {
    let label = object.pointer("/metadata/labels").and_then(|all| all.get(labels::QUARANTINED));
    label.and_then(Value::as_str) == Some("true")
}

/// Seconds since it was made.
fn age(object: &Value, now: Timestamp) -> Option<i64> {
    let created: Timestamp = text(object, CREATED).parse().ok()?;
    Some(now.as_second() - created.as_second())
}

/// The JSON of a workflow. Errors: there is none of this name.
async fn get(client: &Client, namespace: &str, name: &str) -> Result<Value, Failure> {
    let api = objects::workflows(client, namespace);
    let request = Request::new(api.resource_url())
        .get(objects::checked(name)?, &GetParams::default())
        .map_err(anyhow::Error::from)?;
    Ok(client.request(request).await?)
}

/// What the object says that may help, without being read as a workflow.
fn facts(object: &Value) -> Value {
    let annotations = object.pointer("/metadata/annotations");
    let nodes = match (object.pointer("/status/compressedNodes"), object.pointer("/status/nodes")) {
        (Some(Value::String(text)), _) if !text.is_empty() => format!("{} bytes, compressed", text.len()),
        (_, Some(Value::Object(nodes))) => nodes.len().to_string(),
        (_, None | Some(Value::Null)) => "none".to_owned(),
        (_, Some(other)) => format!("not a mapping: {} bytes of JSON", other.to_string().len()),
    };
    json!({
        "name": text(object, "/metadata/name"),
        "namespace": text(object, "/metadata/namespace"),
        "uid": text(object, "/metadata/uid"),
        "creationTimestamp": text(object, CREATED),
        "quarantined": is_quarantined(object),
        "reason": is_quarantined(object).then(|| reason(object)),
        "phase": text(object, "/status/phase"),
        "message": text(object, "/status/message"),
        "startedAt": text(object, "/status/startedAt"),
        "finishedAt": text(object, "/status/finishedAt"),
        "nodes": nodes,
        "bytes": object.to_string().len(),
        "watermark": annotations.and_then(|all| all.get(labels::WATERMARK)),
        "unreadable": unreadable(object),
    })
}

/// What of the object cannot be read as a workflow today; nothing where all of it can.
fn unreadable(object: &Value) -> Option<String> {
    let object = serde_json::from_value(object.clone()).map_err(argosy_client::Error::from);
    let read = object.and_then(|object| read::workflow(&object));
    read.err().map(|error| Failure::from(error).line())
}

fn describe(object: &Value, now: Timestamp) -> String {
    let facts = facts(object);
    let of = |name: &str| match &facts[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let service = match is_quarantined(object) {
        true => format!("out of service: {}", reason(object)),
        false => "in service".to_owned(),
    };
    let created = match age(object, now) {
        Some(age) => format!("{} ({} ago)", of("creationTimestamp"), human::short(age)),
        None => of("creationTimestamp"),
    };
    let unreadable = match of("unreadable") {
        why if why.is_empty() => "yes".to_owned(),
        why => format!("no: {why}"),
    };
    let lines = [
        ("Name:", of("name")),
        ("Namespace:", of("namespace")),
        ("UID:", of("uid")),
        ("Created:", created),
        ("Quarantine:", service),
        ("Phase:", of("phase")),
        ("Message:", of("message")),
        ("Started:", of("startedAt")),
        ("Finished:", of("finishedAt")),
        ("Nodes:", of("nodes")),
        ("Size:", format!("{} bytes of JSON", of("bytes"))),
        ("Readable:", unreadable),
    ];
    let lines = lines.iter().filter(|(_, text)| !text.is_empty());
    lines.map(|(name, text)| format!("{name:<12} {}\n", terminal::line(text))).collect()
}

/// Takes the workflow back into service with one write.
///
/// Errors: there is none of this name; it is in service; always another writer.
async fn take_back(connection: &Connection, name: &str) -> Outcome {
    let api = objects::workflows(&connection.client, &connection.namespace);
    for _ in 0..TRIES {
        let object = get(&connection.client, &connection.namespace, name).await?;
        if !is_quarantined(&object) {
            return Err(Failure::Usage(format!(
                "workflow {name} is not in quarantine; `argosy retry {name}` runs a failed workflow again"
            )));
        }
        if let Some(why) = unreadable(&object) {
            say!("warning: workflow {name} cannot be read yet and may be put out of service again: {why}");
        }
        match api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(back_in_service(&object))).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Other(anyhow::anyhow!("{name} changes all the time: tried {TRIES} times")))
}

/// The merge patch that takes the object, as it was read, back into service.
fn back_in_service(object: &Value) -> Value {
    let has_nodes = ["/status/nodes", "/status/compressedNodes"].iter().any(|path| match object.pointer(path) {
        None | Some(Value::Null) => false,
        Some(Value::Object(nodes)) => !nodes.is_empty(),
        Some(Value::String(nodes)) => !nodes.is_empty(),
        Some(_) => true,
    });
    let phase = if has_nodes { json!("Running") } else { Value::Null };
    json!({
        "metadata": {
            "resourceVersion": text(object, "/metadata/resourceVersion"),
            "labels": {labels::QUARANTINED: null, labels::COMPLETED: null, labels::PHASE: phase.clone()},
            "annotations": {
                labels::QUARANTINE_REASON: null,
                labels::TAKEN_BACK: text(object, "/metadata/resourceVersion"),
            },
        },
        "status": {"phase": phase, "message": null, "finishedAt": null},
    })
}

fn print_value(value: &Value, form: Output) -> Outcome {
    let text = match form {
        Output::Yaml => output::yaml(value)?,
        Output::Json | Output::Name | Output::Wide | Output::Short => {
            serde_json::to_string_pretty(value).map_err(anyhow::Error::from)? + "\n"
        }
    };
    output::print_exact(&text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_needs_no_readable_object() {
        let odd = [
            json!({"metadata": 5, "status": []}),
            json!({"metadata": {"labels": "x", "annotations": [1], "creationTimestamp": 7}}),
            json!({"metadata": {"name": "\u{1b}[2Jw", "labels": {labels::QUARANTINED: "true"}}, "status": {"nodes": 7}}),
            json!({"metadata": {"name": "w"}, "spec": "none", "status": {"compressedNodes": "!!not base64"}}),
        ];
        for object in odd {
            let text = describe(&object, Timestamp::UNIX_EPOCH);
            assert!(text.contains("Readable:    no: "), "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn a_workflow_is_taken_back_as_far_as_it_had_come() {
        let phase = |status: Value| {
            let patch = back_in_service(&json!({"metadata": {"resourceVersion": "7"}, "status": status}));
            assert_eq!(patch["metadata"]["resourceVersion"], "7");
            assert_eq!(patch["metadata"]["labels"][labels::PHASE], patch["status"]["phase"]);
            patch["status"]["phase"].clone()
        };
        for begun in [json!({"nodes": {"w": {}}}), json!({"compressedNodes": "H4sI"}), json!({"nodes": 7})] {
            assert_eq!(phase(begun.clone()), "Running", "{begun}");
        }
        for new in [json!({}), json!({"nodes": {}}), json!({"compressedNodes": "", "nodes": null}), Value::Null] {
            assert_eq!(phase(new.clone()), Value::Null, "{new}");
        }
    }
}
