//! The tree of a workflow's nodes: STEP, TEMPLATE, PODNAME, DURATION, MESSAGE.

use std::collections::{BTreeMap, HashMap};

use argosy_api::{
    ArcStr, labels,
    names::{PodNameVersion, pod_name},
    v1alpha1::{NodePhase, NodeStatus, NodeType, Workflow},
};
use argosy_client::{named, order::Order};
use argosy_engine::ops::selector::NodeSelector;
use jiff::Timestamp;

use super::{
    Style, Width, elapsed, human, icon,
    table::{fitted, shown, table},
};
use crate::terminal;

/// Which nodes are shown.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only nodes in this phase (`--status`), besides those that hold others.
    pub status: Option<NodePhase>,
    /// Only nodes that this selects (`--node-field-selector`), besides those that hold others.
    pub selector: Option<NodeSelector>,
}

impl Filter {
    /// True for a node that is shown for its own sake.
    pub fn chooses(&self, node: &NodeStatus) -> bool {
        self.status.is_none_or(|phase| phase == node.phase)
            && self.selector.as_ref().is_none_or(|selector| selector.matches(node))
    }
}

/// The table with its head; empty while the workflow has no nodes. Where it is too wide for a terminal, the pods' names are
/// left out, and then the ends of lines.
pub fn tree(workflow: &Workflow, filter: &Filter, style: Style, now: Timestamp) -> String {
    let drawn = drawn(workflow, filter, style, now);
    let is_too_wide = |cells: &usize| drawn.lines().any(|line| shown(line) > *cells);
    match style.cells.filter(|cells| style.width != Width::Wide && is_too_wide(cells)) {
        None => drawn,
        Some(cells) if style.width == Width::Normal => {
            let style = Style { width: Width::Narrow, ..style };
            fitted(self::drawn(workflow, filter, style, now), Some(cells))
        }
        Some(cells) => fitted(drawn, Some(cells)),
    }
}

fn drawn(workflow: &Workflow, filter: &Filter, style: Style, now: Timestamp) -> String {
    let mut tree = Tree::new(workflow, filter, style, now);
    let roots: Vec<&NodeStatus> = tree.roots();
    if roots.is_empty() {
        return String::new();
    }
    let mut rows = vec![head(style)];
    for (index, root) in roots.into_iter().enumerate() {
        if index > 0 {
            rows.push(vec![" ".to_owned()]);
        }
        tree.draw(root, &mut rows);
    }
    table(&rows, 2)
}

