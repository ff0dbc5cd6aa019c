//! `argosy cron get` and `list`.

use argosy_api::v1alpha1::{self as v1, CronWorkflow};
use argosy_client::{objects, read};
use argosy_cron::Timetable;
use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::{
    commands::kind::{Listing, Names},
    connect::Connect,
    failure::{Failure, Outcome},
    output::{self, Output},
    render::{Style, human, table::table},
};

/// The kind that all of these commands are about.
pub const KIND: &str = "CronWorkflow";

#[derive(Args, Debug)]
pub struct Get {
    #[command(flatten)]
    names: Names,
}

#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    listing: Listing,
}

impl Get {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let api = objects::api(&connection.client, KIND, Some(&connection.namespace));
        let mut values = Vec::new();
        for name in &self.names.names {
            values.push(read::value(&api.get(objects::checked(name)?).await?)?);
        }
        show(&values, self.names.output, connect)
    }
}

impl List {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let namespace = (!self.listing.all_namespaces).then_some(connection.namespace.as_str());
        let params = ListParams { label_selector: self.listing.selector.clone(), ..ListParams::default() };
        let found = objects::api(&connection.client, KIND, namespace).list(&params).await?;
        let values = found.items.iter().map(read::value).collect::<Result<Vec<_>, _>>()?;
        match self.listing.output {
            Some(Output::Name) => output::objects(&values, self.listing.output, Style::default()),
            Some(Output::Json | Output::Yaml) => {
                output::objects(&[Value::Array(values)], self.listing.output, Style::default())
            }
            None | Some(Output::Wide | Output::Short) => {
                let now = Timestamp::now();
                let rows =
                    values.iter().map(|value| row(&read_cron(value)?, connect, now)).collect::<Result<_, _>>()?;
                output::print(&listed(rows, self.listing.all_namespaces));
                Ok(())
            }
        }
    }
}

/// Columns of Argo's CLI.
const HEAD: [&str; 8] = ["NAMESPACE", "NAME", "AGE", "LAST RUN", "NEXT RUN", "SCHEDULES", "TIMEZONE", "SUSPENDED"];

fn listed(rows: Vec<Vec<String>>, with_namespaces: bool) -> String {
    let head = HEAD.map(str::to_owned).to_vec();
    let skipped = usize::from(!with_namespaces);
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).map(|row| row[skipped..].to_vec()).collect();
    table(&rows, 3)
}

fn row(cron: &CronWorkflow, connect: &Connect, now: Timestamp) -> Result<Vec<String>, Failure> {
    let span = |at: Option<Timestamp>| match at {
        Some(at) => human::short((now.as_second() - at.as_second()).abs()),
        None => "N/A".to_owned(),
    };
    Ok(vec![
        cron.metadata.namespace.clone(),
        cron.metadata.name.clone(),
        span(cron.metadata.creation_timestamp.map(|time| time.0)),
        span(cron.status.last_scheduled_time.map(|time| time.0)),
        span(next(cron, &zone(connect), now)),
        cron.spec.schedules.join(","),
        cron.spec.timezone.clone(),
        cron.spec.suspend.to_string(),
    ])
}

/// Prints CronWorkflows.
pub fn show(values: &[Value], form: Option<Output>, connect: &Connect) -> Outcome {
    if matches!(form, Some(Output::Json | Output::Yaml | Output::Name)) {
        return output::objects(values, form, Style::default());
    }
    for (index, value) in values.iter().enumerate() {
        let gap = if index > 0 { "\n" } else { "" };
        output::print(&format!("{gap}{}", facts(&read_cron(value)?, &zone(connect), Timestamp::now())));
    }
    Ok(())
}

