//! The whole system: each case by a run of `argosy run`, judged by the object that it prints.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use argosy_testkit::{
    compare::{self, Difference},
    golden::Golden,
};
use serde_json::{Value, json};

use crate::{
    cases::{Selection, known_differences},
    cluster, program,
    report::Report,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// How many at once
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Submit to the cluster of $KUBECONFIG, where an Argosy runs, instead of to `argosy run`; needs kubectl
    #[arg(long)]
    cluster: bool,
    /// The program to be judged [default: `argosy` next to this program]
    #[arg(long, value_name = "PATH")]
    argosy: Option<PathBuf>,
    /// Longest time for a case, in seconds; a case gets at least three times what its recording took
    #[arg(long, default_value_t = 60)]
    limit: u64,
    /// Keep each case's standard error here as ID.log
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

/// Runs all cases.
pub fn run(args: &Args) -> Result<Report> {
    let argosy = if args.cluster { PathBuf::new() } else { program::path(args.argosy.as_deref())? };
    if args.cluster {
        cluster::prepare()?;
    }
    let goldens = args.selection.goldens()?;
    let scratch = tempfile::tempdir().context("create a scratch directory")?;
    let mut report =
        Report::new(known_differences(if args.cluster { "cluster" } else { "goldens" })?, args.selection.agreeing()?);
    let next = Mutex::new(goldens.iter());
    let (verdicts, results) = mpsc::sync_channel(args.jobs.max(1));
    thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            let (next, verdicts, argosy, scratch) = (&next, verdicts.clone(), &argosy, scratch.path());
            scope.spawn(move || {
                loop {
                    let golden = match next.lock() {
                        Ok(mut cases) => cases.next(),
                        Err(_) => None,
                    };
                    let Some(golden) = golden else { break };
                    let started = Instant::now();
                    let found = one(golden, args, argosy, scratch);
                    if verdicts.send((golden.id.clone(), found, started.elapsed())).is_err() {
                        break;
                    }
                }
            });
        }
        drop(verdicts);
        for (id, found, took) in results {
            let found = found.unwrap_or_else(|e| vec![compare::no_result(&format!("{e:#}"))]);
            report.add(&id, found, took.as_secs_f64(), args.selection.common.all);
        }
    });
    report.finish(&args.selection.common)?;
    Ok(report)
}

fn one(golden: &Golden, args: &Args, argosy: &Path, scratch: &Path) -> Result<Vec<Difference>> {
    let limit = Duration::from_secs(args.limit).max(Duration::from_secs_f64(golden.seconds * 3.0));
    if args.cluster {
        let object = cluster::run(golden, limit)?;
        args.selection.common.keep(&golden.id, &object)?;
        return Ok(compare::diff(&golden.workflow, &object));
    }
    let dir = scratch.join(&golden.id);
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let input = dir.join("input.yaml");
    fs::write(&input, documents(golden)?).with_context(|| format!("write {}", input.display()))?;
    let (stdout, stderr) = launch(argosy, &dir, &input, limit)?;
    if let Some(logs) = &args.logs {
        fs::create_dir_all(logs).with_context(|| format!("create {}", logs.display()))?;
        fs::write(logs.join(format!("{}.log", golden.id)), &stderr).context("keep the log")?;
    }
    let object: Value = match serde_json::from_slice(&stdout) {
        Ok(object) => object,
        Err(_) => {
            let said = stderr.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("nothing");
            bail!("printed no object; last it said: {said}");
        }
    };
    args.selection.common.keep(&golden.id, &object)?;
    Ok(compare::diff(&golden.workflow, &object))
}

/// The input as one file of YAML documents; JSON is YAML. All ran in namespace `argo`.
fn documents(golden: &Golden) -> Result<String> {
    let mut text = String::new();
    for document in &golden.input {
        let mut document = document.clone();
        if document["kind"] != "ClusterWorkflowTemplate" {
            document["metadata"]["namespace"] = json!("argo");
        }
        text.push_str("---\n");
        text.push_str(&serde_json::to_string_pretty(&document)?);
        text.push('\n');
    }
    Ok(text)
}

/// Runs the program until it ends or its time is up; answers what it wrote.
fn launch(argosy: &Path, dir: &Path, input: &Path, limit: Duration) -> Result<(Vec<u8>, String)> {
    let mut child = Command::new(argosy)
        .args(["run", "-o", "json", "--namespace", "argo", "--timeout"])
        .arg(format!("{}s", limit.as_secs()))
        .arg(input)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", argosy.display()))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    // The program keeps to the time by itself; this is for one that hangs.
    let ended = wait(&mut child, limit + Duration::from_secs(15))?;
    if !ended {
        child.kill().context("end a program that hangs")?;
        child.wait().context("wait for it")?;
        bail!("still running after {} s", limit.as_secs());
    }
    let stdout = stdout.join().unwrap_or_default();
    let stderr = stderr.join().unwrap_or_default();
    Ok((stdout, String::from_utf8_lossy(&stderr).into_owned()))
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error still counts.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn wait(child: &mut Child, limit: Duration) -> Result<bool> {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if child.try_wait().context("wait for the program")?.is_some() {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
}
