//! `argosy list`: one line a workflow.

use argosy_api::v1alpha1::{NodePhase, NodeType, Workflow};
use argosy_client::named;
use jiff::Timestamp;

use super::{
    Style, Width, elapsed, human, state,
    table::{fitted, table},
};
use crate::terminal;

/// What the table shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns<'a> {
    /// A column with the namespace.
    pub namespace: bool,
    /// A column with the system that each workflow is in, where there are several.
    pub systems: Option<&'a [String]>,
    /// No head.
    pub no_headers: bool,
}

/// The table; `No workflows found` for none.
pub fn list(workflows: &[Workflow], columns: Columns<'_>, style: Style, now: Timestamp) -> String {
    if workflows.is_empty() {
        return "No workflows found\n".to_owned();
    }
    let mut rows = Vec::new();
    if !columns.no_headers {
        let mut head = vec!["NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"];
        if columns.namespace {
            head.insert(0, "NAMESPACE");
        }
        if columns.systems.is_some() {
            head.insert(0, "SYSTEM");
        }
        if style.width == Width::Wide {
            head.extend(["P/R/C", "PARAMETERS"]);
        }
        rows.push(head.into_iter().map(str::to_owned).collect());
    }
    for (index, workflow) in workflows.iter().enumerate() {
        let mut row = row(workflow, columns, style, now);
        if let Some(systems) = columns.systems {
            row.insert(0, systems.get(index).map_or_else(String::new, |system| terminal::line(system).into_owned()));
        }
        rows.push(row);
    }
    fitted(table(&rows, 3), style.cells.filter(|_| style.width != Width::Wide))
}

fn row(workflow: &Workflow, columns: Columns<'_>, style: Style, now: Timestamp) -> Vec<String> {
    let status = &workflow.status;
    let age = workflow.metadata.creation_timestamp.map(|at| human::short(now.as_second() - at.0.as_second()));
    let duration = elapsed(status.started_at, status.finished_at, now).unwrap_or(0);
    let mut row = vec![
        terminal::line(&workflow.metadata.name).into_owned(),
        state(workflow, style),
        age.unwrap_or_default(),
        human::short(duration),
        workflow.spec.priority.unwrap_or(0).to_string(),
        terminal::line(&named::message(workflow, &status.message).lines().collect::<Vec<_>>().join(" ")).into_owned(),
    ];
    if columns.namespace {
        row.insert(0, terminal::line(&workflow.metadata.namespace).into_owned());
    }
    if style.width == Width::Wide {
        row.push(pods(workflow));
        let parameters = workflow.spec.arguments.parameters.iter();
        let pairs = parameters.filter_map(|p| Some(format!("{}={}", p.name, p.value.as_ref()?)));
        row.push(terminal::line(&pairs.collect::<Vec<_>>().join(",")).into_owned());
    }
    row
}

/// Pods pending, running and completed.
fn pods(workflow: &Workflow) -> String {
    let mut counts = [0_usize; 3];
    for node in workflow.status.nodes.values().filter(|node| node.r#type == NodeType::Pod) {
        match node.phase {
            NodePhase::Pending | NodePhase::Unknown => counts[0] += 1,
            NodePhase::Running => counts[1] += 1,
            NodePhase::Succeeded | NodePhase::Failed | NodePhase::Error | NodePhase::Skipped | NodePhase::Omitted => {
                counts[2] += 1
            }
        }
    }
    counts.map(|count| count.to_string()).join("/")
}
