//! Where the sequences of a new store begin.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bits below the seconds: a store may take 2^20 messages per second of its life, on average, before its successor's
/// sequences could meet its own.
const BITS: u32 = 20;

/// The origin of a store that is made now: seconds since 1970, times 2^20. It stays below 2^53, which JSON readers count
/// exactly to, until the year 2242.
///
/// A sequence that was given out once must never be given out again, not even when the whole bus was lost and made anew:
/// it stands in the watermark of a workflow's object, in fences, and in the epochs of leases. So a new store begins past
/// everything that an earlier one can have reached, and whatever names an older sequence shows by it that it is older.
pub fn origin_of_now() -> u64 {
    let secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    secs << BITS
}
