//! Where a view is shown.

use std::io::IsTerminal;

use crate::{channel, colors};

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
        let color = terminal && colors::are_wanted(no_color);
        Self { stderr, terminal: terminal && !colors::is_dumb(), color }
    }

    /// Writes the text as it is.
    pub fn write(self, text: &str) {
        if self.stderr { channel::err(text) } else { channel::out(text) }
    }
}
