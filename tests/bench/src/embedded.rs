//! Embedded mode: `argosy run` as a user starts it, with the process runtime.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::memory;

const STEPS: usize = 100;
const FAN: usize = 1_000;
/// Runs of each; the fastest counts, as the others were disturbed.
const REPEATS: usize = 3;

/// A chain of steps.
pub struct Chain {
    one: Duration,
    many: Duration,
    spawn: Duration,
}

impl Chain {
    fn per_step(&self) -> Duration {
        self.many.saturating_sub(self.one) / STEPS as u32
    }

    /// For people.
    pub fn text(&self) -> String {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        format!(
            "embedded chain of `true`: 1 step {:.0} ms, {} steps {:.0} ms: {:.2} ms per step, {:.2} ms beyond starting `true` itself ({:.2} ms)",
            ms(self.one),
            STEPS + 1,
            ms(self.many),
            ms(self.per_step()),
            ms(self.per_step().saturating_sub(self.spawn)),
            ms(self.spawn),
        )
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let micros = |d: Duration| d.as_micros() as u64;
        json!({
            "one_step_microseconds": micros(self.one),
            "steps": STEPS + 1,
            "chain_microseconds": micros(self.many),
            "per_step_microseconds": micros(self.per_step()),
            "spawn_true_microseconds": micros(self.spawn),
            "overhead_per_step_microseconds": micros(self.per_step().saturating_sub(self.spawn)),
        })
    }
}

/// Measures a chain of 1 and of 101 steps; the difference is 100 steps.
pub fn chain(argosy: Option<&Path>) -> Result<Chain> {
    let argosy = program(argosy)?;
    let fastest = |steps: usize| -> Result<Duration> {
        let groups: Vec<Value> = (0..steps).map(|i| json!([{"name": format!("s{i}"), "template": "work"}])).collect();
        let file = workflow("chain", json!({"steps": groups}));
        let runs: Result<Vec<Outcome>> = (0..REPEATS).map(|_| run(&argosy, &file)).collect();
        runs?.into_iter().map(|r| r.took).min().context("no run")
    };
    Ok(Chain { one: fastest(1)?, many: fastest(STEPS + 1)?, spawn: spawn_true()? })
}

/// A fan-out.
pub struct Fanout {
    outcome: Outcome,
}

impl Fanout {
    /// For people.
    pub fn text(&self) -> String {
        let seconds = self.outcome.took.as_secs_f64();
        let peak = self.outcome.peak_bytes.map_or_else(|| "unknown".to_owned(), |b| format!("{} MiB", b >> 20));
        format!(
            "embedded {FAN}-way fan-out of `true`: {seconds:.2} s, {:.2} ms per pod, peak memory {peak}",
            seconds * 1e3 / FAN as f64
        )
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({"ways": FAN, "microseconds": self.outcome.took.as_micros() as u64, "peak_bytes": self.outcome.peak_bytes})
    }
}

/// Measures one loop of 1,000 pods.
pub fn fanout(argosy: Option<&Path>) -> Result<Fanout> {
    let argosy = program(argosy)?;
    let step = json!({"name": "s", "template": "work", "withSequence": {"count": FAN.to_string()}});
    let outcome = run(&argosy, &workflow("fanout", json!({"steps": [[step]]})))?;
    Ok(Fanout { outcome })
}

fn workflow(name: &str, mut body: Value) -> Value {
    body["name"] = json!("main");
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "templates": [
            body,
            {"name": "work", "container": {"image": "busybox", "command": ["true"]}},
        ]},
    })
}

struct Outcome {
    took: Duration,
    peak_bytes: Option<u64>,
}

fn program(path: Option<&Path>) -> Result<PathBuf> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => env::current_exe().context("find this program")?.with_file_name("argosy"),
    };
    ensure!(path.is_file(), "{} does not exist: build it with `cargo build --release -p argosy-cli`", path.display());
    path.canonicalize().with_context(|| format!("resolve {}", path.display()))
}

fn run(argosy: &Path, workflow: &Value) -> Result<Outcome> {
    let dir = tempfile::tempdir().context("create a scratch directory")?;
    let file = dir.path().join("workflow.yaml");
    fs::write(&file, workflow.to_string()).context("write the workflow")?;
    let output = fs::File::create(dir.path().join("out.json")).context("create the output")?;
    let started = Instant::now();
    let mut child = Command::new(argosy)
        .args(["run", "-o", "json"])
        .arg(&file)
        .env_remove(crate::WARM_HEAP.0)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .context("start argosy")?;
    let mut peak_bytes = None;
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for argosy")? {
            break status;
        }
        peak_bytes = memory::peak_bytes(child.id()).or(peak_bytes);
        thread::sleep(Duration::from_millis(1));
    };
    let took = started.elapsed();
    ensure!(status.success(), "`argosy run` of {} ended with {status}", workflow["metadata"]["name"]);
    Ok(Outcome { took, peak_bytes })
}

fn spawn_true() -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..STEPS {
        let status = Command::new("true").stdin(Stdio::null()).status().context("start `true`")?;
        ensure!(status.success(), "`true` failed");
    }
    Ok(started.elapsed() / STEPS as u32)
}
