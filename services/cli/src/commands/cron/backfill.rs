//! `argosy cron backfill`.

use argosy_api::{labels, v1alpha1::CronWorkflow};
use argosy_client::{objects, read};
use argosy_cron::{backfill, zone as zone_of};
use argosy_template::expr::{Env, Program};
use clap::Args;
use jiff::{Timestamp, civil, tz::TimeZone};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::show::{KIND, read_cron, zone};
use crate::{
    commands::follow_to_end,
    connect::Connect,
    failure::{Failure, Outcome},
    output,
    render::{human, tree::Filter},
    view::Show,
};

/// The longest name of a workflow.
const NAME_CHARS_MAX: usize = 63;

/// Run what a schedule would have run in a span of time: one workflow for each of its moments
///
/// One after the other, each when the last has ended, unless they are to run in parallel. A moment whose workflow is there
/// is passed over, so that the same command goes on where it was interrupted; another --name runs all of them anew. The
/// workflows do not count as runs of the CronWorkflow. Exit code 1 when one of them did not succeed.
#[derive(Args, Debug)]
pub struct Backfill {
    /// The CronWorkflow
    #[arg(value_name = "NAME")]
    cron: String,
    /// First moment: 2026-01-31, 2026-01-31T12:00, with or without an offset
    #[arg(long, value_name = "TIME")]
    start: String,
    /// Last moment [default: now]
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// All at once
    #[arg(long)]
    parallel: bool,
    /// Between the name of the CronWorkflow and the moment in the names of the workflows
    #[arg(long, value_name = "WORD", default_value = "")]
    name: String,
    /// Parameter that has the moment
    #[arg(long, value_name = "PARAMETER", default_value = "cronScheduleTime")]
    argname: String,
    /// Form of --start, --end and the parameter, as Go writes it: "Mon, 02 Jan 2006 15:04:05 MST"
    #[arg(long, value_name = "LAYOUT")]
    format: Option<String>,
    /// No more workflows than this
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    maxworkflowcount: usize,
    /// Only say which moments there are
    #[arg(long)]
    dry_run: bool,
}

