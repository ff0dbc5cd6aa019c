//! Sums over all that is below a node, for many nodes at once.
//!
//! "Below" follows the children, hence also what comes after a group: the first of 10,000 step groups is above all the
//! others. Adding up from each group anew would cost n². But all ways down from a node meet again at one node (its
//! immediate post-dominator) and nothing between the two is below the latter; so the sum is what lies between, plus the
//! sum of where the ways meet.

use std::collections::HashMap;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeStatus, Nodes};

/// Done and total.
pub(crate) type Sum = (u64, u64);

/// The graph of a workflow's nodes.
pub(crate) struct Below<'a> {
    nodes: Vec<&'a NodeStatus>,
    own: Vec<Sum>,
    children: Vec<Vec<usize>>,
    /// Where all ways down from a node meet; none where they only meet at the end of the workflow.
    meets: Vec<Option<usize>>,
    /// How many further meetings follow.
    depth: Vec<usize>,
    sums: Vec<Option<Sum>>,
    /// The last walk that came by.
    walked: Vec<usize>,
    walks: usize,
}

impl<'a> Below<'a> {
    /// `own` is what a node adds itself.
    pub fn new(nodes: &'a Nodes, own: impl Fn(&NodeStatus) -> Sum) -> Self {
        let list: Vec<&NodeStatus> = nodes.unordered().collect();
        let index: HashMap<&str, usize> = list.iter().enumerate().map(|(i, node)| (node.id.as_str(), i)).collect();
        let children =
            list.iter().map(|n| n.children.iter().filter_map(|id| index.get(id.as_str()).copied()).collect()).collect();
        let count = list.len();
        let mut below = Self {
            own: list.iter().map(|node| own(node)).collect(),
            nodes: list,
            children,
            meets: vec![None; count],
            depth: vec![0; count],
            sums: vec![None; count],
            walked: vec![0; count],
            walks: 0,
        };
        for node in below.children_first() {
            below.meet(node);
        }
        below
    }

    /// The sum over each node that `wanted` holds for, and all below it, by the node's id.
    pub fn sums(mut self, wanted: impl Fn(&NodeStatus) -> bool) -> Vec<(ArcStr, Sum)> {
        let nodes: Vec<usize> = (0..self.nodes.len()).filter(|i| wanted(self.nodes[*i])).collect();
        nodes.into_iter().map(|i| (self.nodes[i].id.clone(), self.sum(i))).collect()
    }

    /// All nodes, each after its children.
    fn children_first(&self) -> Vec<usize> {
        let mut ordered = Vec::with_capacity(self.nodes.len());
        let mut entered = vec![false; self.nodes.len()];
        for root in 0..self.nodes.len() {
            let mut stack = vec![(root, 0)];
            while let Some((node, next)) = stack.pop() {
                if next == 0 && std::mem::replace(&mut entered[node], true) {
                    continue;
                }
                match self.children[node].get(next) {
                    Some(child) => stack.extend([(node, next + 1), (*child, 0)]),
                    None => ordered.push(node),
                }
            }
        }
        ordered
    }

    fn meet(&mut self, node: usize) {
        let mut children = self.children[node].iter().copied();
        let first = children.next();
        let meets = first.and_then(|first| children.try_fold(first, |a, b| self.first_common(a, b)));
        self.meets[node] = meets;
        self.depth[node] = meets.map_or(0, |other| self.depth[other] + 1);
    }

    fn first_common(&self, a: usize, b: usize) -> Option<usize> {
        let (mut a, mut b) = (a, b);
        while a != b {
            if self.depth[a] >= self.depth[b] {
                a = self.meets[a]?;
            } else {
                b = self.meets[b]?;
            }
        }
        Some(a)
    }

    fn sum(&mut self, node: usize) -> Sum {
        let mut chain = Vec::new();
        let mut at = Some(node);
        while let Some(next) = at.filter(|next| self.sums[*next].is_none()) {
            chain.push(next);
            at = self.meets[next];
        }
        let mut sum = at.and_then(|known| self.sums[known]).unwrap_or_default();
        for node in chain.into_iter().rev() {
            let between = self.between(node);
            sum = (sum.0 + between.0, sum.1 + between.1);
            self.sums[node] = Some(sum);
        }
        sum
    }

    /// Over the node and what is below it up to where all ways meet.
    fn between(&mut self, node: usize) -> Sum {
        self.walks += 1;
        if let Some(end) = self.meets[node] {
            self.walked[end] = self.walks;
        }
        let mut sum = (0, 0);
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            if std::mem::replace(&mut self.walked[node], self.walks) != self.walks {
                sum = (sum.0 + self.own[node].0, sum.1 + self.own[node].1);
                stack.extend(&self.children[node]);
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

    proptest! {
        #[test]
        fn sums_are_those_of_a_walk_from_each_node(
            edges in prop::collection::vec(prop::collection::vec(1usize..6, 0..4), 1..40)
        ) {
            let nodes = graph(&edges);
            for (id, sum) in Below::new(&nodes, |_| (1, 1)).sums(|_| true) {
                prop_assert_eq!(sum, one_by_one(&nodes, &id), "below {}", id);
            }
        }
    }
}
