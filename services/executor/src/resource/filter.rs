//! Filters of output parameters, evaluated in a process of their own.
//!
//! A `jqFilter` may run for ever, take all memory or overflow the stack, and the interpreter has no budget. So the program
//! starts itself again for it, with limits that the kernel keeps: whatever happens there, this process lives on, and so
//! does one that is started after a crash and does the same again. JSONPath has filters and descents that grow in the same
//! way; templates without these are filled in here.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::error::Error;
use super::{jq, jsonpath};
use crate::Limits;

/// The subcommand of the executable that evaluates a filter.
pub const COMMAND: &str = "__filter";

/// So many filters are evaluated at a time in this process.
const AT_ONCE_MAX: usize = 8;
/// Stack of a filter. Bytes.
const STACK: usize = 64 * 1024 * 1024;
/// Address space beyond the memory limit: the program itself, the stack, what the allocator reserves. Bytes.
const ADDRESS_SPACE: u64 = 4 * 1024 * 1024 * 1024;
/// Has mimalloc, the allocator of `argosy`, take memory from the kernel as it is used, so that the kernel's limit counts
/// what is used.
const LAZY_MEMORY: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");
/// A filter that waits for a processor this many times longer than it may use one is ended.
const PATIENCE: u32 = 6;
/// Of what a process says when it dies, so much is read. Bytes.
const SAID_MAX: u64 = 4096;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// A language of filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Language {
    Jq,
    JsonPath,
}

/// What the process is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    language: Language,
    code: String,
    object: Value,
    memory_bytes_max: u64,
    cpu_secs_max: u64,
    bytes_max: u64,
}

/// What the process says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Value(String),
    /// The filter cannot be read.
    Mistake(String),
    /// It does not fit the object.
    Failure(String),
}

/// Applies a filter to an object, by starting `executable` again.
/// Errors: `Jq`, `JqRun`, `JsonPath`.
pub(super) async fn apply(
    executable: &Path,
    language: Language,
    code: &str,
    object: &Value,
    limits: Limits,
) -> Result<String, Error> {
    // never closed
    let _turn = TURNS.acquire().await.ok();
    let request = Request {
        language,
        code: code.to_owned(),
        object: object.clone(),
        memory_bytes_max: limits.filter_memory_bytes_max,
        cpu_secs_max: limits.filter_cpu_secs_max,
        bytes_max: limits.outputs_bytes_max,
    };
    let answer = ask(executable, &request).await;
    let answer = answer.unwrap_or_else(|error| Answer::Failure(format!("it cannot be evaluated: {error}")));
    let (filter, text) = (code.to_owned(), code.to_owned());
    match (answer, language) {
        (Answer::Value(value), _) => Ok(value),
        (Answer::Mistake(what), Language::Jq) => Err(Error::Jq { what }),
        (Answer::Failure(what), Language::Jq) => Err(Error::JqRun { filter, what }),
        (Answer::Mistake(what) | Answer::Failure(what), Language::JsonPath) => Err(Error::JsonPath { text, what }),
    }
}

async fn ask(executable: &Path, request: &Request) -> io::Result<Answer> {
    let body = serde_json::to_vec(request).map_err(io::Error::other)?;
    let mut command = Command::new(executable);
    command
        .arg(COMMAND)
        .env_clear()
        .env(LAZY_MEMORY.0, LAZY_MEMORY.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // whoever waits for it may be gone first
    let mut child = command.kill_on_drop(true).spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let talk = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // it may have ended without reading
                let _ = stdin.write_all(&body).await;
            }
        };
        let (mut out, mut said) = (Vec::new(), Vec::new());
        let read = async {
            match stdout {
                // as JSON a text may be six times as long
                Some(out_pipe) => {
                    out_pipe.take(request.bytes_max.saturating_mul(6).saturating_add(1024)).read_to_end(&mut out).await
                }
                None => Ok(0),
            }
        };
        let hear = async {
            match stderr {
                Some(pipe) => pipe.take(SAID_MAX).read_to_end(&mut said).await,
                None => Ok(0),
            }
        };
        let ((), read, _) = tokio::join!(write, read, hear);
        read?;
        let status = child.wait().await?;
        io::Result::Ok((out, said, status))
    };
    let patience = Duration::from_secs(request.cpu_secs_max.saturating_mul(u64::from(PATIENCE)));
    let Ok(talked) = tokio::time::timeout(patience, talk).await else {
        return Ok(Answer::Failure(format!("it took more than {} s; {RAISE}", patience.as_secs())));
    };
    let (out, said, status) = talked?;
    if status.success() {
        return serde_json::from_slice(&out).map_err(io::Error::other);
    }
    Ok(Answer::Failure(why(request, &said, status)))
}

