//! The order of a workflow's nodes in time. Moments have seconds, and much happens in one: then what a node waited for
//! comes before it, and what it holds ends before it.

use std::collections::{HashMap, VecDeque};

use argosy_api::v1alpha1::{NodeStatus, NodeType, Time, Workflow};

/// How far from the first node each node is.
pub struct Order<'a> {
    /// Steps from a node without a parent, the longest way.
    levels: HashMap<&'a str, usize>,
    /// The highest level in a node: its own, or that of something that it holds.
    ends: HashMap<&'a str, usize>,
    /// In how many nodes a node is held.
    depths: HashMap<&'a str, usize>,
}

/// When a node began. Later ones are greater.
pub type Start<'a> = (Option<Time>, usize, Vec<Part<'a>>);

/// When something happened to a node: the moment, the level, whether it ended, how deep the node is, its name.
pub type Moment<'a> = (Option<Time>, usize, bool, std::cmp::Reverse<usize>, Vec<Part<'a>>);

impl<'a> Order<'a> {
    /// That of the nodes of `workflow`.
    pub fn new(workflow: &'a Workflow) -> Self {
        let levels = levels(workflow);
        let holders = holders(workflow);
        let mut held: HashMap<&str, usize> = HashMap::new();
        for holder in holders.values() {
            *held.entry(holder).or_default() += 1;
        }
        // From those that hold nothing outwards, each once, however deep they are. What others wrote may hold itself, and
        // is not reached.
        let ids = workflow.status.nodes.keys().map(|id| id.as_str());
        let mut outwards: Vec<&str> = ids.filter(|id| !held.contains_key(id)).collect();
        let (mut ends, mut depths, mut at) = (levels.clone(), HashMap::new(), 0);
        while let Some(id) = outwards.get(at).copied() {
            at += 1;
            let Some(holder) = holders.get(id).copied() else { continue };
            let level = ends.get(id).copied().unwrap_or_default();
            let end = ends.entry(holder).or_default();
            *end = level.max(*end);
            if let Some(count) = held.get_mut(holder) {
                *count -= 1;
                if *count == 0 {
                    outwards.push(holder);
                }
            }
        }
        for id in outwards.into_iter().rev() {
            let depth = holders.get(id).map_or(0, |holder| depths.get(holder).copied().unwrap_or_default() + 1);
            depths.insert(id, depth);
        }
        Self { levels, ends, depths }
    }

    /// For sorting by start.
    pub fn start<'n>(&self, node: &'n NodeStatus) -> Start<'n> {
        (node.started_at, of(&self.levels, node), natural(&node.name))
    }

    /// For sorting what happened last: that it ended, or that it began.
    pub fn last<'n>(&self, node: &'n NodeStatus) -> Moment<'n> {
        let has_ended = node.phase.is_completed();
        let (at, levels) = if has_ended { (node.finished_at, &self.ends) } else { (node.started_at, &self.levels) };
        (at, of(levels, node), has_ended, std::cmp::Reverse(of(&self.depths, node)), natural(&node.name))
    }
}

fn of(numbers: &HashMap<&str, usize>, node: &NodeStatus) -> usize {
    numbers.get(node.id.as_str()).copied().unwrap_or_default()
}

/// Along the children, which lead from each node to those that wait for it.
fn levels(workflow: &Workflow) -> HashMap<&str, usize> {
    let nodes = &workflow.status.nodes;
    let known = |id: &str| nodes.get(id).map(|node| node.id.as_str());
    let mut waits: HashMap<&str, usize> = nodes.keys().map(|id| (id.as_str(), 0)).collect();
    for child in nodes.values().flat_map(|node| &node.children).filter_map(|id| known(id)) {
        *waits.entry(child).or_default() += 1;
    }
    let mut levels: HashMap<&str, usize> = HashMap::new();
    let mut ready: VecDeque<&str> = waits.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
    while let Some(id) = ready.pop_front() {
        let level = *levels.entry(id).or_default();
        for child in nodes.get(id).into_iter().flat_map(|node| &node.children).filter_map(|id| known(id)) {
            let at = levels.entry(child).or_default();
            *at = (level + 1).max(*at);
            if let Some(count) = waits.get_mut(child) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push_back(child);
                }
            }
        }
    }
    levels
}

