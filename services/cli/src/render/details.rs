//! `argosy get`: the facts of one workflow, then its tree.

use std::borrow::Cow;

use argosy_api::{
    labels,
    v1alpha1::{Parameter, Workflow},
};
use argosy_client::named;
use jiff::Timestamp;

use super::{
    Style, Width, elapsed, human, state,
    table::table,
    tree::{Filter, tree},
};
use crate::terminal;

/// Width of the names in front.
const NAME_WIDTH: usize = 20;

/// All that `get` prints; the tree alone where the style is short.
pub fn details(workflow: &Workflow, filter: &Filter, style: Style, now: Timestamp) -> String {
    let drawn = tree(workflow, filter, style, now);
    if style.width == Width::Short {
        return drawn;
    }
    let mut text = String::new();
    let (metadata, spec, status) = (&workflow.metadata, &workflow.spec, &workflow.status);
    let phase = state(workflow, style);
    let mut fact = |name: &str, value: &str| {
        // Ours is the colour of the status; all else is what somebody says.
        let value = if name == "Status:" { Cow::Borrowed(phase.as_str()) } else { terminal::lines(value) };
        text.push_str(format!("{:<NAME_WIDTH$} {value}", terminal::line(name)).trim_end());
        text.push('\n');
    };
    fact("Name:", &metadata.name);
    fact("Namespace:", &metadata.namespace);
    let of_template = status.stored_workflow_template_spec.as_ref().map(|spec| spec.service_account_name.as_str());
    let account = match (spec.service_account_name.as_str(), of_template) {
        ("", Some("") | None) if spec.workflow_template_ref.is_some() => "unset",
        ("", Some("") | None) => "unset (will run with the default ServiceAccount)",
        ("", Some(account)) | (account, _) => account,
    };
    fact("ServiceAccount:", account);
    fact("Status:", "");
    if !status.message.is_empty() {
        fact("Message:", &named::message(workflow, &status.message));
    }
    if let Some(why) = metadata.annotations.get(labels::STOP_MESSAGE) {
        fact("Stopped because:", why);
    }
    if !status.conditions.is_empty() {
        fact("Conditions:", "");
        for condition in &status.conditions {
            let value = if condition.message.is_empty() { &condition.status } else { &condition.message };
            fact(&format!(" {}", condition.r#type), value);
        }
    }
    for (name, at) in
        [("Created:", metadata.creation_timestamp), ("Started:", status.started_at), ("Finished:", status.finished_at)]
    {
        if let Some(at) = at {
            fact(name, &human::moment(at.0, now));
        }
    }
    if let Some(seconds) = elapsed(status.started_at, status.finished_at, now) {
        fact("Duration:", &human::duration(seconds));
    }
    fact("Progress:", &status.progress);
    if !status.resources_duration.is_empty() {
        fact("ResourcesDuration:", &human::resources(&status.resources_duration));
    }
    let mut parameters = |title: &str, parameters: &[Parameter]| {
        let given: Vec<_> =
            parameters.iter().filter_map(|p| Some((p.name.as_str(), p.value.as_ref()?.to_string()))).collect();
        if given.is_empty() {
            return;
        }
        fact(title, "");
        for (name, value) in given {
            // A value of several lines would begin new ones of the table.
            fact(&format!("  {name}:"), &value.trim_end_matches('\n').replace('\n', "\\n"));
        }
    };
    parameters("Parameters:", &spec.arguments.parameters);
    if let Some(outputs) = &status.outputs {
        parameters("Output Parameters:", &outputs.parameters);
        let artifacts: Vec<_> =
            outputs.artifacts.iter().map(|artifact| vec![format!("  {}", terminal::line(&artifact.name))]).collect();
        if !artifacts.is_empty() {
            fact("Output Artifacts:", "");
            text.push_str(&table(&artifacts, 2));
        }
    }
    if !drawn.is_empty() {
        text.push('\n');
        text.push_str(&drawn);
    }
    text
}

/// How a workflow ended, in a line.
pub fn ending(workflow: &Workflow, style: Style) -> String {
    let name = terminal::line(&workflow.metadata.name);
    match named::message(workflow, &workflow.status.message) {
        message if message.is_empty() => format!("{name} {}\n", state(workflow, style)),
        message => format!("{name} {}: {}\n", state(workflow, style), terminal::line(&message)),
    }
}
