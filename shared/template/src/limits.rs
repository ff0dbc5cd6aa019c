//! What work and memory a user's text may ask for.
//!
//! Everything here is counted, never timed, so that the same text gives the same answer everywhere and at each replay.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The limits. Past one, the evaluation fails with an error that names the limit; what was asked for ends with it.
///
/// Limits that nobody needs to change are constants where they are enforced: nesting of expressions (64 levels, a tree of
/// 128), of conditions (200), of JSONPath filters (32), of JSON (128), and [`DEPTH_MAX`] of values that an expression
/// makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps of one evaluation of an expression: parts of it that are evaluated, each as often as it is, and what its
    /// functions go over, sixteen items or 64 bytes a step. A million take less than a tenth of a second. Default
    /// 1,000,000.
    pub expression_steps: u64,
    /// Bytes of all the values that one evaluation of an expression or a condition makes, whether they are kept or not.
    /// Default 64 MiB.
    pub expression_bytes: u64,
    /// Bytes of a text, or of all texts of an object, once its tags have been replaced. Default 16 MiB: no API server
    /// takes an object of more than a few.
    pub text_bytes: u64,
    /// Items of one loop. Default 100,000.
    pub loop_items: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { expression_steps: 1_000_000, expression_bytes: 64 << 20, text_bytes: 16 << 20, loop_items: 100_000 }
    }
}

/// Steps that several evaluations share, as those of one event of a workflow do.
#[derive(Debug)]
pub struct Allowance {
    max: u64,
    left: AtomicU64,
    is_exceeded: AtomicBool,
}

impl Allowance {
    /// So many steps for all of them. `u64::MAX`: as many as each may have.
    pub fn new(max: u64) -> Self {
        Self { max, left: AtomicU64::new(max), is_exceeded: AtomicBool::new(false) }
    }

    /// Whether an evaluation wanted more than was left.
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }

    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self, steps: u64) {
        self.left.store(self.left().saturating_sub(steps), Ordering::Relaxed);
    }

    /// The message for whoever wanted more than was left.
    pub(crate) fn exceed(&self) -> String {
        self.is_exceeded.store(true, Ordering::Relaxed);
        self.left.store(0, Ordering::Relaxed);
        exceeded("steps together with others of one event", self.max, "expression_steps_per_event_max")
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

/// Limit of the nesting of a value that an expression builds up step by step.
pub const DEPTH_MAX: usize = 256;

/// Limit of the memory of a compiled pattern.
pub(crate) const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The message about a loop with more items than it may have.
pub fn too_many_items(count: u64, max: u64) -> String {
    format!("the loop has {count} items, more than {max}{}", hint("loop_items"))
}

/// The message about an evaluation that asks for too much.
pub(crate) fn exceeded(what: &str, max: u64, field: &str) -> String {
    format!("takes more than {max} {what}{}", hint(field))
}

/// What an operator can do about it.
fn hint(field: &str) -> String {
    format!(" (an operator can raise the limit with --{})", field.replace('_', "-"))
}
