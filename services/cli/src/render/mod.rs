//! Workflows as text: what `get`, `list`, `watch` and `run` print.

pub mod details;
pub mod human;
pub mod list;
pub mod table;
pub mod tree;

use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType, WorkflowPhase};

/// Colours of a phase, where colours are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// ANSI colours.
    pub color: bool,
    /// Show everything (`-o wide`).
    pub wide: bool,
    /// Leave out times and the tree's fine print (`-o short`).
    pub short: bool,
}

/// The sign of a node, as Argo's CLI draws it.
pub fn icon(node: &NodeStatus, style: Style) -> String {
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
