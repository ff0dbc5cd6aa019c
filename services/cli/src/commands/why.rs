//! `argosy why`.

use std::sync::Arc;

use argosy_api::{
    digest::Watermark,
    labels,
    message::{LookupKey, LookupKind, Observed},
    v1alpha1::{NodePhase, NodeStatus, Workflow},
};
use argosy_client::{named, objects, read};
use argosy_engine::{Command, Config, Event, Reason, Workflow as Engine};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

use super::each::{object_of, one};
use crate::{
    connect::Connect,
    failure::{Failure, Outcome},
    output,
    render::{human, table::table},
    running::Named,
    suggest::{self, closest},
};

/// Say what a workflow waits for, or why it failed
///
/// Each node that has not ended is told with its reason: its pod, a time, a person, a limit and who uses it up, or what comes
/// before it; steps and tasks that are still to come, too. The engine is built from the object as a scheduler would do it,
/// and changes nothing.
#[derive(Args, Debug)]
pub struct Why {
    /// Its name; `@latest` is the one created last
    #[arg(value_name = "WORKFLOW")]
    name: String,
    /// Only this node: its name, its id, or the end of its name
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// Form of the output
    #[arg(short, long, value_name = "FORM", value_enum)]
    output: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One JSON object
    Json,
}

/// Lookups that are answered at most: more than any workflow refers to.
const LOOKUPS_MAX: usize = 1000;

impl Why {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let (Named { connection, .. }, object) = one(connect, &self.name, object_of).await?;
        let workflow = read::workflow(&object)?;
        let mut waits = reasons(&connection.client, &workflow).await?;
        let nodes: Vec<&NodeStatus> = workflow.status.nodes.iter().map(|(_, node)| node).collect();
        let mut ended: Vec<&NodeStatus> = nodes.iter().copied().filter(|node| speaks(node)).collect();
        if let Some(wanted) = &self.node {
            let is_wanted = |name: &str, id: &str| is_named(wanted, name, id);
            waits.retain(|reason| is_wanted(&reason.node_name, &reason.node_id));
            let of_wanted = || nodes.iter().copied().filter(|node| is_wanted(&node.name, &node.id));
            ended = of_wanted().filter(|node| node.phase.is_fulfilled()).collect();
            if waits.is_empty() && ended.is_empty() && of_wanted().next().is_none() {
                return Err(unknown(&workflow, &nodes, wanted));
            }
        }
        ended.sort_by_key(|node| (node.finished_at, node.name.clone()));
        match self.output {
            Some(Form::Json) => output::print_exact(&format!("{:#}\n", told(&workflow, &waits, &ended))),
            None => output::print(&text(&workflow, &waits, &ended, Timestamp::now())),
        }
        Ok(())
    }
}

/// What a workflow that has not ended waits for.
async fn reasons(client: &Client, workflow: &Workflow) -> Result<Vec<Reason>, Failure> {
    if workflow.status.phase.is_completed() || workflow.status.phase.as_str().is_empty() {
        return Ok(Vec::new());
    }
    let mark = workflow.metadata.annotations.get(labels::WATERMARK);
    let mark = mark.and_then(|text| Watermark::parse(text, &workflow.metadata.uid));
    let mut engine = Engine::new(Arc::new(Config::default()), workflow.clone(), mark.map_or(0, |mark| mark.sequence));
    let mut commands = engine.resume(Timestamp::now());
    for _ in 0..LOOKUPS_MAX {
        let asked = commands.iter().filter_map(|command| match command {
            Command::Lookup(key) => Some(key.clone()),
            _ => None,
        });
        let asked: Vec<LookupKey> = asked.collect();
        if asked.is_empty() {
            break;
        }
        commands.clear();
        for key in asked {
            let object = look(client, &key).await?;
            let body = Observed::LookedUp { key, object, refused: String::new() };
            let sequence = engine.watermark() + 1;
            commands.extend(engine.step(Event { sequence, at: Timestamp::now(), body }));
        }
    }
    Ok(engine.reasons())
}

async fn look(client: &Client, key: &LookupKey) -> Result<Option<Value>, Failure> {
    let kind = match key.kind {
        LookupKind::WorkflowTemplate => "WorkflowTemplate",
        LookupKind::ClusterWorkflowTemplate => "ClusterWorkflowTemplate",
        LookupKind::ConfigMap => "ConfigMap",
    };
    let found = objects::api(client, kind, Some(&key.namespace)).get_opt(&key.name).await?;
    Ok(found.map(|object| read::value(&object)).transpose()?)
}

/// A node that ended badly and says why.
fn speaks(node: &NodeStatus) -> bool {
    matches!(node.phase, NodePhase::Failed | NodePhase::Error) && (!node.message.is_empty() || node.children.is_empty())
}

fn is_named(wanted: &str, name: &str, id: &str) -> bool {
    let ends = |suffix: &str| suffix.is_empty() || suffix.ends_with(['.', ']']);
    wanted == name || wanted == id || name.strip_suffix(wanted).is_some_and(ends)
}

fn unknown(workflow: &Workflow, nodes: &[&NodeStatus], wanted: &str) -> Failure {
    let names = nodes.iter().map(|node| node.display_name.as_str());
    let help = closest(wanted, names).map_or_else(String::new, |best| format!("; {}", suggest::question(best)));
    Failure::Usage(format!("{} has no node `{wanted}`, and none is to come{help}", workflow.metadata.name))
}

fn told(workflow: &Workflow, waits: &[Reason], ended: &[&NodeStatus]) -> Value {
    let wait = |reason: &Reason| json!({ "node": reason.node_id, "name": reason.node_name, "kind": reason.kind.name(), "reason": reason.text, "until": reason.until });
    let end = |node: &&NodeStatus| {
        let code = node.outputs.as_ref().and_then(|outputs| outputs.exit_code.clone());
        json!({ "node": node.id, "name": node.name, "phase": node.phase, "message": node.message, "exitCode": code })
    };
    json!({
        "workflow": workflow.metadata.name,
        "phase": workflow.status.phase,
        "message": workflow.status.message,
        "waits": waits.iter().map(wait).collect::<Vec<_>>(),
        "ended": ended.iter().map(end).collect::<Vec<_>>(),
    })
}

fn text(workflow: &Workflow, waits: &[Reason], ended: &[&NodeStatus], now: Timestamp) -> String {
    let (name, status) = (&workflow.metadata.name, &workflow.status);
    let phase = status.phase.as_str();
    let mut text = match (phase, status.message.as_str()) {
        ("", _) => return format!("{name} has not begun: no scheduler has taken it up yet\n"),
        (phase, "") => format!("{name} is {phase}\n"),
        (phase, message) => format!("{name} is {phase}: {}\n", named::message(workflow, message)),
    };
    let mut rows = Vec::new();
    for reason in waits {
        let until = reason.until.map(|at| (at.as_second() - now.as_second()).max(0));
        let until = until.map_or_else(String::new, |seconds| format!(", in {}", human::short(seconds)));
        rows.push(vec![format!("  {}", reason.node_name), format!("{}{until}", reason.text)]);
    }
    for node in ended {
        let message = named::message(workflow, &node.message);
        let message = if message.is_empty() { message } else { format!(": {message}") };
        rows.push(vec![format!("  {}", node.name), format!("it is {}{message}", node.phase.as_str())]);
    }
    text.push_str(&table(&rows, 2));
    text
}