/// The facts, as Argo's CLI has them.
fn facts(cron: &CronWorkflow, zone: &TimeZone, now: Timestamp) -> String {
    let (spec, status) = (&cron.spec, &cron.status);
    let mut text = String::new();
    let mut say = |name: &str, value: &str| text.push_str(&format!("{name:<30} {value}\n"));
    say("Name:", &cron.metadata.name);
    say("Namespace:", &cron.metadata.namespace);
    if let Some(at) = cron.metadata.creation_timestamp {
        say("Created:", &human::moment(at.0, now));
    }
    say("Schedules:", &spec.schedules.join(","));
    say("Suspended:", &spec.suspend.to_string());
    if !spec.timezone.is_empty() {
        say("Timezone:", &spec.timezone);
    }
    if let Some(seconds) = spec.starting_deadline_seconds {
        say("StartingDeadlineSeconds:", &seconds.to_string());
    }
    if !spec.concurrency_policy.is_empty() {
        say("ConcurrencyPolicy:", &spec.concurrency_policy);
    }
    if let Some(at) = status.last_scheduled_time {
        say("LastScheduledTime:", &human::moment(at.0, now));
    }
    if let Some(at) = next(cron, zone, now) {
        let assumed = if !spec.timezone.is_empty() {
            ""
        } else if *zone == TimeZone::UTC {
            " (assumes that the cron-runner is in UTC)"
        } else {
            " (by the time zone of this machine)"
        };
        say("NextScheduledTime:", &format!("{}{assumed}", human::moment(at, now)));
    }
    let active: Vec<&str> = status.active.iter().filter_map(|reference| reference["name"].as_str()).collect();
    if !active.is_empty() {
        say("Active Workflows:", &active.join(", "));
    }
    if !status.phase.is_empty() && status.phase != "Active" {
        say("Phase:", &status.phase);
    }
    if !status.conditions.is_empty() {
        say("Conditions:", "");
        for condition in &status.conditions {
            say(&format!("✖ {}", condition.r#type), &condition.message);
        }
    }
    if !spec.workflow_spec.arguments.parameters.is_empty() {
        say("Workflow Parameters:", "");
        for parameter in &spec.workflow_spec.arguments.parameters {
            if let Some(value) = &parameter.value {
                let value = json!(value);
                say(
                    &format!("  {}:", parameter.name),
                    value.as_str().map_or(value.to_string(), str::to_owned).as_str(),
                );
            }
        }
    }
    text
}

/// When it runs next, unless it does not.
fn next(cron: &CronWorkflow, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    if cron.spec.suspend || cron.status.phase == "Stopped" {
        return None;
    }
    Timetable::of(cron, now, zone).ok()??.next(now)
}

/// The zone of schedules that name none: whoever runs them on this machine has this machine's, and all others UTC.
pub fn zone(connect: &Connect) -> TimeZone {
    if connect.is_local() { TimeZone::system() } else { TimeZone::UTC }
}

/// Errors: it cannot be read as what it is.
pub fn read_cron(value: &Value) -> Result<CronWorkflow, Failure> {
    Ok(v1::from_value(value.clone()).map_err(anyhow::Error::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2024-05-06T10:20:30Z";

    fn cron(more: Value) -> CronWorkflow {
        let mut object = json!({
            "metadata": {"name": "c", "namespace": "ns", "creationTimestamp": "2024-05-06T10:00:00Z"},
            "spec": {"schedules": ["*/5 * * * *", "@every 1h"], "timezone": "Asia/Tokyo",
                "workflowSpec": {"arguments": {"parameters": [{"name": "m", "value": 7}, {"name": "none"}]}}},
            "status": {"lastScheduledTime": "2024-05-06T10:20:00Z", "active": [{"name": "c-1"}, {"name": "c-2"}],
                "conditions": [{"type": "SubmissionError", "status": "True", "message": "no"}]},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        v1::from_value(object).expect("a CronWorkflow")
    }

    #[test]
    fn facts_stand_in_the_columns_of_argo() {
        let text = facts(&cron(json!({"startingDeadlineSeconds": 0})), &TimeZone::UTC, NOW.parse().expect("a time"));
        for line in [
            "Name:                          c\n",
            "Schedules:                     */5 * * * *,@every 1h\n",
            "StartingDeadlineSeconds:       0\n",
            "Active Workflows:              c-1, c-2\n",
            "\nConditions:                    \n✖ SubmissionError              no\n",
            "\n  m:                           7\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains("(4 minutes from now)\n"), "{text}");
    }

    #[test]
    fn a_row_says_when_it_ran_and_runs() {
        let row =
            |more: Value| row(&cron(more), &Connect::default(), NOW.parse().expect("a time")).expect("a row").join("|");
        assert_eq!(row(json!({})), "ns|c|20m|30s|4m|*/5 * * * *,@every 1h|Asia/Tokyo|false");
        assert_eq!(row(json!({"suspend": true})), "ns|c|20m|30s|N/A|*/5 * * * *,@every 1h|Asia/Tokyo|true");
    }
}
