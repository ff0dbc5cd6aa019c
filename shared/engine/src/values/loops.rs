//! What a loop may be.

use argosy_api::v1alpha1::WorkflowStep;

use super::expand::Item;
use crate::{Workflow, size};

/// Items of a loop up to which its size is not looked at: no step is larger than an object of the API may be.
const SMALL_LOOP: usize = 64;

/// Bytes of the name of a step with its item. The node's name, its display name and its pod's annotation have it.
const ITEM_NAME_BYTES_MAX: usize = 32 * 1024;

impl Workflow {
    /// Errors: more items than the workflow may have nodes, `before` of which are about to be added already; steps that would
    /// take more memory than they may; an item whose name is too long.
    pub(crate) fn check_items(&self, step: &WorkflowStep, items: usize, before: usize) -> Result<(), String> {
        self.check_nodes(before + items)?;
        self.check_loop(step, items)
    }

    /// Errors: an item of the loop has a name that no node can have.
    pub(crate) fn check_names(unrolled: &[Item]) -> Result<(), String> {
        match unrolled.iter().find(|item| item.name.len() > ITEM_NAME_BYTES_MAX) {
            None => Ok(()),
            Some(item) => Err(format!(
                "an item of the loop is {} bytes long, of {ITEM_NAME_BYTES_MAX} at most: nodes are named by their items. \
                 Pass large values as artifacts, and loop over their names",
                item.name.len()
            )),
        }
    }

    /// Errors: the steps of a loop take more memory than they may, each with the step's arguments.
    fn check_loop(&self, step: &WorkflowStep, items: usize) -> Result<(), String> {
        if items < SMALL_LOOP {
            return Ok(());
        }
        let one =
            WorkflowStep { with_items: Vec::new(), with_param: String::new(), with_sequence: None, ..step.clone() };
        let (bytes, limit) = (size::of(&one).saturating_mul(items), self.plan.config().loop_bytes_max);
        if bytes <= limit {
            return Ok(());
        }
        Err(format!(
            "the steps of this loop take {bytes} bytes, of {limit} at most: {items} items with all arguments. Pass large values \
             as artifacts; an operator can raise the limit with --loop-bytes-max"
        ))
    }
}