impl Backfill {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let object = objects::api(&connection.client, KIND, Some(&connection.namespace))
            .get(objects::checked(&self.cron)?)
            .await?;
        let value = read::value(&object)?;
        let cron = read_cron(&value)?;
        let local = zone(connect);
        let own = zone_of(&cron.spec.timezone, &local).unwrap_or(TimeZone::UTC);
        let start = self.moment("--start", &self.start, &own)?;
        let end = match &self.end {
            Some(text) => self.moment("--end", text, &own)?,
            None => Timestamp::now(),
        };
        let moments = backfill::moments(&cron.spec, start, end, self.maxworkflowcount, &local);
        let moments = moments.map_err(|error| Failure::Usage(format!("the schedule of {}: {error}", self.cron)))?;
        if moments.len() > self.maxworkflowcount {
            let max = self.maxworkflowcount;
            let text = format!("there are more than {max} moments: shorten the span, or raise --maxworkflowcount");
            return Err(Failure::Usage(text));
        }
        if moments.is_empty() {
            output::print("There is no suitable scheduling time.\n");
            return Ok(());
        }
        output::print(&self.head(start, end, moments.len()));
        let (mut created, mut have_failed) = (Vec::new(), false);
        for (index, at) in moments.iter().enumerate() {
            let workflow = self.workflow(&cron, &value, *at)?;
            let name = workflow["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let line = format!("{}. {} \t {name}", index + 1, human::go_time(*at));
            if self.dry_run {
                output::print(&format!("{line}\n"));
                continue;
            }
            let namespace = &connection.namespace;
            match objects::create(&connection.client, namespace, "Workflow", workflow, false).await {
                Ok(object) => {
                    output::print(&format!("{line}\n"));
                    if self.parallel {
                        created.push(object);
                    } else {
                        have_failed |= self.ended(&connection.client, vec![object], connect).await?;
                    }
                }
                Err(argosy_client::Error::Api(kube::Error::Api(status))) if status.reason == "AlreadyExists" => {
                    output::print(&format!("{line} is there already, passed over\n"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !created.is_empty() {
            have_failed |= self.ended(&connection.client, created, connect).await?;
        }
        if have_failed { Err(Failure::Workflow) } else { Ok(()) }
    }

    /// Waits for the ends; whether one did not succeed.
    async fn ended(
        &self,
        client: &kube::Client,
        started: Vec<DynamicObject>,
        connect: &Connect,
    ) -> Result<bool, Failure> {
        match follow_to_end(client, started, Show::Nothing, Filter::default(), connect).await {
            Ok(()) => Ok(false),
            Err(Failure::Workflow) => Ok(true),
            Err(other) => Err(other),
        }
    }

    fn head(&self, start: Timestamp, end: Timestamp, count: usize) -> String {
        let rule = "=".repeat(50);
        format!(
            "Backfill of Cronworkflow {}\n{rule}\nBackfill Period :\nStart Time : {}\n  End Time : {}\nTotal Backfill Schedule: {count}\n{rule}\n",
            self.cron,
            human::go_time(start),
            human::go_time(end)
        )
    }

    /// Errors: it is no moment.
    fn moment(&self, flag: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, Failure> {
        let wrong = |why: String| Failure::Usage(format!("{flag} {text}: {why}"));
        if let Some(layout) = &self.format {
            let vars = json!({ "text": text, "layout": layout });
            let program = Program::compile("date(text, layout).Unix()").map_err(|error| wrong(error.to_string()))?;
            let seconds = program.run(&Env::new(&vars)).map_err(|_| wrong(format!("it has not the form {layout}")))?;
            let seconds = seconds.as_number().map(|seconds| seconds as i64);
            return seconds
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .ok_or_else(|| wrong(String::new()));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(at);
        }
        let civil = text.parse::<civil::DateTime>();
        let zoned = civil.ok().and_then(|civil| civil.to_zoned(zone.clone()).ok());
        let help =
            "it is no time; write 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00+01:00, or say its --format";
        zoned.map(|zoned| zoned.timestamp()).ok_or_else(|| wrong(help.to_owned()))
    }

    /// The workflow of a moment: as the CronWorkflow would have started it, but nobody's.
    fn workflow(&self, cron: &CronWorkflow, value: &Value, at: Timestamp) -> Result<Value, Failure> {
        let mut workflow = argosy_cron::workflow(value, at);
        let metadata = &mut workflow["metadata"];
        if let Some(members) = metadata.as_object_mut() {
            members.remove("ownerReferences");
        }
        if let Some(labels) = metadata["labels"].as_object_mut() {
            labels.remove(labels::CRON_WORKFLOW);
            labels.insert(labels::CRON_BACKFILL.to_owned(), json!(cron.metadata.name));
        }
        if !self.name.is_empty() {
            let name = argosy_cron::name(&format!("{}-{}", self.cron, self.name), at);
            if name.chars().count() > NAME_CHARS_MAX {
                return Err(Failure::Usage(format!(
                    "--name {}: `{name}` is too long for a workflow's name",
                    self.name
                )));
            }
            metadata["name"] = json!(name);
        }
        let text = self.text(at)?;
        let arguments = &mut workflow["spec"]["arguments"];
        if !arguments["parameters"].is_array() {
            arguments["parameters"] = json!([]);
        }
        if let Some(parameters) = arguments["parameters"].as_array_mut() {
            parameters.retain(|parameter| parameter["name"] != json!(self.argname));
            parameters.push(json!({ "name": self.argname, "value": text }));
        }
        Ok(workflow)
    }

    /// The moment as the parameter has it.
    fn text(&self, at: Timestamp) -> Result<String, Failure> {
        let Some(layout) = &self.format else { return Ok(human::go_time(at)) };
        let vars = json!({ "at": argosy_template::expr::time_json(at), "layout": layout });
        let text = Program::compile("at.Format(layout)").and_then(|program| program.run(&Env::new(&vars)));
        let text = text.map_err(|error| Failure::Usage(format!("--format {layout}: {error}")))?;
        Ok(text.display())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        backfill: Backfill,
    }

    fn backfill(flags: &str) -> Backfill {
        let words = ["it", "c", "--start", "2024-01-01"].into_iter().chain(flags.split_whitespace());
        Line::try_parse_from(words).expect("flags").backfill
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn times_are_read_in_the_zone_of_the_schedule() {
        let tokyo = zone_of("Asia/Tokyo", &TimeZone::UTC).expect("a zone");
        let read = |flags: &str, text: &str| backfill(flags).moment("--start", text, &tokyo).ok();
        assert_eq!(read("", "2024-01-02"), Some(at("2024-01-01T15:00:00Z")));
        assert_eq!(read("", "2024-01-02T12:30"), Some(at("2024-01-02T03:30:00Z")));
        assert_eq!(read("", "2024-01-02T12:30:00+01:00"), Some(at("2024-01-02T11:30:00Z")));
        assert_eq!(read("", "yesterday"), None);
        assert_eq!(read("--format 02.01.2006", "03.02.2024"), Some(at("2024-02-03T00:00:00Z")));
    }

    #[test]
    fn a_workflow_of_a_moment_is_nobodys_and_knows_its_moment() {
        let value = json!({
            "metadata": {"name": "c", "namespace": "n", "uid": "u"},
            "spec": {"workflowSpec": {"arguments": {"parameters": [{"name": "day", "value": "x"}]}}},
        });
        let cron = read_cron(&value).expect("a CronWorkflow");
        let made =
            |flags: &str| backfill(flags).workflow(&cron, &value, at("2024-01-02T03:00:00Z")).expect("a workflow");
        let plain = made("");
        assert_eq!(plain["metadata"]["name"], "c-1704164400", "as the run of that moment: it is not run twice");
        assert_eq!(plain["metadata"].get("ownerReferences"), None);
        assert_eq!(plain["metadata"]["labels"], json!({"workflows.argoproj.io/backfill": "c"}));
        assert_eq!(plain["spec"]["arguments"]["parameters"][1]["value"], "2024-01-02 03:00:00 +0000 UTC");
        let named = made("--name again --argname day --format 2006-01-02");
        assert_eq!(named["metadata"]["name"], "c-again-1704164400");
        assert_eq!(named["spec"]["arguments"]["parameters"], json!([{"name": "day", "value": "2024-01-02"}]));
    }
}
