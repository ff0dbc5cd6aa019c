use argosy_api::v1alpha1::{CronWorkflow, from_value};
use serde_json::{Value, json};

use super::*;
use crate::policy::Why;
use crate::run::refused;

static UTC: TimeZone = TimeZone::UTC;

fn at(clock: &str) -> Timestamp {
    format!("2024-05-06T{clock}Z").parse().expect("a time")
}

fn cron(spec: Value, status: Value) -> CronWorkflow {
    let mut object = json!({
        "metadata": {"name": "c", "namespace": "ns", "uid": "u", "creationTimestamp": "2024-05-06T09:59:30Z"},
        "spec": {"schedules": ["* * * * *"], "workflowSpec": {}}, "status": status,
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    from_value(object).expect("a CronWorkflow")
}

fn around(clock: &str) -> Around<'static> {
    Around { now: at(clock), local: &UTC, decided: None, children: &[], problem: None }
}

fn child(clock: &str, phase: &str) -> Child {
    let at = at(clock);
    Child::of(&json!({
        "metadata": {"name": workflow::name("c", at), "uid": clock, "annotations": {labels::SCHEDULED_TIME: at.to_string()}},
        "status": {"phase": phase},
    }))
}

/// The moment that runs now, if one does.
fn runs(look: &Look) -> Option<Timestamp> {
    match &look.tick {
        Some((_, Verdict::Run(run))) => Some(run.at),
        Some(_) | None => None,
    }
}

#[test]
fn a_moment_is_on_time_for_a_while_and_then_it_is_missed() {
    let look_at = |clock: &str| look(&mut cron(json!({}), json!({})), around(clock));
    assert_eq!(runs(&look_at("09:59:59")), None);
    assert_eq!(runs(&look_at("10:00:00")), Some(at("10:00:00")));
    assert_eq!(runs(&look_at("10:00:20")), Some(at("10:00:00")), "whoever was to act has died");
    let late = look_at("10:00:21");
    assert_eq!((runs(&late), late.missed, late.wake), (None, 1, Some(at("10:01:00"))));
}

#[test]
fn what_is_late_runs_within_the_deadline_once() {
    let mut object = cron(json!({"startingDeadlineSeconds": 3600}), json!({"lastScheduledTime": at("10:00:00")}));
    look(&mut object, around("10:00:01"));
    let woken = look(&mut object, around("13:00:30"));
    assert_eq!((runs(&woken), woken.missed), (Some(at("13:00:00")), 179), "of three hours, the last");
    started(&mut object, at("13:00:00"), &child("13:00:00", "Running"));
    let again = look(&mut object, Around { decided: Some(woken.decided), ..around("13:00:31") });
    assert_eq!((again.tick, again.missed, again.wake), (None, 0, Some(at("13:01:00"))));
}

#[test]
fn a_run_that_nobody_noted_is_noted_and_counts() {
    let mut object = cron(json!({"concurrencyPolicy": "Forbid"}), json!({"lastScheduledTime": at("10:00:00")}));
    let children = [child("10:01:00", "Succeeded"), child("10:02:00", "Running")];
    let seen = look(&mut object, Around { children: &children, ..around("10:02:05") });
    assert!(seen.tick.is_none(), "it was started: {:?}", seen.tick);
    assert_eq!(object.status.last_scheduled_time.map(|time| time.0), Some(at("10:02:00")));
    assert_eq!((object.status.succeeded, object.status.active.len()), (1, 1));
    let busy = look(&mut object, Around { children: &children[1..], ..around("10:03:00") });
    assert!(matches!(busy.tick, Some((_, Verdict::Skip(Why::Active)))));
}

#[test]
fn a_new_schedule_has_missed_nothing() {
    let mut object = cron(json!({"startingDeadlineSeconds": 3600}), json!({"lastScheduledTime": at("10:00:00")}));
    look(&mut object, around("10:00:01"));
    object.spec.schedules = vec!["*/5 * * * *".to_owned()];
    for clock in ["10:15:10", "10:15:11"] {
        let seen = look(&mut object, around(clock));
        assert!(seen.tick.is_none(), "10:15 was before it: {:?}", seen.tick);
        assert_eq!(seen.wake, Some(at("10:20:00")));
    }
    assert_eq!(runs(&look(&mut object, around("10:20:00"))), Some(at("10:20:00")));
}

#[test]
fn what_passes_while_it_is_suspended_is_not_made_up_for() {
    let mut object = cron(json!({"suspend": true}), json!({"lastScheduledTime": at("10:00:00")}));
    let rests = look(&mut object, around("10:04:05"));
    assert_eq!((rests.wake, rests.missed), (None, 0));
    object.spec.suspend = false;
    let resumed = look(&mut object, Around { decided: Some(rests.decided), ..around("10:05:06") });
    assert_eq!((resumed.tick, resumed.missed, resumed.wake), (None, 0, Some(at("10:06:00"))));
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_twice_and_one_that_was_wrong_stops_nothing() {
    let mut object = cron(json!({}), json!({"lastScheduledTime": at("12:00:00")}));
    let back = look(&mut object, around("10:00:00"));
    assert_eq!((back.tick.is_some(), back.wake), (false, Some(at("12:01:00"))));
    let mut wrong = cron(json!({}), json!({"lastScheduledTime": "2030-01-01T00:00:00Z"}));
    let seen = look(&mut wrong, around("10:00:00"));
    assert_eq!((runs(&seen), seen.is_ahead), (Some(at("10:00:00")), true));
}

#[test]
fn a_late_moment_that_is_refused_counts_once() {
    let spec = json!({"startingDeadlineSeconds": 3600, "when": "{{= nope }}"});
    let mut object = cron(spec, json!({"lastScheduledTime": at("10:00:00")}));
    look(&mut object, around("10:00:01"));
    for clock in ["10:30:30", "10:30:31", "10:30:32"] {
        let seen = look(&mut object, around(clock));
        assert!(matches!(seen.tick, Some((due, Verdict::Wrong)) if due.is_late));
    }
    assert_eq!((object.status.failed, object.status.conditions.len()), (1, 1));
    let on_time = Due { at: at("10:31:00"), is_late: false };
    let why = object.status.conditions[0].message.clone();
    refused(&mut object, on_time, why);
    assert_eq!(object.status.failed, 2);
}

#[test]
fn mistakes_are_told_between_moments_and_go() {
    let mut object = cron(json!({}), json!({}));
    look(&mut object, Around { problem: Some("bad"), ..around("09:59:40") });
    assert_eq!(object.status.conditions[0].r#type, "SpecError");
    look(&mut object, around("09:59:41"));
    assert!(object.status.conditions.is_empty());
}
