//! Sums over all that is below a node, for many nodes at once.
//!
//! "Below" follows the children, hence also what comes after a group: the first of 10,000 step groups is above all the
//! others. Adding up from each group anew would cost n². But all ways down from a node meet again at one node (its
//! immediate post-dominator) and nothing between the two is below the latter; so the sum is what lies between, plus the
//! sum of where the ways meet.

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeStatus, Nodes};

/// Done and total.
pub(crate) type Sum = (u64, u64);

/// Place of a node among the workflow's. Small, for these lists to stay in a processor's cache.
type Place = u32;

/// In a list of places: there is none.
const NONE: Place = Place::MAX;

fn place(index: usize) -> Place {
    Place::try_from(index).expect("no machine holds that many nodes")
}

/// The graph of a workflow's nodes.
pub(crate) struct Below {
    own: Vec<Sum>,
    /// The nodes that sums are wanted of.
    wanted: Vec<(ArcStr, Place)>,
    /// The children of all nodes, one node after another, and where those of each begin.
    children: Vec<Place>,
    begins: Vec<Place>,
    /// Where all ways down from a node meet; none where they only meet at the end of the workflow.
    meets: Vec<Place>,
    /// How many further meetings follow.
    depth: Vec<u32>,
    sums: Vec<Option<Sum>>,
    /// The last walk that came by.
    walked: Vec<u32>,
    walks: u32,
}

impl Below {
    /// `own` is what a node adds itself; sums are wanted of the nodes that `wanted` holds for.
    pub fn new(nodes: &Nodes, own: impl Fn(&NodeStatus) -> Sum, wanted: impl Fn(&NodeStatus) -> bool) -> Self {
        let count = nodes.len();
        let mut below = Self {
            own: Vec::with_capacity(count),
            wanted: Vec::new(),
            children: Vec::with_capacity(count),
            begins: Vec::with_capacity(count + 1),
            meets: vec![NONE; count],
            depth: vec![0; count],
            sums: vec![None; count],
            walked: vec![0; count],
            walks: 0,
        };
        for (index, node) in nodes.unordered().enumerate() {
            below.own.push(own(node));
            below.begins.push(place(below.children.len()));
            below.children.extend(node.children.iter().filter_map(|id| nodes.place_of(id)).map(place));
            if wanted(node) {
                below.wanted.push((node.id.clone(), place(index)));
            }
        }
        below.begins.push(place(below.children.len()));
        let mut is_met = vec![false; count];
        for node in below.children_first() {
            below.meet(node, &is_met);
            is_met[node as usize] = true;
        }
        below
    }

    /// The sum over each node that is wanted and all below it, by the node's id.
    pub fn sums(mut self) -> Vec<(ArcStr, Sum)> {
        let wanted = std::mem::take(&mut self.wanted);
        wanted.into_iter().map(|(id, node)| (id, self.sum(node))).collect()
    }

    fn children(&self, node: Place) -> &[Place] {
        let node = node as usize;
        &self.children[self.begins[node] as usize..self.begins[node + 1] as usize]
    }

    /// All nodes, each after its children.
    fn children_first(&self) -> Vec<Place> {
        let count = self.own.len();
        let mut ordered = Vec::with_capacity(count);
        let mut entered = vec![false; count];
        let mut stack = Vec::new();
        for root in 0..place(count) {
            stack.push((root, 0));
            while let Some((node, next)) = stack.pop() {
                if next == 0 && std::mem::replace(&mut entered[node as usize], true) {
                    continue;
                }
                match self.children(node).get(next) {
                    Some(child) => stack.extend([(node, next + 1), (*child, 0)]),
                    None => ordered.push(node),
                }
            }
        }
        ordered
    }

