//! The cheap level: the engine alone, pods as recorded, virtual time.

use std::{
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result};
use argosy_api::{
    message::{LookupKey, LookupKind},
    v1alpha1::{self as api, Time},
};
use argosy_engine::Config;
use argosy_testkit::{
    compare::{self, Difference},
    golden::Golden,
    world::{self, End, Options, Recorded},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cases::{Selection, known_differences},
    report::Report,
};

const EVENTS_MAX: u64 = 200_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Rebuild the engine from the object after every event
    #[arg(long)]
    restart: bool,
    /// Also check that the published changes add up to the object
    #[arg(long)]
    fold: bool,
}

/// Runs all cases.
pub fn run(args: &Args) -> Result<Report> {
    let mut report = Report::new(known_differences("engine")?, args.selection.agreeing()?);
    for golden in args.selection.goldens()? {
        let started = Instant::now();
        let found = panic::catch_unwind(AssertUnwindSafe(|| one(&golden, args)));
        let found = found.unwrap_or_else(|_| Ok(vec![compare::no_result("the engine panicked")]));
        report.add(&golden.id, found?, started.elapsed().as_secs_f64(), args.selection.common.all);
    }
    report.finish(&args.selection.common)?;
    Ok(report)
}

fn one(golden: &Golden, args: &Args) -> Result<Vec<Difference>> {
    let (workflow, documents) = golden.input.split_last().context("no input")?;
    let mut object: api::Workflow = match api::from_value(workflow.clone()) {
        Ok(object) => object,
        Err(e) => {
            return Ok(vec![compare::no_result(&format!("the input does not read: {e}"))]);
        }
    };
    let recorded = &golden.workflow["metadata"];
    let started_at: Timestamp =
        recorded["creationTimestamp"].as_str().unwrap_or_default().parse().context("creationTimestamp")?;
    object.metadata.namespace = "argo".to_owned();
    object.metadata.uid = recorded["uid"].as_str().unwrap_or_default().to_owned();
    object.metadata.creation_timestamp = Some(Time::new(started_at));
    let options = Options {
        config: Arc::new(config(&golden.workflow)),
        documents: by_key(documents),
        started_at,
        restart: args.restart,
        fold: args.fold,
        events_max: EVENTS_MAX,
    };
    let oracle = Recorded::new(&golden.workflow).context("read the recorded object")?;
    let run = world::run(object, &oracle, &options);
    let actual = json!(run.object);
    args.selection.common.keep(&golden.id, &actual)?;
    let mut found = compare::diff(&golden.workflow, &actual);
    let mut say = |what: &str, text: String| {
        found.insert(
            0,
            Difference { node: String::new(), field: what.to_owned(), argo: Value::Null, actual: json!(text) },
        );
    };
    match run.end {
        End::Completed => {}
        End::Stuck => say("end", format!("stuck after {} events", run.events)),
        End::TooLong => say("end", format!("not over after {} events", run.events)),
    }
    run.broken.into_iter().for_each(|text| say("rule", text));
    if args.fold {
        run.folded.differences(&run.object).into_iter().for_each(|text| say("fold", text));
    }
    Ok(found)
}

/// The settings that the recording controller had.
fn config(golden: &Value) -> Config {
    let repository = &golden["status"]["artifactRepositoryRef"]["artifactRepository"];
    let fallback = json!({"s3": {"bucket": "my-bucket", "endpoint": "127.0.0.1:9000", "insecure": true}});
    let repository = if repository.is_null() { fallback } else { repository.clone() };
    Config { artifact_repository: api::from_value(repository).ok(), ..Config::default() }
}

fn by_key(documents: &[Value]) -> BTreeMap<LookupKey, Value> {
    let mut found = BTreeMap::new();
    for document in documents {
        let (kind, namespace) = match document["kind"].as_str() {
            Some("WorkflowTemplate") => (LookupKind::WorkflowTemplate, "argo"),
            Some("ClusterWorkflowTemplate") => (LookupKind::ClusterWorkflowTemplate, ""),
            Some("ConfigMap") => (LookupKind::ConfigMap, "argo"),
            _ => continue,
        };
        let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        found.insert(LookupKey { kind, namespace: namespace.to_owned(), name, data_key: None }, document.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// The runs that this repository carries, as the engine alone makes them, built anew after every event or not.
    #[test]
    fn the_carried_runs_agree() {
        for more in [["--fold"], ["--restart"]] {
            let nowhere = std::env::temp_dir().join("no-such-folder-of-recorded-runs");
            let fixed = ["engine", "--set", "goldens-edge", "--dir"].map(Into::into);
            let line = fixed.into_iter().chain([nowhere.into_os_string()]).chain(more.map(Into::into));
            let report = run(&Line::parse_from(line).args).expect("the runs can be read");
            assert!(report.is_good(), "{more:?}: see above");
        }
    }
}
