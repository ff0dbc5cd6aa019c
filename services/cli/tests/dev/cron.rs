//! `argosy cron` against a running `argosy dev`.

use serde_json::Value;

use crate::support::{Dev, has};

const TICKS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: ticks, labels: {team: a}}
spec:
  schedules: ['@every 2s']
  successfulJobsHistoryLimit: 2
  workflowSpec:
    entrypoint: main
    arguments: {parameters: [{name: word, value: hello}, {name: day}]}
    templates:
    - name: main
      container: {image: busybox, command: [echo, '{{workflow.parameters.word}} {{workflow.parameters.day}} {{workflow.scheduledTime}}']}
";

/// The same, of times that do not come while the test runs, and with a parameter that each run needs.
fn daily() -> String {
    TICKS.replace("ticks", "daily").replace("@every 2s", "0 3 * * *").replace("{name: day}", "{name: day, value: none}")
}

#[test]
fn a_cron_workflow_is_created_runs_rests_and_is_deleted() {
    let dev = Dev::start();
    dev.file("ticks.yaml", &TICKS.replace("{name: day}", "{name: day, value: none}"));
    let created = dev.argosy(0, "cron create ticks.yaml -p word=bye");
    has(
        &created,
        &[
            "Name:                          ticks\n",
            "Schedules:                     @every 2s\n",
            "  word:                        bye\n",
        ],
    );
    has(&dev.argosy(1, "cron create ticks.yaml"), &["already exists"]);
    // Each run has a name and a time of its own, and of those that ended some are kept.
    dev.until("cron get ticks -o json", "\"succeeded\": 4");
    let runs: Value = serde_json::from_str(&dev.argosy(0, "list -o json")).expect("JSON");
    let runs = runs.as_array().expect("a list");
    assert!(runs.len() <= 5, "{} runs are kept", runs.len());
    for run in runs {
        let metadata = &run["metadata"];
        assert_eq!(metadata["labels"]["workflows.argoproj.io/cron-workflow"], "ticks");
        let at: jiff::Timestamp = metadata["annotations"]["workflows.argoproj.io/scheduled-time"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time");
        assert_eq!(metadata["name"], format!("ticks-{}", at.as_second()));
    }
    has(&dev.argosy(0, "cron suspend ticks"), &["CronWorkflow 'ticks' suspended\n"]);
    has(
        &dev.argosy(0, "cron list"),
        &[
            "NAME    AGE",
            "LAST RUN   NEXT RUN   SCHEDULES   TIMEZONE   SUSPENDED\n",
            "N/A        @every 2s              true\n",
        ],
    );
    has(&dev.argosy(0, "cron list -A -l team=a -o name"), &["ticks\n"]);
    has(&dev.argosy(0, "cron get ticks"), &["Suspended:                     true\n", "LastScheduledTime:"]);
    has(&dev.argosy(0, "cron resume ticks"), &["CronWorkflow 'ticks' resumed\n"]);
    has(&dev.argosy(0, "cron update ticks.yaml --schedule @daily"), &["Schedules:                     @daily\n"]);
    dev.argosy(0, "cron delete -l team=a");
    has(&dev.argosy(1, "cron get ticks"), &["not found"]);
    dev.until("list", "No workflows found");
}

#[test]
fn a_span_is_run_again_and_goes_on_where_it_was_interrupted() {
    let dev = Dev::start();
    dev.file("daily.yaml", &daily());
    dev.argosy(0, "cron create daily.yaml");
    let span = "cron backfill daily --start 2024-05-01 --end 2024-05-03T12:00 --argname day --format 2006-01-02";
    has(&dev.argosy(2, &format!("{span} --dry-run")), &["--end 2024-05-03T12:00: it has not the form 2006-01-02"]);
    let span = "cron backfill daily --start 2024-05-01 --end 2024-05-03T12:00 --argname day";
    has(
        &dev.argosy(0, &format!("{span} --dry-run")),
        &["Total Backfill Schedule: 3\n", "3. 2024-05-03 03:00:00 +0000 UTC"],
    );
    assert_eq!(dev.argosy(0, "list"), "No workflows found\n");
    let two = span.replace("05-03T12", "05-02T12");
    has(&dev.argosy(0, &two), &["Total Backfill Schedule: 2\n", "daily-1714532400 Succeeded at 20"]);
    let rest = dev.argosy(0, &format!("{span} --parallel"));
    has(&rest, &["daily-1714618800 is there already, passed over\n", "daily-1714705200 Succeeded at 20"]);
    has(&dev.argosy(0, "logs daily-1714705200"), &["hello 2024-05-03 03:00:00 +0000 UTC 2024-05-03T03:00:00Z\n"]);
    let shown = dev.argosy(0, "cron get daily -o json");
    assert!(!shown.contains("\"succeeded\": 1"), "they are no runs of it:\n{shown}");
    has(&dev.argosy(2, &format!("{span} --maxworkflowcount 2")), &["more than 2 moments"]);
    has(
        &dev.argosy(0, "cron backfill daily --start 2024-05-01T04:00 --end 2024-05-01"),
        &["no suitable scheduling time"],
    );
}

#[test]
fn mistakes_of_a_schedule_are_told_at_their_lines() {
    let dev = Dev::start();
    dev.file(
        "bad.yaml",
        &daily()
            .replace("0 3 * * *", "0 3 * * *', '60 * * * *")
            .replace("  success", "  timezone: Mars/Olympus\n  success"),
    );
    let said = dev.argosy(2, "cron lint bad.yaml -o simple");
    has(
        &said,
        &[
            "bad.yaml:6:28: spec.schedules[1]: cron schedule 60 * * * * is malformed: end of range (60) above maximum (59): 60",
            "bad.yaml:7:13: spec.timezone: invalid timezone \"Mars/Olympus\"",
        ],
    );
    has(&dev.argosy(2, "cron create bad.yaml"), &["is malformed"]);
    assert_eq!(dev.argosy(0, "cron list -o json"), "[]\n");
}
