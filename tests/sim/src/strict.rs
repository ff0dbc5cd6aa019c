//! R1: what must never happen is counted by the services, and in this world each such count breaks a rule.

use std::collections::BTreeMap;

use prometheus::proto::MetricType;

/// A reminder that found something, an impossible state, a panic, a gap in what the status service folds: bugs, whatever the
/// faults were.
const NEVER: [&str; 5] = [
    "argosy_scheduler_reminder_found_total",
    "argosy_scheduler_bugs_total",
    "argosy_watcher_panics_total",
    "argosy_actor_panics_total",
    "argosy_status_gaps_passed_total",
];
/// Putting something out of service is right only where something is sick.
const QUARANTINED: &str = "_quarantined_total";
/// So is putting a message aside.
const POISON: &str = "poison_total";

/// Counts of this process at one time. Runs of one process go one after another, or this would be everybody's.
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// As they stand now.
    pub fn now() -> Self {
        let families = prometheus::gather();
        let counters = families.iter().filter(|family| family.get_field_type() == MetricType::COUNTER);
        let all = counters.flat_map(|family| family.get_metric().iter().map(move |metric| (family, metric)));
        let named = all.map(|(family, metric)| {
            let labels: Vec<&str> = metric.get_label().iter().map(|label| label.value()).collect();
            let name = if labels.is_empty() {
                family.name().to_owned()
            } else {
                format!("{}{{{}}}", family.name(), labels.join(","))
            };
            (name, metric.get_counter().get_value() as u64)
        });
        Self(named.collect())
    }

    /// What grew since `before` and must not have. With something sick in the world, things may be put out of service.
    pub fn grown(&self, before: &Self, has_sick: bool) -> Vec<String> {
        let mut broken = Vec::new();
        for (name, count) in &self.0 {
            let more = count - before.0.get(name).copied().unwrap_or(0);
            let family = name.split('{').next().unwrap_or_default();
            let is_sickness = family.ends_with(QUARANTINED) || family.ends_with(POISON);
            if more > 0 && (NEVER.contains(&family) || is_sickness && !has_sick) {
                broken.push(format!("R1: {name} grew by {more}"));
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        Counts(pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
    }

    #[test]
    fn what_must_not_grow_is_named_and_the_sick_excuse_only_sickness() {
        let before = counts(&[("argosy_scheduler_bugs_total", 2)]);
        let after = counts(&[
            ("argosy_actor_quarantined_total{workflow}", 1),
            ("argosy_scheduler_bugs_total", 2),
            ("argosy_scheduler_events_total", 9),
            ("argosy_scheduler_poison_total", 3),
            ("argosy_scheduler_reminder_found_total{pod}", 1),
        ]);
        let all = after.grown(&before, false);
        assert_eq!(all.len(), 3, "{all:?}");
        assert_eq!(after.grown(&before, true), ["R1: argosy_scheduler_reminder_found_total{pod} grew by 1"]);
    }
}
