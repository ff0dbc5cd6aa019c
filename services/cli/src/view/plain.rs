//! One line for each change of a node or workflow, and for why a node waits.

use std::collections::HashMap;

use argosy_api::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType, Workflow, WorkflowPhase};
use argosy_client::{named, order::Order};
use jiff::{Timestamp, tz::TimeZone};

use super::target::Target;
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
            // A workflow begins before its steps and ends after them.
            if !status.phase.is_completed() {
                self.workflow(workflow);
            }
            let mut nodes: Vec<&NodeStatus> =
                status.nodes.values().filter(|node| self.nodes.get(&node.id) != Some(&said(node))).collect();
            if !nodes.is_empty() {
                let order = Order::new(workflow);
                nodes.sort_by(|a, b| order.last(a).cmp(&order.last(b)));
            }
            for node in nodes {
                let (phase, reason) = said(node);
                // The workflow's own node says what the workflow says, but not why it waits.
                let is_news = (node.name != *name && !is_silent(node)) || !reason.is_empty();
                if is_news && self.filter.chooses(node) {
                    let of = if workflows.len() > 1 { name.as_str() } else { "" };
                    self.line(&node_line(workflow, of, node, self.style()));
                }
                self.nodes.insert(node.id.clone(), (phase, reason));
            }
            if status.phase.is_completed() {
                self.workflow(workflow);
            }
        }
    }

    /// Says the workflow's phase where it is new.
    fn workflow(&mut self, workflow: &Workflow) {
        let (name, phase) = (&workflow.metadata.name, workflow.status.phase);
        if phase != WorkflowPhase::Unknown && self.workflows.get(name) != Some(&phase) {
            self.workflows.insert(name.clone(), phase);
            self.line(&workflow_line(workflow, self.style()));
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

/// True for a group of steps: its steps say what there is to say, unless none of them came to be.
fn is_silent(node: &NodeStatus) -> bool {
    let has_failed = matches!(node.phase, NodePhase::Failed | NodePhase::Error);
    node.r#type == NodeType::StepGroup && !(has_failed && node.children.is_empty())
}

/// `of` is the workflow, where there are several.
fn node_line(workflow: &Workflow, of: &str, node: &NodeStatus, style: Style) -> String {
    let phase = match node.phase {
        NodePhase::Unknown => "Pending",
        other => other.as_str(),
    };
    let step = named::step(workflow, node);
    let step = if of.is_empty() { step } else { format!("{of}: {step}") };
    let mut text = format!("{} {phase:<9} {}", icon(node, style), terminal::line(&step));
    finish(
        &mut text,
        node.phase.is_completed().then(|| elapsed(node.started_at, node.finished_at, Timestamp::now())).flatten(),
        &named::message(workflow, &node.message),
    );
    text
}

fn workflow_line(workflow: &Workflow, style: Style) -> String {
    let status = &workflow.status;
    let mut text =
        format!("workflow {} {}", terminal::line(&workflow.metadata.name), crate::render::phase(status.phase, style));
    let seconds =
        status.phase.is_completed().then(|| elapsed(status.started_at, status.finished_at, Timestamp::now())).flatten();
    finish(&mut text, seconds, &named::message(workflow, &status.message));
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
