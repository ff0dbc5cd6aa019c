//! Workflows as text: what `get`, `list`, `watch` and `run` print.

pub mod details;
pub mod human;
pub mod list;
pub mod table;
pub mod tree;

use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType, Workflow, WorkflowPhase};

/// How it is printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// ANSI colours.
    pub color: bool,
    /// No signs beyond ASCII: phases in words, branches of dashes.
    pub ascii: bool,
    /// Which columns.
    pub width: Width,
    /// Cells of a line, where there is a terminal; not kept where all columns are asked for.
    pub cells: Option<usize>,
}

/// Which columns a table or tree has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// Those of Argo's CLI.
    #[default]
    Normal,
    /// All (`-o wide`).
    Wide,
    /// `-o short`: the tree alone, with the node's machine.
    Short,
    /// No pod names, for a tree that is drawn while it grows.
    Narrow,
}

/// The sign of a node, as Argo's CLI draws it.
pub fn icon(node: &NodeStatus, style: Style) -> String {
    if style.ascii {
        return match node.phase {
            NodePhase::Unknown => "Pending".to_owned(),
            NodePhase::Running if node.r#type == NodeType::Suspend => "Suspend".to_owned(),
            phase => phase.as_str().to_owned(),
        };
    }
    let (sign, color) = match node.phase {
        NodePhase::Unknown | NodePhase::Pending => ("◷", "33"),
        NodePhase::Running if node.r#type == NodeType::Suspend => ("ǁ", "36"),
        NodePhase::Running => ("●", "36"),
        NodePhase::Succeeded => ("✔", "32"),
        NodePhase::Skipped | NodePhase::Omitted => ("○", ""),
        NodePhase::Failed => ("✖", "31"),
        NodePhase::Error => ("⚠", "31"),
    };
    paint(sign, color, style)
}

/// A workflow's phase, coloured.
pub fn phase(phase: WorkflowPhase, style: Style) -> String {
    let (text, color) = match phase {
        WorkflowPhase::Unknown | WorkflowPhase::Pending => ("Pending", "33"),
        WorkflowPhase::Running => ("Running", "36"),
        WorkflowPhase::Succeeded => ("Succeeded", "32"),
        WorkflowPhase::Failed => ("Failed", "31"),
        WorkflowPhase::Error => ("Error", "31"),
    };
    paint(text, color, style)
}

/// The phase in words, coloured: also that the workflow waits for somebody, or was stopped.
pub fn state(workflow: &Workflow, style: Style) -> String {
    let (spec, status) = (&workflow.spec, &workflow.status);
    let waits = |node: &NodeStatus| node.r#type == NodeType::Suspend && node.phase == NodePhase::Running;
    let more = match status.phase {
        WorkflowPhase::Unknown | WorkflowPhase::Pending | WorkflowPhase::Running
            if spec.suspend == Some(true) || status.nodes.values().any(waits) =>
        {
            " (Suspended)"
        }
        WorkflowPhase::Failed if !spec.shutdown.is_empty() => " (Terminated)",
        WorkflowPhase::Unknown
        | WorkflowPhase::Pending
        | WorkflowPhase::Running
        | WorkflowPhase::Succeeded
        | WorkflowPhase::Failed
        | WorkflowPhase::Error => "",
    };
    format!("{}{more}", phase(status.phase, style))
}

fn paint(text: &str, color: &str, style: Style) -> String {
    if style.color && !color.is_empty() { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Seconds from start to end, or to `now` while it runs.
pub fn elapsed(
    started: Option<argosy_api::v1alpha1::Time>,
    finished: Option<argosy_api::v1alpha1::Time>,
    now: jiff::Timestamp,
) -> Option<i64> {
    let end = finished.map_or(now, |time| time.0);
    Some((end.as_second() - started?.0.as_second()).max(0))
}

#[cfg(test)]
mod tests;