const RAISE: &str = "set ARGOSY_FILTER_CPU_SECONDS_MAX where Argosy runs to allow more";

/// Why the process died.
fn why(request: &Request, said: &[u8], status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    let said = String::from_utf8_lossy(said);
    let signal = status.signal().and_then(rustix::process::Signal::from_named_raw);
    if signal == Some(rustix::process::Signal::XCPU) || signal == Some(rustix::process::Signal::KILL) {
        return format!("it took more than {} s of processor time; {RAISE}", request.cpu_secs_max);
    }
    if said.contains("overflowed its stack") {
        return format!("it calls itself too deeply: it needs more than {STACK} bytes of stack");
    }
    if said.contains("memory allocation of") {
        return format!(
            "it needs more than {} bytes of memory; set ARGOSY_FILTER_MEMORY_BYTES_MAX where Argosy runs to allow more",
            request.memory_bytes_max
        );
    }
    format!("the process that evaluated it ended with {status}")
}

/// Evaluates the filter that comes through standard input. The process does nothing else.
pub fn main() -> ExitCode {
    match answer().and_then(|answer| serde_json::to_writer(io::stdout(), &answer).map_err(io::Error::other)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn answer() -> io::Result<Answer> {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    let request: Request = serde_json::from_slice(&body).map_err(io::Error::other)?;
    limit(&request)?;
    // what else runs on this machine goes first
    let _ = nice(10);
    let evaluate = move || match request.language {
        Language::Jq => match jq::run(&request.object.to_string(), &request.code, request.bytes_max) {
            Ok(value) => Answer::Value(value),
            Err(jq::Failed::Mistake(what)) => Answer::Mistake(what),
            Err(jq::Failed::Run(what)) => Answer::Failure(what),
        },
        Language::JsonPath => match jsonpath::render(&request.code, &request.object, request.bytes_max) {
            Ok(value) => Answer::Value(value),
            Err(what) => Answer::Mistake(what),
        },
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(evaluate)?;
    thread.join().map_err(|_| io::Error::other("the interpreter failed"))
}

/// Bytes of writable memory that this process has.
fn memory_taken() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib.saturating_mul(1024)).ok_or_else(|| io::Error::other("/proc/self/status has no VmData"))
}

fn limit(request: &Request) -> io::Result<()> {
    let set = |resource, max: u64| setrlimit(resource, Rlimit { current: Some(max), maximum: Some(max) });
    // writable memory beyond what the program has by itself; and all of the address space, should something escape the former
    set(Resource::Data, request.memory_bytes_max.saturating_add(STACK as u64).saturating_add(memory_taken()?))?;
    set(Resource::As, request.memory_bytes_max.saturating_add(ADDRESS_SPACE))?;
    // SIGXCPU at the first, SIGKILL at the second
    let cpu = Rlimit { current: Some(request.cpu_secs_max), maximum: Some(request.cpu_secs_max.saturating_add(1)) };
    setrlimit(Resource::Cpu, cpu)?;
    set(Resource::Core, 0)?;
    // it opens no file and starts no process
    set(Resource::Fsize, 0)?;
    Ok(())
}
