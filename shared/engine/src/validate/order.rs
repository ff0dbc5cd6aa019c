//! In which order the tasks of a DAG are looked at, and which come before which.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
};

use argosy_api::v1alpha1::DAGTask;
use foldhash::fast::RandomState;

use crate::depends;

/// Which tasks come before which.
pub(super) struct Order<'t> {
    index: HashMap<&'t str, usize, RandomState>,
    /// Direct dependencies, by index of the task.
    parents: Vec<Vec<usize>>,
    /// Each task after those that it depends on; as they are written, where they cannot be put in order.
    pub sorted: Vec<usize>,
    pub problem: Option<Unsorted<'t>>,
}

/// Why tasks cannot be put in order.
#[derive(Debug)]
pub(super) enum Unsorted<'t> {
    Twice(&'t str),
    Unknown(&'t str),
    Cycle,
}

impl fmt::Display for Unsorted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(name) => write!(f, "duplicated nodeName {name}"),
            Self::Unknown(name) => write!(f, "invalid dependency {name}"),
            Self::Cycle => f.write_str("graph with cycle"),
        }
    }
}

impl<'t> Order<'t> {
    pub fn of(tasks: &'t [DAGTask]) -> Self {
        let index: HashMap<&str, usize, RandomState> = tasks.iter().map(|t| t.name.as_str()).zip(0..).collect();
        let mut problem = None;
        if index.len() < tasks.len() {
            let mut seen = HashSet::new();
            problem = tasks.iter().map(|t| t.name.as_str()).find(|name| !seen.insert(*name)).map(Unsorted::Twice);
        }
        let mut parents = vec![Vec::new(); tasks.len()];
        for (at, task) in tasks.iter().enumerate() {
            for name in depends::names(task) {
                match index.get(name) {
                    Some(parent) => parents[at].push(*parent),
                    None => problem = problem.or(Some(Unsorted::Unknown(name))),
                }
            }
        }
        let mut order = Self { index, parents, sorted: Vec::new(), problem };
        order.sorted = order.sort();
        if order.sorted.len() < tasks.len() {
            order.problem.get_or_insert(Unsorted::Cycle);
        }
        if order.problem.is_some() {
            order.sorted = (0..tasks.len()).collect();
        }
        order
    }

    pub fn index(&self, task: &str) -> Option<usize> {
        self.index.get(task).copied()
    }

    /// Each task once all that it waits for are there; without those that wait for each other.
    fn sort(&self) -> Vec<usize> {
        let mut waits: Vec<usize> = self.parents.iter().map(Vec::len).collect();
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); waits.len()];
        for (task, parents) in self.parents.iter().enumerate() {
            parents.iter().for_each(|parent| dependents[*parent].push(task));
        }
        let mut ready: VecDeque<usize> = (0..waits.len()).filter(|task| waits[*task] == 0).collect();
        let mut sorted = Vec::with_capacity(waits.len());
        while let Some(task) = ready.pop_front() {
            sorted.push(task);
            for dependent in &dependents[task] {
                waits[*dependent] -= 1;
                if waits[*dependent] == 0 {
                    ready.push_back(*dependent);
                }
            }
        }
        sorted
    }

    /// Searched for when asked: few tasks speak of others, and most of those of one just before them.
    pub fn comes_before(&self, other: &str, task: usize) -> bool {
        let Some(other) = self.index(other) else { return false };
        let mut stack = vec![task];
        let mut seen = HashSet::new();
        while let Some(task) = stack.pop() {
            if self.parents[task].contains(&other) {
                return true;
            }
            stack.extend(self.parents[task].iter().filter(|parent| seen.insert(**parent)));
        }
        false
    }

    /// The tasks of whose items a task's `depends` speaks, and that have none.
    pub fn wrongly_about_items<'s>(
        &'s self,
        tasks: &'s [DAGTask],
        task: usize,
    ) -> impl Iterator<Item = &'s str> + use<'s, 't> {
        let has_loop =
            |task: &DAGTask| !task.with_items.is_empty() || !task.with_param.is_empty() || task.with_sequence.is_some();
        let others = depends::of_whose_items(&tasks[task].depends).into_iter().filter_map(|name| self.index(name));
        others.map(|other| &tasks[other]).filter(move |other| !has_loop(other)).map(|other| other.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tasks: &[(&str, &str)]) -> String {
        let task = |(name, depends): &(&str, &str)| DAGTask {
            name: (*name).to_owned(),
            depends: (*depends).to_owned(),
            ..Default::default()
        };
        let tasks: Vec<DAGTask> = tasks.iter().map(task).collect();
        let order = Order::of(&tasks);
        match &order.problem {
            Some(problem) => problem.to_string(),
            None => order.sorted.iter().map(|at| tasks[*at].name.as_str()).collect(),
        }
    }

    #[test]
    fn tasks_are_sorted_by_whatever_looks_like_a_name() {
        assert_eq!(told(&[("c", "b"), ("b", "a.Failed || a"), ("a", "")]), "abc");
        assert_eq!(told(&[("a", ""), ("b", "a and not c")]), "invalid dependency and");
        assert_eq!(told(&[("a", "b"), ("b", "a")]), "graph with cycle");
        assert_eq!(told(&[("a", ""), ("a", "b")]), "duplicated nodeName a");
    }
}
