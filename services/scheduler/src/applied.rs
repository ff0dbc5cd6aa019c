//! Which events were stepped. No IO.

use std::collections::BTreeSet;

/// Sequences remembered to tell an event that came late from one that came twice. More than a consumer hands out
/// unanswered.
const REMEMBERED: usize = 8192;

/// The events that were stepped.
#[derive(Debug)]
pub(crate) struct AppliedSequences {
    /// Everything up to here was.
    floor: u64,
    above: BTreeSet<u64>,
}

impl AppliedSequences {
    pub fn up_to(floor: u64) -> Self {
        Self { floor, above: BTreeSet::new() }
    }

    /// False when it was stepped before.
    pub fn insert(&mut self, sequence: u64) -> bool {
        if sequence <= self.floor || !self.above.insert(sequence) {
            return false;
        }
        if self.above.len() > REMEMBERED {
            self.floor = self.above.pop_first().unwrap_or(self.floor);
        }
        true
    }

    pub fn contains(&self, sequence: u64) -> bool {
        sequence <= self.floor || self.above.contains(&sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_once_however_late() {
        let mut applied = AppliedSequences::up_to(3);
        assert!(!applied.insert(3) && applied.insert(7) && applied.insert(5) && !applied.insert(7));
        assert!(applied.contains(2) && applied.contains(5) && !applied.contains(6));
        for sequence in 100..100 + REMEMBERED as u64 {
            applied.insert(sequence);
        }
        // What is older than all that is remembered counts as stepped.
        assert!(applied.contains(6) && !applied.insert(6));
    }
}
