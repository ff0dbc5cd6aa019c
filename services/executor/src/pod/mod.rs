//! The executor as processes in a pod: what its words start.
//!
//! The containers meet in the volume that all of them have. `init` puts this program there, so that a user's image needs
//! nothing of ours in it. Nobody asks the API server how far another container is: a wrapper holds a file locked for as long
//! as it lives, which the kernel lets go however it ends.

mod alive;
mod child;
mod command;
mod process;
mod stores;
mod wrapped;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use argosy_api::executor::{Part, Report, WRAPPER, paths};
use argosy_artifacts::Stores;
use argosy_beneath::Dir;

use crate::layout::Layout;
use crate::surroundings::Surroundings;
use crate::{Error, Limits, parts, wrap};
use process::{Process, SELF};

/// Where the kubelet reads what a container says at its end.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// The word that says what this program is.
const VERSION: &str = "version";
/// Exit code where the words are not ours.
const USAGE: u8 = 2;

/// Runs what the arguments of this process say, and gives its exit code.
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if words == [VERSION] {
        _ = writeln!(io::stdout(), "argosy-executor {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let Some((part, command)) = part(&words) else {
        _ = writeln!(io::stderr(), "usage: argosy executor init|wait|resource|data, or argoexec main -- COMMAND…");
        return ExitCode::from(USAGE);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(crate::FAILED, &format!("start: {error}")),
    };
    let (code, message) = runtime.block_on(run(part, command));
    // threads that wait for what nobody needs any more are not waited for
    runtime.shutdown_background();
    tell(code, &message)
}

/// What the words start, and the user's command.
fn part(words: &[String]) -> Option<(Part, Vec<String>)> {
    let [_, wrapper @ ..] = WRAPPER;
    let (whole, command) = match words.strip_prefix(&wrapper.map(str::to_owned)) {
        Some(command) => ([&WRAPPER.map(str::to_owned)[..], command].concat(), command.to_vec()),
        None => ([&[paths::EXECUTOR.to_owned()], words].concat(), Vec::new()),
    };
    let bare = Part::of_command(&whole);
    // their own words, without the wrapper, start them as well
    let inner =
        || Part::of_command(&[&WRAPPER.map(str::to_owned)[..], &whole].concat()).filter(|part| *part != Part::Main);
    Some((bare.or_else(inner)?, command))
}

async fn run(part: Part, command: Vec<String>) -> (i32, String) {
    let process = match Process::new() {
        Ok(process) => process,
        Err(error) => return (crate::FAILED, error.to_string()),
    };
    let limits = match Limits::from_env() {
        Ok(limits) => limits,
        Err(error) => return (crate::FAILED, error.to_string()),
    };
    let stores = match stores::of(&process) {
        Ok(stores) => stores,
        Err(error) => return (crate::FAILED, error.to_string()),
    };
    match part {
        Part::Init => tokio::select! {
            ended = init(&process, &*stores, limits) => ended,
            () = process.stopping.cancelled() => (parts::TERMINATED, String::new()),
        },
        Part::Main => parts::ending(main_container(&process, command, limits).await, &process),
        Part::Resource | Part::Data => {
            // `wait` looks for its end as for that of any other main container
            let held = process.shared_layout().and_then(|layout| alive::hold(&layout, process.name()));
            let _alive = match held {
                Ok(alive) => alive,
                Err(error) => return (crate::FAILED, error.to_string()),
            };
            let (code, message) = parts::run(part, &process, &*stores, limits).await;
            match process.leave_exit_code(code) {
                Ok(()) => (code, message),
                Err(error) => (crate::FAILED, error.to_string()),
            }
        }
        Part::Wait => parts::run(part, &process, &*stores, limits).await,
    }
}

async fn init(process: &Process, stores: &dyn Stores, limits: Limits) -> (i32, String) {
    match install() {
        Ok(()) => parts::run(Part::Init, process, stores, limits).await,
        Err(error) => parts::ending(Err(error), process),
    }
}

/// Puts this program where the other containers find it.
fn install() -> Result<(), Error> {
    let failed = || {
        let path = paths::ARGOEXEC.to_owned();
        move |source| Error::File { path, source }
    };
    let volume = Dir::open(Path::new(paths::VAR_RUN_ARGO)).map_err(failed())?;
    let name = Path::new(paths::ARGOEXEC).file_name().map(Path::new).unwrap_or(Path::new(""));
    let part = Path::new(".argoexec.part");
    let copied = File::open(SELF).and_then(|mut from| io::copy(&mut from, &mut volume.create(part, 0o755)?));
    copied.map_err(failed())?;
    volume.rename(part, &volume, name).map_err(failed())?;
    // before any other user makes it for itself alone
    let layout = Layout::shared(volume);
    layout.make_parent(&layout.container("any"))
}

async fn main_container(process: &Process, command: Vec<String>, limits: Limits) -> Result<(i32, String), Error> {
    if let Some(word) = Part::word(&command.iter().map(String::as_str).collect::<Vec<_>>()) {
        return Err(Error::Unsupported { word: word.to_owned() });
    }
    let layout = process.shared_layout()?;
    let _alive = alive::hold(&layout, process.name())?;
    let wrapped = wrapped::Container::new(process, &layout, command)?;
    Ok(wrap(&wrapped, &layout, limits).await)
}

/// Leaves the message for the kubelet. A success that cannot be told is none: its outputs would be lost.
fn tell(code: i32, message: &str) -> ExitCode {
    let mut code = code;
    if !message.is_empty() {
        let mut end = message.len().min(Report::MESSAGE_BYTES_MAX);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        // outside of a pod there is none
        let file = OpenOptions::new().write(true).truncate(true).open(TERMINATION_LOG);
        if let Err(error) = file.and_then(|mut file| file.write_all(&message.as_bytes()[..end])) {
            _ = writeln!(io::stderr(), "{TERMINATION_LOG}: {error}");
            code = if code == 0 { crate::FAILED } else { code };
        }
    }
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_start_parts() {
        let of = |words: &[&str]| part(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let bare = |words: &[&str]| of(words).map(|(part, _)| part);
        assert_eq!(bare(&["executor", "init"]), Some(Part::Init));
        assert_eq!(bare(&["executor", "wait"]), Some(Part::Wait));
        assert_eq!(bare(&["executor", "resource", "get"]), Some(Part::Resource));
        assert_eq!(bare(&["main", "--", "/argosy", "executor", "data", "{}"]), Some(Part::Data));
        assert_eq!(of(&["main", "--", "sh", "-c"]), Some((Part::Main, vec!["sh".to_owned(), "-c".to_owned()])));
        assert_eq!(bare(&["main", "--", "executor", "init"]), Some(Part::Main));
        for foreign in [&[][..], &["executor"], &["executor", "other"], &["main", "sh"], &["sh"]] {
            assert_eq!(of(foreign), None, "{foreign:?}");
        }
    }
}
