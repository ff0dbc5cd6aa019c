//! `cargo xtask test`: all tests of the workspace, one program more at a time than there are processors. `cargo test` runs one
//! program after another, and many of them mostly wait: for a server, a lease, a pod.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A program that takes longer hangs. It is ended, and what it said is shown.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Programs that take longest, in that order: one that began last would keep a processor alone.
const LONG: [&str; 7] = [
    "argosy-sim seeds",
    "argosy-standalone nats",
    "argosy-bus conformance",
    "argosy-cli dev",
    "argosy-engine robust",
    "argosy-status large",
    "xtask xtask",
];
/// Programs that run at once besides one per processor, as many wait more than they work.
const MORE: usize = 1;

/// A test program as cargo built it.
struct Program {
    /// `package target`, as in `argosy-bus conformance`.
    name: String,
    executable: PathBuf,
    /// Folder of the package: where cargo runs its tests.
    folder: PathBuf,
}

/// Builds all test programs, runs them and the documents' examples, and tells of each. Whether all passed.
///
/// Errors: the tests cannot be built, or a program cannot be started.
pub fn run(root: &Path) -> Result<bool> {
    let mut programs = build(root)?;
    // What is built last depends on most, and takes longest; what takes longest of all begins first.
    programs.reverse();
    programs.sort_by_key(|program| LONG.iter().position(|name| *name == program.name).unwrap_or(LONG.len()));
    let logs = programs.first().and_then(|it| it.executable.parent()).context("there are no tests")?.join("output");
    fs::create_dir_all(&logs)?;
    let begun = Instant::now();
    let count = programs.len();
    let queue = Mutex::new(programs.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Result<Vec<String>> {
        let mut failed = Vec::new();
        while let Some(program) = next() {
            if !tell(&program, &logs)? {
                failed.push(program.name);
            }
        }
        Ok(failed)
    };
    let workers = thread::available_parallelism().map_or(1, usize::from) + MORE;
    let failed: Vec<String> = thread::scope(|scope| {
        let started: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        started
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>>>()
    })?
    .concat();
    println!("{count} programs in {:.0} s, {} failed", begun.elapsed().as_secs_f64(), failed.len());
    for name in &failed {
        println!("failed: {name}");
    }
    let examples = cargo(root).args(["test", "--workspace", "--locked", "--quiet", "--doc"]).output()?;
    if !examples.status.success() {
        println!("{}{}", String::from_utf8_lossy(&examples.stdout), String::from_utf8_lossy(&examples.stderr));
        println!("failed: examples in documents");
    }
    Ok(failed.is_empty() && examples.status.success())
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).stdin(Stdio::null());
    command
}

/// The test programs of the workspace, in the order in which they were built.
fn build(root: &Path) -> Result<Vec<Program>> {
    let mut building = cargo(root)
        .args(["test", "--workspace", "--locked", "--no-run", "--message-format=json-render-diagnostics"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo cannot be started")?;
    let said = building.stdout.take().context("cargo has no output")?;
    let mut programs = Vec::new();
    for line in BufReader::new(said).lines() {
        programs.extend(program(&line?));
    }
    if !building.wait()?.success() {
        bail!("the tests cannot be built");
    }
    Ok(programs)
}

/// The test program that a message of cargo's tells of.
fn program(message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_test = message["reason"] == "compiler-artifact" && message["profile"]["test"] == true;
    let executable = message["executable"].as_str().filter(|_| is_test)?;
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    // `path+file:///folder#name@version`, or `…/name#version` where folder and package have one name.
    let (path, package) = message["package_id"].as_str()?.split_once('#')?;
    let package = package.split_once('@').map_or_else(|| path.rsplit('/').next().unwrap_or(path), |(name, _)| name);
    let target = message["target"]["name"].as_str()?;
    Some(Program { name: format!("{package} {target}"), executable: executable.into(), folder: folder.into() })
}

/// Runs a program and prints a line about it, or all it said where it failed. Whether it passed.
fn tell(program: &Program, logs: &Path) -> Result<bool> {
    let file = program.executable.file_name().context("a program has a name")?;
    let log = logs.join(file).with_extension("log");
    let out = File::create(&log)?;
    let begun = Instant::now();
    let mut child = Command::new(&program.executable)
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .stdin(Stdio::null())
        .stderr(out.try_clone()?)
        .stdout(out)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.executable.display()))?;
    let status = wait(&mut child, LIMIT)?;
    let seconds = begun.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let passed = status.is_some_and(|status| status.success());
    if passed {
        println!("ok {seconds:6.1} s  {}: {}", program.name, counts(&said));
    } else {
        let ended = status.map_or_else(|| format!("ended after {} s", LIMIT.as_secs()), |status| status.to_string());
        println!("{said}FAILED {seconds:.1} s  {}: {ended}", program.name);
    }
    Ok(passed)
}

/// How the child ended; `None` where it did not within the limit and was killed.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What the harness counted: `12 passed, 1 ignored`.
fn counts(said: &str) -> String {
    let Some(result) = said.lines().rev().find_map(|line| line.strip_prefix("test result: ok. ")) else {
        return "passed".to_owned();
    };
    let is_told = |part: &&str| part.ends_with("passed") || (part.ends_with("ignored") && !part.starts_with("0 "));
    result.split("; ").filter(is_told).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_come_out_of_cargos_messages() {
        let message = |package: &str, test| {
            serde_json::json!({"reason": "compiler-artifact", "package_id": package, "manifest_path": "/a/bus/Cargo.toml",
                "target": {"name": "conformance"}, "profile": {"test": test}, "executable": "/t/conformance-1"})
            .to_string()
        };
        let found = program(&message("path+file:///a/bus#argosy-bus@0.1.0", true)).expect("a program");
        assert_eq!((found.name.as_str(), found.folder.as_path()), ("argosy-bus conformance", Path::new("/a/bus")));
        assert_eq!(program(&message("path+file:///a/xtask#0.1.0", true)).expect("a program").name, "xtask conformance");
        assert!(program(&message("path+file:///a/xtask#0.1.0", false)).is_none(), "no test");
        assert!(program("   Compiling").is_none());
    }

    #[test]
    fn counts_are_those_of_the_harness() {
        assert_eq!(counts("x\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured\n"), "12 passed, 1 ignored");
        assert_eq!(counts("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured\n"), "12 passed");
        assert_eq!(counts("no harness\n"), "passed");
    }

    #[test]
    fn who_does_not_end_is_ended() {
        let sleep = || Command::new("sleep").arg("600").spawn().expect("sleep");
        assert!(wait(&mut sleep(), Duration::ZERO).expect("it can be waited for").is_none());
        let status = wait(&mut Command::new("true").spawn().expect("true"), LIMIT).expect("it can be waited for");
        assert!(status.is_some_and(|status| status.success()));
    }
}
