//! Mistakes in what the user gave us, all at once: file, line, column, field, what is wrong, what to do.

pub mod github;
pub mod sarif;

use std::{ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::{channel::say, colors, load::Source, terminal};

/// One mistake.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The file's name.
    pub file: String,
    /// Its text, where it could be read.
    pub source: Option<Arc<Source>>,
    /// The place, in bytes of the source.
    pub span: Option<Range<usize>>,
    /// The field: `spec.templates[0].name`; empty where no field is meant.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// It is not taken amiss.
    pub warning: bool,
    /// The rule that gives it, where it can be silenced.
    pub rule: Option<&'static str>,
    /// Only who is strict takes it amiss: a field that nobody knows.
    pub strict: bool,
    /// The API takes the object all the same; a controller refuses it.
    pub of_controller: bool,
    /// A controller takes the object all the same; the run comes to the mistake.
    pub of_run: bool,
    /// It is there because of the flags: the file is right without them.
    pub of_flags: bool,
}

impl Diagnostic {
    /// About a file as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            source: None,
            span: None,
            path: String::new(),
            message: message.into(),
            help: None,
            warning: false,
            rule: None,
            strict: false,
            of_controller: false,
            of_run: false,
            of_flags: false,
        }
    }

    /// About a text that was read; the place follows.
    pub fn of_source(source: &Arc<Source>, message: impl Into<String>) -> Self {
        Self { source: Some(source.clone()), ..Self::of_file(source.name.clone(), message) }
    }

    /// Line and column, from 1.
    pub fn position(&self) -> Option<(usize, usize)> {
        Some(self.source.as_ref()?.position(self.span.as_ref()?.start))
    }

    /// `file:line:column: path: message (help)`.
    pub fn line(&self) -> String {
        let mut text = self.file.clone();
        if let Some((line, column)) = self.position() {
            text.push_str(&format!(":{line}:{column}"));
        }
        if !self.path.is_empty() {
            text.push_str(&format!(": {}", self.path));
        }
        // A message may draw a picture over several lines; here the first says it.
        text.push_str(&format!(": {}", self.message.lines().next().unwrap_or_default()));
        if let Some(help) = &self.help {
            text.push_str(&format!(" ({help})"));
        }
        if let Some(rule) = self.rule {
            text.push_str(&format!(" [{rule}]"));
        }
        text
    }

    /// `path: message (help)`, without the place.
    pub fn words(&self) -> String {
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        let help = self.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        format!("{path}{}{help}", self.message)
    }

    /// `error` or `warning`.
    pub fn severity(&self) -> &'static str {
        if self.warning { "warning" } else { "error" }
    }

    /// As one member of `-o json`.
    pub fn json(&self) -> Value {
        let (line, column) = self.position().unzip();
        json!({ "file": self.file, "line": line, "column": column, "path": self.path, "message": self.message, "help": self.help, "severity": self.severity(), "rule": self.rule })
    }

    /// With the lines of the file, for a terminal.
    pub fn pretty(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let message = terminal::lines(&self.message);
        let title = match terminal::line(&self.path) {
            path if path.is_empty() => message.into_owned(),
            path => format!("{path}: {message}"),
        };
        let level = if self.warning { Level::WARNING } else { Level::ERROR };
        let title = level.primary_title(title);
        let mut group = Group::with_title(match self.rule {
            Some(rule) => title.id(rule),
            None => title,
        });
        if let (Some(source), Some(span)) = (&self.source, &self.span) {
            let end = span.end.clamp(span.start, source.text.len());
            let first_line = source.text[span.start..end].find('\n').map_or(end, |at| span.start + at);
            group = group.element(
                Snippet::source(source.text.as_str())
                    .path(terminal::line(&source.name))
                    .annotation(AnnotationKind::Primary.span(span.start..first_line.max(span.start))),
            );
        } else {
            group = group.element(Level::NOTE.message(format!("in {}", terminal::line(&self.file))));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(terminal::lines(help)));
        }
        renderer.render(&[group])
    }
}

/// Writes all of `diagnostics` to standard error: with source lines on a terminal, else a line each.
pub fn report(diagnostics: &[Diagnostic]) {
    use std::io::IsTerminal;
    let terminal = std::io::stderr().is_terminal();
    let color = colors::are_wanted(false);
    for diagnostic in diagnostics {
        if terminal {
            let text = terminal::colored(&diagnostic.pretty(color)).into_owned();
            say!("{text}\n");
        } else {
            say!("{}: {}", diagnostic.severity(), terminal::line(&diagnostic.line()));
        }
    }
    let mistakes = diagnostics.iter().filter(|diagnostic| !diagnostic.warning).count();
    let warnings = diagnostics.len() - mistakes;
    match (mistakes, warnings) {
        (0, _) => {}
        (_, 0) => say!("{}", counted(mistakes, "mistake")),
        (_, _) => say!("{}, {}", counted(mistakes, "mistake"), counted(warnings, "warning")),
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
