//! Where a view is shown.

use std::io::IsTerminal;

use crate::channel;

/// Where the view is shown.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    stderr: bool,
    /// It can be drawn on.
    pub terminal: bool,
    /// It shows colours.
    pub color: bool,
}

impl Target {
    /// Standard output, or standard error.
    pub fn pick(stderr: bool, no_color: bool) -> Self {
        let terminal = if stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = terminal && !no_color && std::env::var_os("NO_COLOR").is_none();
        Self { stderr, terminal: terminal && !dumb, color }
    }

    /// Writes the text as it is.
    pub fn write(self, text: &str) {
        if self.stderr { channel::err(text) } else { channel::out(text) }
    }
}