    /// `is_met`: nodes that this was done for. A child that is not among them leads back up, as in a status that somebody
    /// has edited; it does not count.
    fn meet(&mut self, node: Place, is_met: &[bool]) {
        let mut children = self.children(node).iter().copied().filter(|child| is_met[*child as usize]);
        let meets = match children.next() {
            Some(first) => children.try_fold(first, |a, b| self.first_common(a, b)).unwrap_or(NONE),
            None => NONE,
        };
        self.meets[node as usize] = meets;
        self.depth[node as usize] = if meets == NONE { 0 } else { self.depth[meets as usize] + 1 };
    }

    fn first_common(&self, mut a: Place, mut b: Place) -> Option<Place> {
        while a != b {
            let further = if self.depth[a as usize] >= self.depth[b as usize] { &mut a } else { &mut b };
            *further = self.meets[*further as usize];
            if *further == NONE {
                return None;
            }
        }
        Some(a)
    }

    fn sum(&mut self, node: Place) -> Sum {
        let mut chain = Vec::new();
        let mut at = node;
        while at != NONE && self.sums[at as usize].is_none() {
            chain.push(at);
            at = self.meets[at as usize];
        }
        let mut sum = if at == NONE { Sum::default() } else { self.sums[at as usize].unwrap_or_default() };
        for node in chain.into_iter().rev() {
            let between = self.between(node);
            sum = (sum.0.saturating_add(between.0), sum.1.saturating_add(between.1));
            self.sums[node as usize] = Some(sum);
        }
        sum
    }

    /// Over the node and what is below it up to where all ways meet.
    fn between(&mut self, node: Place) -> Sum {
        self.walks += 1;
        let end = self.meets[node as usize];
        if end != NONE {
            self.walked[end as usize] = self.walks;
        }
        let mut sum = Sum::default();
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if std::mem::replace(&mut self.walked[node as usize], self.walks) != self.walks {
                let own = self.own[node as usize];
                sum = (sum.0.saturating_add(own.0), sum.1.saturating_add(own.1));
                stack.extend_from_slice(self.children(node));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// A node per list; each entry leads further down, at most to the last node.
    fn graph(edges: &[Vec<usize>]) -> Nodes {
        let node = |(i, down): (usize, &Vec<usize>)| {
            let mut children: Vec<usize> = down.iter().map(|d| i + d).filter(|c| *c < edges.len()).collect();
            children.dedup();
            let children = children.into_iter().map(|c| arcstr::format!("{c}")).collect();
            (i.to_string(), NodeStatus { id: arcstr::format!("{i}"), children, ..Default::default() })
        };
        edges.iter().enumerate().map(node).collect()
    }

    fn one_by_one(nodes: &Nodes, root: &str) -> Sum {
        let (mut seen, mut stack) = (HashSet::new(), vec![root]);
        while let Some(id) = stack.pop() {
            if seen.insert(id) {
                stack.extend(nodes[id].children.iter().map(ArcStr::as_str));
            }
        }
        (seen.len() as u64, seen.len() as u64)
    }

    #[test]
    fn circles_of_an_edited_status_come_to_an_end() {
        let all: [&[&[&str]]; 3] = [&[&["1"], &["0"]], &[&["0"]], &[&["1", "2"], &["2", "0"], &["1", "0", "3"], &[]]];
        for children in all {
            let node = |(i, children): (usize, &&[&str])| {
                let children = children.iter().map(|c| ArcStr::from(*c)).collect();
                (i.to_string(), NodeStatus { id: arcstr::format!("{i}"), children, ..Default::default() })
            };
            let nodes: Nodes = children.iter().enumerate().map(node).collect();
            assert_eq!(Below::new(&nodes, |_| (1, u64::MAX), |_| true).sums().len(), children.len());
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_walk_from_each_node(
            edges in prop::collection::vec(prop::collection::vec(1usize..6, 0..4), 1..40)
        ) {
            let nodes = graph(&edges);
            for (id, sum) in Below::new(&nodes, |_| (1, 1), |_| true).sums() {
                prop_assert_eq!(sum, one_by_one(&nodes, &id), "below {}", id);
            }
        }
    }
}