/// The node that holds each node: its group, loop or retry, else what bounds it.
fn holders(workflow: &Workflow) -> HashMap<&str, &str> {
    let nodes = &workflow.status.nodes;
    let bounded =
        nodes.values().filter(|node| nodes.contains_key(node.boundary_id.as_str()) && node.boundary_id != node.id);
    let mut holders: HashMap<&str, &str> = bounded.map(|node| (node.id.as_str(), node.boundary_id.as_str())).collect();
    for holder in nodes.values() {
        let prefix = match holder.r#type {
            NodeType::StepGroup => String::new(),
            NodeType::TaskGroup | NodeType::Retry => format!("{}(", holder.name),
            _ => continue,
        };
        let children = holder.children.iter().filter_map(|id| nodes.get(id));
        for child in children.filter(|child| child.name.starts_with(&prefix) && child.id != holder.id) {
            holders.insert(&child.id, &holder.id);
        }
    }
    holders
}

/// A part of a name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part<'a> {
    Number(u64),
    Text(&'a str),
}

/// Names with numbers compared as numbers: `a(2)` before `a(10)`.
pub fn natural(name: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(part.parse().ok().filter(|_| digit).map_or(Part::Text(part), Part::Number));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use argosy_api::v1alpha1::NodePhase;
    use serde_json::json;

    use super::*;

    /// Id, type, what bounds it, children.
    type Node<'a> = (&'a str, &'a str, &'a str, &'a [&'a str]);

    /// A workflow of these, all in one second.
    fn workflow(nodes: &[Node<'_>]) -> Workflow {
        let node = |(id, kind, boundary, children): &Node<'_>| {
            let at = "2026-01-01T00:00:00Z";
            let node = json!({ "id": id, "name": id, "displayName": id, "type": kind, "phase": "Succeeded",
                "boundaryID": boundary, "startedAt": at, "finishedAt": at, "children": children });
            ((*id).to_owned(), node)
        };
        let nodes: serde_json::Map<_, _> = nodes.iter().map(node).collect();
        argosy_api::v1alpha1::from_value(
            json!({ "metadata": { "name": "w" }, "spec": {}, "status": { "nodes": nodes } }),
        )
        .expect("a workflow")
    }

    #[test]
    fn within_a_second_what_was_waited_for_comes_first_and_what_holds_ends_last() {
        let workflow = workflow(&[
            ("w", "DAG", "", &["z"]),
            ("z", "Pod", "w", &["inner"]),
            ("inner", "Steps", "w", &["inner[0]"]),
            ("inner[0]", "StepGroup", "inner", &["inner[0].s"]),
            ("inner[0].s", "Pod", "inner", &["a"]),
            ("a", "Pod", "w", &[]),
        ]);
        let order = Order::new(&workflow);
        let mut nodes: Vec<_> = workflow.status.nodes.values().collect();
        nodes.sort_by(|a, b| order.start(a).cmp(&order.start(b)));
        let names = |nodes: &[&NodeStatus]| nodes.iter().map(|node| node.id.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&nodes), ["w", "z", "inner", "inner[0]", "inner[0].s", "a"]);
        nodes.sort_by(|a, b| order.last(a).cmp(&order.last(b)));
        assert_eq!(names(&nodes), ["z", "inner[0].s", "inner[0]", "inner", "a", "w"]);
    }

    #[test]
    fn nodes_that_lead_in_circles_end() {
        let rings: [&[Node<'_>]; 3] = [
            &[("a", "StepGroup", "b", &["b"]), ("b", "StepGroup", "a", &["a", "b", "nowhere"])],
            &[("a", "Retry", "a", &["a"])],
            &[("a", "DAG", "", &["b"]), ("b", "StepGroup", "a", &["b", "c"]), ("c", "StepGroup", "b", &["b"])],
        ];
        for nodes in rings {
            let workflow = workflow(nodes);
            let order = Order::new(&workflow);
            assert!(workflow.status.nodes.values().all(|node| order.last(node).0.is_some()));
        }
    }

    #[test]
    fn a_chain_is_walked_once_however_long_it_is() {
        let name = |n: usize| argosy_api::ArcStr::from(format!("n{n}"));
        let link = |n: usize| {
            let (id, children) = (name(n), vec![name(n + 1)]);
            let (r#type, phase) = (NodeType::StepGroup, NodePhase::Succeeded);
            (id.clone(), NodeStatus { name: id.clone(), id, r#type, phase, children, ..NodeStatus::default() })
        };
        let mut workflow = Workflow::default();
        workflow.status.nodes = (0..50_000).map(link).collect();
        let order = Order::new(&workflow);
        let node = |id: &str| workflow.status.nodes.get(id).expect("a node");
        assert_eq!(order.start(node("n49999")).1, 49_999);
        assert_eq!(order.last(node("n0")).1, 49_999, "it ends with what it holds");
        assert_eq!(order.last(node("n49999")).3, std::cmp::Reverse(49_999));
    }
}
