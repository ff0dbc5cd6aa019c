//! Schedules, and one run for each moment, whoever asks and whenever.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::v1alpha1::{CronWorkflow, from_value};
use argosy_cron::{Around, Child, ON_TIME_SECS, Schedule, Verdict, look, started, workflow, zone};
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use serde_json::json;

/// Zones with different rules of daylight saving, and the seconds around their changes.
const CHANGES: [(&str, &str); 6] = [
    ("America/New_York", "2024-03-10T06:00:00Z"),
    ("America/New_York", "2024-11-03T05:00:00Z"),
    ("Europe/Berlin", "2024-03-31T00:00:00Z"),
    ("Europe/Berlin", "2024-10-27T00:00:00Z"),
    ("Africa/Cairo", "2024-04-25T21:00:00Z"),
    ("Africa/Cairo", "2024-10-31T20:00:00Z"),
];
const SCHEDULES: [&str; 6] = ["* * * * *", "*/7 * * * *", "30 1-3 * * *", "0 * * * *", "@every 47s", "@every 9s"];

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).expect("in range")
}

fn start_of(change: usize) -> (TimeZone, Timestamp) {
    let (name, at) = CHANGES[change];
    (zone(name, &TimeZone::UTC).expect("a zone"), at.parse().expect("a timestamp"))
}

/// An object and its workflows, which several ask for, some of them with a memory and some dying before they write.
struct World {
    object: CronWorkflow,
    workflows: BTreeMap<String, Child>,
    created: usize,
}

impl World {
    fn new(schedules: &[&str], zone: &str, start: Timestamp, deadline: Option<i64>) -> Self {
        let object = json!({
            "metadata": {"name": "c", "namespace": "n", "uid": "u", "creationTimestamp": start.to_string()},
            "spec": {"schedules": schedules, "timezone": zone, "startingDeadlineSeconds": deadline,
                "successfulJobsHistoryLimit": 100_000, "workflowSpec": {}},
        });
        Self { object: from_value(object).expect("a CronWorkflow"), workflows: BTreeMap::new(), created: 0 }
    }

    /// One looks, and may die once the workflow is created. Whether there was one to create.
    fn ask(&mut self, now: Timestamp, decided: &mut Option<Timestamp>, dies: bool) -> bool {
        let mut object = self.object.clone();
        let children: Vec<Child> = self.workflows.values().cloned().collect();
        let around = Around { now, local: &TimeZone::UTC, decided: *decided, children: &children, problem: None };
        let seen = look(&mut object, around);
        if let Some((_, Verdict::Run(run))) = &seen.tick {
            let value = json!({"metadata": {"name": "c", "namespace": "n", "uid": "u"}});
            let mut made = workflow(&value, run.at);
            made["metadata"]["uid"] = made["metadata"]["name"].clone();
            made["status"] = json!({"phase": "Succeeded"});
            let child = Child::of(&made);
            started(&mut object, run.at, &child);
            // A second of the same name the API refuses.
            self.created += usize::from(self.workflows.insert(child.name.clone(), child).is_none());
        }
        let acts = matches!(seen.tick, Some((_, Verdict::Run(_))));
        if dies {
            *decided = None;
        } else {
            *decided = Some(seen.decided);
            self.object = object;
        }
        acts
    }

    fn moments(&self) -> BTreeSet<Timestamp> {
        self.workflows.values().filter_map(|child| child.scheduled_at).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_next_moment_is_behind_and_none_is_left_out(change in 0..CHANGES.len(), which in 0..4_usize, from in -90_000..90_000_i64, more in 0..90_000_i64) {
        let (zone, start) = start_of(change);
        let schedule = Schedule::parse(SCHEDULES[which], &zone).expect("a schedule");
        let (from, later) = (second(start.as_second() + from), second(start.as_second() + from + more));
        let (next, next_later) = (schedule.next(from).expect("one"), schedule.next(later).expect("one"));
        prop_assert!(next > from && next_later > later && next <= next_later);
        prop_assert!(next_later == next || next <= later, "{next} was behind {later} and left out");
        let last = schedule.last_between(from, from, later);
        let counted = std::iter::successors(schedule.next(from), |at| schedule.next(*at)).take_while(|at| *at < later).last();
        prop_assert_eq!(last, counted);
    }

    #[test]
    fn each_moment_runs_once_though_askers_die_and_know_nothing_of_each_other(
        change in 0..CHANGES.len(),
        which in proptest::sample::subsequence(SCHEDULES.to_vec(), 1..3),
        asks in proptest::collection::vec((0..=ON_TIME_SECS, 0..2_usize, proptest::bool::weighted(0.2)), 60..200),
    ) {
        let (zone, start) = start_of(change);
        let mut world = World::new(&which, CHANGES[change].0, start, None);
        let (mut now, mut memories) = (start.as_second(), [None, None]);
        for (pause, who, dies) in asks {
            now += pause;
            // Whoever looks does so until there is nothing to do.
            while world.ask(second(now), &mut memories[who], dies) {}
        }
        world.ask(second(now), &mut memories[0], false);
        let schedules: Vec<Schedule> = which.iter().map(|text| Schedule::parse(text, &zone).expect("a schedule")).collect();
        let all = schedules.iter().flat_map(|schedule| {
            std::iter::successors(schedule.next_from(start, start), move |at| schedule.next_from(start, *at))
                .take_while(|at| at.as_second() <= now)
        });
        let expected: BTreeSet<Timestamp> = all.collect();
        prop_assert_eq!(world.created, expected.len());
        prop_assert_eq!(world.moments(), expected);
    }

    #[test]
    fn after_a_sleep_at_most_what_the_deadline_allows_runs(
        sleep in 60..20_000_i64,
        deadline in proptest::option::of(0..10_000_i64),
    ) {
        let start = second(1_714_990_800);
        let mut world = World::new(&["*/10 * * * *"], "", start, deadline);
        let (mut memory, now) = (None, second(start.as_second() + sleep));
        world.ask(start, &mut memory, false);
        for _ in 0..3 {
            world.ask(now, &mut memory, false);
        }
        let last = second(now.as_second() / 600 * 600);
        let age = now.as_second() - last.as_second();
        let is_due = last > start && (age <= ON_TIME_SECS || (age > 0 && deadline.is_some_and(|deadline| age < deadline)));
        let expected: BTreeSet<Timestamp> = is_due.then_some(last).into_iter().collect();
        prop_assert_eq!(world.moments(), expected);
    }
}