fn head(style: Style) -> Vec<String> {
    let mut names = vec!["STEP", "TEMPLATE", "PODNAME", "DURATION"];
    match style.width {
        Width::Normal => names.push("MESSAGE"),
        Width::Wide => names.extend(["ARTIFACTS", "MESSAGE", "RESOURCESDURATION", "NODENAME"]),
        Width::Short => names.extend(["MESSAGE", "NODENAME"]),
        Width::Narrow => names = vec!["STEP", "TEMPLATE", "DURATION", "MESSAGE"],
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Levels that are set off from one another, which fill a wide terminal. What is deeper stands below the last of them: each
/// line would else be longer than the one before, and what others wrote may go on and on.
const LEVELS_MAX: usize = 64;

/// A node's line and what is before it.
struct Branch<'a> {
    node: &'a NodeStatus,
    /// Before the line.
    first: String,
    /// Before the lines below it.
    rest: String,
    level: usize,
}

/// What is yet to be drawn. A stack of these and no recursion: what others wrote may be deeper than the program's stack.
enum Task<'a> {
    Draw(Branch<'a>),
    /// All below the node of this row is drawn.
    End(&'a NodeStatus, usize),
}

struct Tree<'a> {
    workflow: &'a Workflow,
    /// Nodes by the node that bounds them, by start and name.
    bounded: BTreeMap<&'a str, Vec<&'a NodeStatus>>,
    order: Order<'a>,
    /// Nodes whose lines are drawn, or left out by the filter, and whether something stands below them.
    drawn: HashMap<&'a str, bool>,
    filter: &'a Filter,
    style: Style,
    now: Timestamp,
    version: PodNameVersion,
}

impl<'a> Tree<'a> {
    fn new(workflow: &'a Workflow, filter: &'a Filter, style: Style, now: Timestamp) -> Self {
        let mut bounded: BTreeMap<&str, Vec<&NodeStatus>> = BTreeMap::new();
        for node in workflow.status.nodes.values() {
            bounded.entry(&node.boundary_id).or_default().push(node);
        }
        let order = Order::new(workflow);
        bounded.values_mut().for_each(|nodes| nodes.sort_by(|a, b| order.start(a).cmp(&order.start(b))));
        let v1 = workflow.metadata.annotations.get(labels::POD_NAME_FORMAT).is_some_and(|format| format == "v1");
        let version = if v1 { PodNameVersion::V1 } else { PodNameVersion::V2 };
        Self { workflow, bounded, order, drawn: HashMap::new(), filter, style, now, version }
    }

    /// The workflow's own node, its exit handler, its hooks.
    fn roots(&self) -> Vec<&'a NodeStatus> {
        let name = self.workflow.metadata.name.as_str();
        let mut roots: Vec<&NodeStatus> = self.workflow.status.nodes.get(name).into_iter().collect();
        let owned = self.children_of_any();
        let others = self.bounded.get("").into_iter().flatten();
        roots.extend(others.filter(|node| node.id != name && !owned.contains(node.id.as_str())));
        roots
    }

    fn children_of_any(&self) -> std::collections::BTreeSet<&'a str> {
        let nodes = self.workflow.status.nodes.values();
        nodes.flat_map(|node| node.children.iter().map(ArcStr::as_str)).collect()
    }

    /// The node and all below it. What stands below a node that is drawn already is not drawn again: children may lead in
    /// circles, and from many nodes to one.
    fn draw(&mut self, root: &'a NodeStatus, rows: &mut Vec<Vec<String>>) {
        let root = Branch { node: root, first: " ".to_owned(), rest: " ".to_owned(), level: 0 };
        let mut tasks = vec![Task::Draw(root)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Draw(branch) => {
                    tasks.push(Task::End(branch.node, rows.len()));
                    let before = self.drawn.get(branch.node.id.as_str()).copied();
                    let note = if before == Some(true) { " (above)" } else { "" };
                    rows.push(self.row(branch.node, &branch.first, note));
                    if before.is_none() {
                        let below = self.below(&branch);
                        self.drawn.insert(&branch.node.id, !below.is_empty());
                        tasks.extend(below.into_iter().rev().map(Task::Draw));
                    }
                }
                Task::End(node, row) => {
                    let is_alone = rows.len() == row + 1;
                    if is_alone && !self.filter.chooses(node) && node.id != self.workflow.metadata.name {
                        rows.truncate(row);
                    }
                }
            }
        }
    }

    fn below(&self, branch: &Branch<'a>) -> Vec<Branch<'a>> {
        let node = branch.node;
        match node.r#type {
            NodeType::Steps => self.steps(branch),
            NodeType::Dag => {
                let all = self.bounded.get(node.id.as_str()).into_iter().flatten();
                let inner = self.held_within(node);
                let tasks: Vec<_> = all.copied().filter(|task| !inner.contains(task.id.as_str())).collect();
                list(&tasks, branch)
            }
            NodeType::Retry | NodeType::TaskGroup | NodeType::StepGroup => {
                let children: Vec<_> =
                    node.children.iter().filter_map(|id| self.workflow.status.nodes.get(id)).collect();
                list(&children, branch)
            }
            NodeType::Pod => list(self.bounded.get(node.id.as_str()).map(Vec::as_slice).unwrap_or_default(), branch),
            NodeType::Unknown
            | NodeType::Container
            | NodeType::Skipped
            | NodeType::Suspend
            | NodeType::Http
            | NodeType::Plugin => Vec::new(),
        }
    }

    /// Nodes in the same boundary that stand below a retry or a loop there.
    fn held_within(&self, boundary: &NodeStatus) -> std::collections::BTreeSet<&'a str> {
        let all = self.bounded.get(boundary.id.as_str()).into_iter().flatten();
        all.filter(|node| matches!(node.r#type, NodeType::Retry | NodeType::TaskGroup))
            .flat_map(|node| node.children.iter().filter(|id| self.is_part(node, id)).map(ArcStr::as_str))
            .collect()
    }

    /// A child is a part of a retry or loop (`a(0)`), not what follows it.
    fn is_part(&self, parent: &NodeStatus, child: &str) -> bool {
        self.workflow.status.nodes.get(child).is_some_and(|node| node.name.starts_with(&format!("{}(", parent.name)))
    }

    /// Step groups in their order; a group of several steps branches.
    fn steps(&self, branch: &Branch<'a>) -> Vec<Branch<'a>> {
        let mut below = Vec::new();
        let bounded = self.bounded.get(branch.node.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mut groups: Vec<_> = bounded.iter().copied().filter(|inner| inner.r#type == NodeType::StepGroup).collect();
        groups.sort_by_key(|group| group_index(&group.name));
        let in_groups: std::collections::BTreeSet<_> =
            groups.iter().flat_map(|group| group.children.iter().map(ArcStr::as_str)).collect();
        let mut loose: Vec<_> =
            bounded.iter().copied().filter(|inner| is_hook(inner) && !in_groups.contains(inner.id.as_str())).collect();
        loose.sort_by(|a, b| self.order.start(a).cmp(&self.order.start(b)));
        let count = groups.len() + loose.len();
        for (index, group) in groups.iter().enumerate() {
            let last = index + 1 == count;
            let (turn, past) = if last { ("└─", "  ") } else { ("├─", "│ ") };
            let mut steps: Vec<_> = group.children.iter().filter_map(|id| self.workflow.status.nodes.get(id)).collect();
            steps.sort_by(|a, b| self.order.start(a).cmp(&self.order.start(b)));
            for (at, step) in steps.iter().enumerate() {
                let (sign, under) = match (steps.len(), at + 1 == steps.len()) {
                    (1, _) => ("──", "  "),
                    (_, true) => ("└─", "  "),
                    (_, false) if at == 0 => ("┬─", "│ "),
                    (_, false) => ("├─", "│ "),
                };
                let turn = if at == 0 { turn } else { past };
                below.push(branch.next(step, &format!("{turn}{sign}"), &format!("{past}{under}")));
            }
        }
        below.extend(list(&loose, branch));
        below
    }

    fn row(&self, node: &NodeStatus, prefix: &str, note: &str) -> Vec<String> {
        let template = match &node.template_ref {
            Some(reference) => format!("{}/{}", reference.name, reference.template),
            None => node.template_name.to_string(),
        };
        let duration = elapsed(node.started_at, node.finished_at, self.now).map(human::short).unwrap_or_default();
        let is_pod = node.r#type == NodeType::Pod;
        let pod = if is_pod { self.pod(node) } else { String::new() };
        let duration = if is_pod || matches!(node.r#type, NodeType::Http | NodeType::Container) {
            duration
        } else {
            String::new()
        };
        let prefix = if self.style.ascii { plain(prefix) } else { prefix.to_owned() };
        let step = format!("{prefix}{} {}{note}", icon(node, self.style), terminal::line(display(node)));
        let message = one_line(&named::message(self.workflow, &node.message));
        let machine = node.host_node_name.to_string();
        let [template, pod, message, machine, artifacts, resources] =
            [template, pod, message, machine, artifacts(node), resources(node)]
                .map(|cell| terminal::line(&cell).into_owned());
        match self.style.width {
            Width::Normal => vec![step, template, pod, duration, message],
            Width::Wide => vec![step, template, pod, duration, artifacts, message, resources, machine],
            Width::Short => vec![step, template, pod, duration, message, machine],
            Width::Narrow => vec![step, template, duration, message],
        }
    }

    fn pod(&self, node: &NodeStatus) -> String {
        let template =
            node.template_ref.as_ref().map_or(node.template_name.as_str(), |reference| reference.template.as_str());
        pod_name(&self.workflow.metadata.name, &node.name, template, &node.id, self.version)
    }
}

impl<'a> Branch<'a> {
    /// The branch of `node` below this one: `turn` leads to its line, `past` to those below it.
    fn next(&self, node: &'a NodeStatus, turn: &str, past: &str) -> Self {
        let rest = if self.level < LEVELS_MAX { format!("{}{past}", self.rest) } else { self.rest.clone() };
        Self { node, first: format!("{}{turn}", self.rest), rest, level: self.level + 1 }
    }
}

fn list<'a>(nodes: &[&'a NodeStatus], above: &Branch<'a>) -> Vec<Branch<'a>> {
    let branch = |(index, node): (usize, &&'a NodeStatus)| {
        let (turn, past) = if index + 1 == nodes.len() { ("└─", "  ") } else { ("├─", "│ ") };
        above.next(node, turn, past)
    };
    nodes.iter().enumerate().map(branch).collect()
}

/// Branches without signs beyond ASCII.
fn plain(prefix: &str) -> String {
    let sign = |c: char| match c {
        '─' => '-',
        '│' | '├' => '|',
        '└' => '`',
        '┬' => '+',
        other => other,
    };
    prefix.chars().map(sign).collect()
}

fn group_index(name: &str) -> usize {
    let inner = name.rsplit_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
    inner.and_then(|index| index.parse().ok()).unwrap_or(usize::MAX)
}

fn is_hook(node: &NodeStatus) -> bool {
    node.node_flag.as_ref().is_some_and(|flag| flag.hooked) || node.name.ends_with(".onExit")
}

fn display(node: &NodeStatus) -> &str {
    if node.display_name.is_empty() { &node.name } else { &node.display_name }
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(" ")
}

fn artifacts(node: &NodeStatus) -> String {
    let artifacts = node.outputs.iter().flat_map(|outputs| &outputs.artifacts);
    artifacts.map(|artifact| artifact.name.as_str()).collect::<Vec<_>>().join(",")
}

/// `1s*(1 cpu),4s*(100Mi memory)`.
fn resources(node: &NodeStatus) -> String {
    human::resources(&node.resources_duration)
}
