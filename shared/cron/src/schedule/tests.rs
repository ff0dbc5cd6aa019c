use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text, &TimeZone::UTC).expect("a schedule")
}

#[test]
fn a_day_without_a_midnight_begins_at_one() {
    // Cairo's clocks went from 24:00 to 01:00 that night.
    let hourly = schedule("CRON_TZ=Africa/Cairo 0 * * * *");
    assert_eq!(hourly.next(at("2024-04-25T21:30:00Z")), Some(at("2024-04-25T22:00:00Z")));
    let daily = schedule("CRON_TZ=Africa/Cairo 0 0 * * *");
    assert_eq!(daily.next(at("2024-04-25T00:00:00Z")), Some(at("2024-04-26T21:00:00Z")), "there was no midnight");
}

#[test]
fn a_step_asks_for_something_and_a_star_does_not() {
    let either = schedule("0 0 */15 * 5");
    let found = std::iter::successors(either.next(at("2024-01-01T00:00:00Z")), |at| either.next(*at));
    let days: Vec<String> = found.take(4).map(|at| at.strftime("%d").to_string()).collect();
    assert_eq!(days, ["05", "12", "16", "19"]);
    assert_eq!(schedule("0 0 */1 * 5").next(at("2024-01-01T00:00:00Z")), Some(at("2024-01-05T00:00:00Z")));
}

#[test]
fn mistakes_are_told_in_the_words_of_argo() {
    let error = |text: &str| Schedule::parse(text, &TimeZone::UTC).expect_err("no schedule").to_string();
    assert_eq!(error("@often"), "unrecognized descriptor: @often");
    assert_eq!(error("1-2-3 * * * *"), "too many hyphens: 1-2-3");
    assert_eq!(error("1/2/3 * * * *"), "too many slashes: 1/2/3");
    assert_eq!(error("-1 * * * *"), "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax");
    assert_eq!(error("* * 0 * *"), "beginning of range (0) below minimum (1): 0");
    assert_eq!(error("*/-5 * * * *"), "negative number (-5) not allowed: -5");
    assert_eq!(error("CRON_TZ=UTC"), "expected exactly 5 fields, found 0: []");
    assert_eq!(error(" @daily"), "expected exactly 5 fields, found 1: [@daily]");
}

#[test]
fn the_last_moment_of_a_span_is_found_without_counting_all() {
    let (anchor, year) = (at("2020-01-01T00:00:00Z"), at("2023-06-15T12:00:00Z"));
    let last = |text: &str, after: &str| schedule(text).last_between(anchor, at(after), year);
    assert_eq!(last("* * * * *", "2020-01-01T00:00:00Z"), Some(at("2023-06-15T11:59:00Z")), "before, not at");
    assert_eq!(last("* * 1-10 * *", "2020-01-01T00:00:00Z"), Some(at("2023-06-10T23:59:00Z")));
    assert_eq!(last("0 0 29 2 *", "2020-01-01T00:00:00Z"), Some(at("2020-02-29T00:00:00Z")));
    assert_eq!(last("0 0 29 2 *", "2020-02-29T00:00:00Z"), None, "behind, not at");
    assert_eq!(last("@every 7m", "2023-06-15T11:58:30Z"), None);
    assert_eq!(last("@every 7m", "2023-06-15T11:00:00Z"), Some(at("2023-06-15T11:56:00Z")));
}

#[test]
fn moments_of_every_are_on_a_grid_whoever_asks() {
    let (anchor, every) = (at("2024-01-01T00:00:03Z"), schedule("@every 10s"));
    for (after, next) in [("00:00:03", "00:00:13"), ("00:00:12", "00:00:13"), ("00:07:13", "00:07:23")] {
        let moment = |clock: &str| at(&format!("2024-01-01T{clock}Z"));
        assert_eq!(every.next_from(anchor, moment(after)), Some(moment(next)));
    }
    assert_eq!(every.next_from(anchor, at("2023-01-01T00:00:00Z")), Some(at("2024-01-01T00:00:13Z")), "none before it");
    assert_eq!(schedule("@every 0.2s").next(anchor), Some(at("2024-01-01T00:00:04Z")), "no less than a second");
}
