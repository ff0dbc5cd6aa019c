//! What one rendering has used: of a text, or of all texts of an object.

use std::cell::Cell;

use super::{Error, Scope};
use crate::expr::Budget;

/// The limits of a rendering, and what is left of them. Its expressions share one budget.
pub(super) struct Meter<'a> {
    pub budget: Budget<'a>,
    left: Cell<u64>,
    max: u64,
}

impl<'a> Meter<'a> {
    pub fn new(scope: &'a dyn Scope) -> Self {
        let limits = scope.limits();
        Self {
            budget: Budget::new(limits, scope.allowance()),
            left: Cell::new(limits.text_bytes),
            max: limits.text_bytes,
        }
    }

    /// So many bytes of text were made. Errors: they are too many, all in all.
    pub fn text(&self, len: usize) -> Result<(), Error> {
        match self.left.get().checked_sub(len as u64) {
            Some(left) => self.left.set(left),
            None => return Err(Error::TooLong { max: self.max }),
        }
        Ok(())
    }
}
