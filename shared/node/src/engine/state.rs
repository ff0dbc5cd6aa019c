//! What an engine says of a container, and what follows for a run in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::spec::{Exit, StartError};

/// When a container was started that never was: both engines say so.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The state of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct State {
    /// Whether its command runs.
    pub running: bool,
    /// The command's exit code, once it has ended.
    pub exit_code: i32,
    /// Whether it ended for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// When it was started last, by the engine's clock.
    pub started_at: String,
    /// When it ended last, by the engine's clock.
    pub finished_at: String,
}

/// That a run was about to begin: when its container had been started before. A later time shows that it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    started_before: String,
}

impl Begun {
    /// In a container of this state; `None` is one that was only made.
    pub fn in_container(state: Option<&State>) -> Self {
        Self { started_before: state.map_or_else(|| NEVER.to_owned(), |state| state.started_at.clone()) }
    }

    /// Whether the container was started since.
    pub fn was_started(&self, state: &State) -> bool {
        state.started_at != self.started_before
    }
}

/// What to do for a run, see [`next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make the container, then start it.
    Create,
    /// Start the container that is there.
    Start,
    /// It runs or has ended: follow it to its end.
    Follow,
    /// It began, and its container is gone: nobody knows how it ended.
    Lost,
}

/// What to do for a run, from whether it was begun by an earlier life of the node and what the engine has.
pub fn next(begun: Option<&Begun>, container: Option<&State>) -> Next {
    match (begun, container) {
        (None, None) => Next::Create,
        (None, Some(_)) => Next::Start,
        (Some(_), None) => Next::Lost,
        (Some(begun), Some(state)) => {
            if begun.was_started(state) {
                Next::Follow
            } else {
                Next::Start
            }
        }
    }
}

/// How a run ended, as its directory keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// Its exit.
    pub exit: Exit,
    /// Whether it ended for want of memory.
    pub oom_killed: bool,
}

impl Finished {
    /// With an exit code, now.
    pub fn with_code(code: i32) -> Self {
        Self { exit: Exit { code, start_error: None, at: Timestamp::now() }, oom_killed: false }
    }

    /// From the state of a container that has ended. `stderr` is the end of what was written there.
    pub fn of(state: &State, argv: &[String], stderr: &[u8]) -> Self {
        let at = state.finished_at.parse().unwrap_or_else(|_| Timestamp::now());
        let start_error = init_failure(state.exit_code, argv, stderr);
        Self { exit: Exit { code: state.exit_code, start_error, at }, oom_killed: state.oom_killed }
    }

    /// Of a container that the engine could not start.
    pub fn not_started(text: String) -> Self {
        let start_error = Some(StartError::Sandbox(text));
        Self { exit: Exit { code: 128, start_error, at: Timestamp::now() }, oom_killed: false }
    }
}

/// Why the container's init could not run the command, in the words of Go's `os/exec`. The engines' inits, tini and
/// catatonit, say it in the last line.
fn init_failure(code: i32, argv: &[String], stderr: &[u8]) -> Option<StartError> {
    if !matches!(code, 1 | 126 | 127) {
        return None;
    }
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().last()?.trim_end();
    let from_init = line.starts_with("[FATAL tini (") && line.contains("] exec ")
        || line.starts_with("ERROR (catatonit:") && line.contains("failed to exec pid1: ");
    let (_, why) = line.rsplit_once(": ").filter(|_| from_init)?;
    let program = argv.first()?;
    Some(StartError::Command(match why {
        "No such file or directory" if !program.contains('/') => {
            format!("exec: \"{program}\": executable file not found in $PATH")
        }
        "No such file or directory" => format!("exec: \"{program}\": stat {program}: no such file or directory"),
        other => format!("exec: \"{program}\": {}", other.to_lowercase()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(started_at: &str, running: bool) -> State {
        State { started_at: started_at.into(), running, ..State::default() }
    }

    #[test]
    fn a_run_happens_once() {
        let (made, once, twice) = (state(NEVER, false), state("2026-01-01T00:00:00Z", false), state("later", true));
        let (first, second) = (Begun::in_container(None), Begun::in_container(Some(&once)));
        let table = [
            (None, None, Next::Create),
            (None, Some(&made), Next::Start),
            (None, Some(&once), Next::Start),
            (Some(&first), None, Next::Lost),
            (Some(&first), Some(&made), Next::Start),
            (Some(&first), Some(&once), Next::Follow),
            (Some(&second), Some(&once), Next::Start),
            (Some(&second), Some(&twice), Next::Follow),
        ];
        for (begun, container, expected) in table {
            assert_eq!(next(begun, container), expected, "{begun:?} {container:?}");
        }
    }

    #[test]
    fn what_an_engine_says_is_read() {
        let text = r#"{"Status":"exited","Running":false,"OOMKilled":true,"ExitCode":137,"Error":"",
            "StartedAt":"2026-11-26T00:29:02Z","FinishedAt":"2026-11-26T01:29:03+01:00","Health":{}}"#;
        let state: State = serde_json::from_str(text).expect("a state");
        let finished = Finished::of(&state, &[], b"");
        assert_eq!((finished.exit.code, finished.oom_killed), (137, true));
        assert_eq!(finished.exit.at.to_string(), "2026-11-26T00:29:03Z");
    }

    #[test]
    fn a_command_that_is_not_there_is_told_as_go_does() {
        let of = |code, program: &str, line: &str| {
            init_failure(code, &[program.into()], format!("earlier\n{line}\n").as_bytes())
        };
        let told = |text: &str| Some(StartError::Command(text.into()));
        let missing = "exec: \"no\": executable file not found in $PATH";
        assert_eq!(of(127, "no", "[FATAL tini (7)] exec no failed: No such file or directory"), told(missing));
        assert_eq!(of(1, "no", "ERROR (catatonit:6): failed to exec pid1: No such file or directory"), told(missing));
        let text = "exec: \"/no\": stat /no: no such file or directory";
        assert_eq!(of(1, "/no", "ERROR (catatonit:6): failed to exec pid1: No such file or directory"), told(text));
        let text = "exec: \"/etc/passwd\": permission denied";
        assert_eq!(of(126, "/etc/passwd", "[FATAL tini (6)] exec /etc/passwd failed: Permission denied"), told(text));
        assert_eq!(of(127, "sh", "sh: nosuch: not found"), None);
        assert_eq!(of(0, "no", "[FATAL tini (7)] exec no failed: No such file or directory"), None);
    }
}
