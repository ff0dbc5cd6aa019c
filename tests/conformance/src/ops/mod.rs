//! Operations on live and ended workflows: what was done to Argo's with its command line, done to those of `argosy dev`.

mod case;
mod drive;
mod rename;
mod server;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use argosy_testkit::compare::{self, Difference};
use serde_json::json;
use tokio::task::JoinSet;

use self::{case::Case, drive::Outcome, server::Server};
use crate::{
    cases::{Common, known_differences, recorded},
    program,
    report::Report,
};

/// The namespace that everything was recorded in.
const NAMESPACE: &str = "argo";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// How many at once
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// The program to be judged [default: `argosy` next to this program]
    #[arg(long, value_name = "PATH")]
    argosy: Option<PathBuf>,
    /// Longest time to wait for one condition, in seconds
    #[arg(long, default_value_t = 60)]
    limit: u64,
}

/// Runs all cases.
pub fn run(args: &Args) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(run_all(args))
}

async fn run_all(args: &Args) -> Result<Report> {
    let all = cases(&args.common)?;
    let carried = all.iter().filter(|case| case.is_carried).map(|case| case.id.clone()).collect::<BTreeSet<_>>();
    let mut report = Report::new(known_differences("ops")?, Some(carried));
    let program = program::path(args.argosy.as_deref())?;
    let server = Arc::new(Server::start(&program, NAMESPACE).await?);
    let limit = Duration::from_secs(args.limit);
    let mut waiting = args.common.chosen(all, |case| &case.id)?.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < args.jobs.max(1)
            && let Some(case) = waiting.next()
        {
            let server = Arc::clone(&server);
            running.spawn(async move {
                let begun = Instant::now();
                let outcome = drive::run(&case, &server, limit).await;
                (case, outcome, begun.elapsed())
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (case, outcome, took) = ended.context("a case panicked")?;
        let differences = match outcome {
            Ok(outcome) => judge(&case, &outcome, &args.common)?,
            Err(error) => vec![compare::no_result(&format!("{error:#}"))],
        };
        report.add(&case.id, differences, took.as_secs_f64(), args.common.all);
    }
    if let Some(server) = Arc::into_inner(server) {
        server.stop().await?;
    }
    report.finish(&args.common)?;
    Ok(report)
}

/// The cases that this repository carries, and those of the conformance directory.
fn cases(common: &Common) -> Result<Vec<Case>> {
    let mut all = case::read_all(&recorded(), true)?;
    let beside = common.directory();
    if beside.join("ops").is_dir() {
        let known: BTreeSet<String> = all.iter().map(|case| case.id.clone()).collect();
        all.extend(case::read_all(&beside, false)?.into_iter().filter(|case| !known.contains(&case.id)));
        all.sort_by(|a, b| a.id.cmp(&b.id));
    }
    Ok(all)
}

/// Compares each object that was kept, and how each operation went.
fn judge(case: &Case, outcome: &Outcome, common: &Common) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    for (label, golden) in &case.goldens {
        let Some(object) = outcome.kept.get(label) else {
            found.push(compare::no_result(&format!("{label} was not recorded")));
            continue;
        };
        common.keep(label, object)?;
        let at = label.split_once('@').map_or("", |(_, moment)| moment);
        found.extend(compare::diff(&golden.workflow, object).into_iter().map(|difference| {
            let node = if at.is_empty() { difference.node } else { format!("@{at} {}", difference.node) };
            Difference { node, ..difference }
        }));
        for (golden, done) in golden.ops.iter().zip(&outcome.done) {
            // Only whether it was refused: there is one code for a failure in Argo.
            if (golden.rc == 0) != (done.rc == 0) {
                let told = |rc: i32, out: &str| json!(format!("{rc} {out}"));
                found.push(Difference {
                    node: String::new(),
                    field: format!("`{}`", done.command.join(" ")),
                    argo: told(golden.rc, &golden.out),
                    actual: told(done.rc, &done.out),
                });
            }
        }
    }
    Ok(found)
}
