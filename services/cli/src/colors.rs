//! Whether colours are wanted.

use std::{
    env,
    ffi::OsStr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// `--no-color` was given.
static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// From now on none are wanted, also where nobody asks with the flag.
pub fn forbid() {
    FORBIDDEN.store(true, Relaxed);
}

/// False with `--no-color`, with `NO_COLOR`, and on a terminal that is dumb.
pub fn are_wanted(no_color: bool) -> bool {
    let may = !no_color && !FORBIDDEN.load(Relaxed);
    may && of_environment(env::var_os("NO_COLOR").as_deref(), env::var_os("TERM").as_deref())
}

/// A terminal that cannot move its cursor either.
pub fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// An empty `NO_COLOR` forbids nothing: <https://no-color.org>.
fn of_environment(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_forbids_colours() {
        let wanted =
            |no_color: Option<&str>, term: Option<&str>| of_environment(no_color.map(OsStr::new), term.map(OsStr::new));
        assert!(wanted(None, None) && wanted(Some(""), Some("xterm")));
        assert!(!wanted(Some("1"), Some("xterm")) && !wanted(None, Some("dumb")));
    }
}
