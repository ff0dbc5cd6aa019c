//! One line for each change of a node or workflow, and for why a node waits.

use std::collections::HashMap;

use argosy_api::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeStatus, Workflow, WorkflowPhase};
use jiff::{Timestamp, tz::TimeZone};

use super::Target;
use crate::{
    render::{Style, elapsed, human, icon, tree::Filter},
    terminal,
};

/// The lines.
pub struct Plain {
    target: Target,
    filter: Filter,
    workflows: HashMap<String, WorkflowPhase>,
    /// What was said of each node last.
    nodes: HashMap<ArcStr, (NodePhase, ArcStr)>,
}

impl Plain {
    pub fn new(target: Target, filter: Filter) -> Self {
        Self { target, filter, workflows: HashMap::new(), nodes: HashMap::new() }
    }

    pub fn update(&mut self, workflows: &[Workflow]) {
        for workflow in workflows {
            let name = &workflow.metadata.name;
            let status = &workflow.status;
            let mut nodes: Vec<&NodeStatus> =
                status.nodes.values().filter(|node| self.nodes.get(&node.id) != Some(&said(node))).collect();
            nodes.sort_by(|a, b| (a.finished_at, a.started_at, &a.name).cmp(&(b.finished_at, b.started_at, &b.name)));
            for node in nodes {
                let (phase, reason) = said(node);
                // The workflow's own node says what the workflow says, but not why it waits.
                if (node.name != *name || !reason.is_empty()) && self.filter.chooses(node) {
                    self.line(&node_line(node, self.style()));
                }
                self.nodes.insert(node.id.clone(), (phase, reason));
            }
            if self.workflows.get(name) != Some(&status.phase) && status.phase != WorkflowPhase::Unknown {
                self.workflows.insert(name.clone(), status.phase);
                self.line(&workflow_line(workflow, self.style()));
            }
        }
    }

    fn style(&self) -> Style {
        Style { color: self.target.color, ..Style::default() }
    }

    fn line(&self, text: &str) {
        let now = Timestamp::now().to_zoned(TimeZone::system());
        self.target.write(&format!("{} {}\n", now.strftime("%H:%M:%S"), terminal::written(text)));
    }
}

/// A node's phase; while it waits, also why.
fn said(node: &NodeStatus) -> (NodePhase, ArcStr) {
    let waits = matches!(node.phase, NodePhase::Pending | NodePhase::Unknown);
    (node.phase, if waits { node.message.clone() } else { ArcStr::new() })
}

fn node_line(node: &NodeStatus, style: Style) -> String {
    let phase = match node.phase {
        NodePhase::Unknown => "Pending",
        other => other.as_str(),
    };
    let mut text = format!("{} {phase:<9} {}", icon(node, style), terminal::line(&node.name));
    finish(
        &mut text,
        node.phase.is_completed().then(|| elapsed(node.started_at, node.finished_at, Timestamp::now())).flatten(),
        &node.message,
    );
    text
}

fn workflow_line(workflow: &Workflow, style: Style) -> String {
    let status = &workflow.status;
    let mut text =
        format!("workflow {} {}", terminal::line(&workflow.metadata.name), crate::render::phase(status.phase, style));
    let seconds =
        status.phase.is_completed().then(|| elapsed(status.started_at, status.finished_at, Timestamp::now())).flatten();
    finish(&mut text, seconds, &status.message);
    text
}

fn finish(text: &mut String, seconds: Option<i64>, message: &str) {
    if let Some(seconds) = seconds {
        text.push_str(&format!(" ({})", human::short(seconds)));
    }
    if !message.is_empty() {
        text.push_str(&format!(": {}", terminal::line(message)));
    }
}
