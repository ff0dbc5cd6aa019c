//! Progress `N/M`. Source: Argo `workflow/progress/updater.go`.

use std::collections::BTreeMap;

use arcstr::{ArcStr, literal};
use argosy_api::v1alpha1::NodeStatus;

/// The sum over all nodes that execute, kept as they change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    done: u128,
    total: u128,
}

impl Progress {
    pub fn change(&mut self, before: (u64, u64), after: (u64, u64)) {
        // Pods may report any number: sums of all that 64 bits hold.
        self.done = self.done + u128::from(after.0) - u128::from(before.0);
        self.total = self.total + u128::from(after.1) - u128::from(before.1);
    }

    /// `N/M`. Made at every event, hence without the detour of formatting.
    pub fn text(&self) -> String {
        let (mut done, mut total) = (itoa::Buffer::new(), itoa::Buffer::new());
        [done.format(self.done), total.format(self.total)].join("/")
    }
}

/// What all pods have taken, in resource-seconds by resource, kept as they change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources {
    sum: BTreeMap<String, i64>,
}

impl Resources {
    /// None when no pod has told of any.
    pub fn sum(&self) -> Option<&BTreeMap<String, i64>> {
        (!self.sum.is_empty()).then_some(&self.sum)
    }

    pub fn change(&mut self, before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) {
        for (resource, amount) in after {
            let sum = self.sum.entry(resource.clone()).or_insert(0);
            *sum = sum.saturating_add(*amount);
        }
        for (resource, amount) in before {
            let sum = self.sum.entry(resource.clone()).or_insert(0);
            *sum = sum.saturating_sub(*amount);
        }
    }
}

/// What a node that executes adds to the sum; nothing for others.
pub fn of_leaf(node: &NodeStatus) -> (u64, u64) {
    if node.r#type.executes() { parse(&node.progress).unwrap_or((0, 1)) } else { (0, 0) }
}

/// `N/M` with `N ≤ M` and `M > 0`.
pub fn parse(text: &str) -> Option<(u64, u64)> {
    // Nearly all pods say no more than whether they are done.
    match text {
        "0/1" => return Some((0, 1)),
        "1/1" => return Some((1, 1)),
        _ => {}
    }
    let (done, total) = text.split_once('/')?;
    let (done, total) = (done.parse().ok()?, total.parse().ok()?);
    (done <= total && total > 0).then_some((done, total))
}

/// `0/3` becomes `3/3`.
pub fn completed(progress: &str) -> ArcStr {
    match progress.split_once('/').map_or("1", |(_, total)| total) {
        "1" => literal!("1/1"),
        total => arcstr::format!("{total}/{total}"),
    }
}
