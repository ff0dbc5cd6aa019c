//! The containers of a pod and the words that start the executor in them.

use super::paths::{ARGOEXEC, EXECUTOR};

/// The container that runs a container or a script template.
pub const MAIN: &str = "main";
/// The container that gathers and reports outputs.
pub const WAIT: &str = "wait";
/// The container that stages inputs.
pub const INIT: &str = "init";

/// What stands before the command of a main container, and of a sidecar that has a command.
pub const WRAPPER: [&str; 3] = [ARGOEXEC, "main", "--"];

/// The word behind [`EXECUTOR`].
const WORD: &str = "executor";

/// What a container runs of the executor, or under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Stages inputs, before the main containers start.
    Init,
    /// Waits for the main containers, gathers outputs and reports them.
    Wait,
    /// A command of the user's, behind the wrapper.
    Main,
    /// The work of a `resource` template, behind the wrapper.
    Resource,
    /// The work of a `data` template, behind the wrapper.
    Data,
}

impl Part {
    /// The words of the executor that start it, without the wrapper and without arguments; none for the user's own.
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::Init => vec![EXECUTOR, WORD, "init"],
            Self::Wait => vec![EXECUTOR, WORD, "wait"],
            Self::Resource => vec![EXECUTOR, WORD, "resource"],
            Self::Data => vec![EXECUTOR, WORD, "data"],
            Self::Main => Vec::new(),
        }
    }

    /// What a container with this command runs; `None` where the executor has no part in it.
    pub fn of_command(command: &[String]) -> Option<Self> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words.strip_prefix(&WRAPPER) {
            Some(inner) => Some(match Self::word(inner) {
                Some("resource") => Self::Resource,
                Some("data") => Self::Data,
                Some(_) | None => Self::Main,
            }),
            None => match Self::word(&words)? {
                "init" => Some(Self::Init),
                "wait" => Some(Self::Wait),
                _ => None,
            },
        }
    }

    /// The word that says which part of the executor a command without the wrapper starts; `None` for other programs.
    pub fn word<'a>(command: &[&'a str]) -> Option<&'a str> {
        match command {
            [EXECUTOR, WORD, word, ..] => Some(word),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_say_which_part_they_start() {
        let of = |words: &[&str]| Part::of_command(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        for part in [Part::Init, Part::Wait] {
            assert_eq!(of(&part.words()), Some(part));
            assert_eq!(of(&[&part.words()[..], &["more"]].concat()), Some(part));
        }
        for part in [Part::Resource, Part::Data, Part::Main] {
            assert_eq!(of(&[&WRAPPER[..], &part.words(), &["argument"]].concat()), Some(part));
        }
        assert_eq!(of(&[&WRAPPER[..], &["/argosy", "executor", "other"]].concat()), Some(Part::Main));
        for foreign in
            [&["sh", "-c"][..], &[], &["/argosy"], &["/argosy", "executor"], &Part::Data.words(), &WRAPPER[..2]]
        {
            assert_eq!(of(foreign), None, "{foreign:?}");
        }
    }
}
