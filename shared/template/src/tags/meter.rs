//! What one rendering has used: of a text, or of all texts of an object.

use std::cell::Cell;

use super::Error;
use crate::{expr::Budget, limits::Limits};

/// The limits of a rendering, and what is left of them. Its expressions share one budget.
pub(super) struct Meter {
    pub budget: Budget,
    left: Cell<u64>,
    max: u64,
}

impl Meter {
    pub fn new(limits: Limits) -> Self {
        Self { budget: Budget::new(limits), left: Cell::new(limits.text_bytes), max: limits.text_bytes }
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
