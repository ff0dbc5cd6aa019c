//! Chance out of a seed.

use std::time::Duration;

use parking_lot::Mutex;

/// A generator (SplitMix64) that many may ask.
#[derive(Debug)]
pub struct Random {
    state: Mutex<u64>,
}

impl Random {
    /// Equal seeds give equal answers.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }

    /// Any number.
    pub fn number(&self) -> u64 {
        let mut state = self.state.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `limit`, which is not 0.
    pub fn below(&self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// True in `permille` of 1,000 cases.
    pub fn chance(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// Between the two, in milliseconds.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}
