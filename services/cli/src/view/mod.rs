//! A running workflow as the user sees it: a tree on a terminal, lines elsewhere.

mod live;
mod logs;
mod plain;
mod target;
mod waiting;

use std::time::Duration;

use argosy_api::v1alpha1::Workflow;
use kube::Client;

use crate::{channel::say, render::tree::Filter, terminal};

use live::Live;
use logs::Tails;
use plain::Plain;
pub use target::Target;
pub use waiting::Call;

/// Shortest time between two drawings of the tree.
pub const REDRAW: Duration = Duration::from_millis(100);

/// What is shown of workflows on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The tree on a terminal, with the last lines of logs; lines elsewhere.
    Progress,
    /// Lines, with those of the logs between them.
    ProgressAndLogs,
    /// The lines of the logs.
    Logs,
    /// Nothing.
    Nothing,
}

enum Kind {
    Live(Live),
    Plain(Plain),
    Silent,
}

/// The view.
pub struct View {
    target: Target,
    kind: Kind,
    tails: Option<Tails>,
    call: Call,
    /// What was said of what waits for a person, last.
    hints: Vec<String>,
}

impl View {
    /// A view on `target` of the nodes that `filter` has; `call` is how a user calls the command line.
    pub fn new(client: Client, target: Target, show: Show, filter: Filter, call: Call) -> Self {
        let kind = match show {
            Show::Progress if target.terminal => Kind::Live(Live::new(target, filter)),
            Show::Progress | Show::ProgressAndLogs => Kind::Plain(Plain::new(target, filter)),
            Show::Logs | Show::Nothing => Kind::Silent,
        };
        let logs = matches!(show, Show::Logs | Show::ProgressAndLogs) || matches!(kind, Kind::Live(_));
        let tails = logs.then(|| Tails::new(client));
        Self { target, kind, tails, call, hints: Vec::new() }
    }

    /// The workflows as they are now.
    pub fn update(&mut self, workflows: &[Workflow]) {
        if let Some(tails) = &mut self.tails {
            tails.follow(workflows);
        }
        match &mut self.kind {
            Kind::Live(live) => live.changed(),
            Kind::Plain(plain) => plain.update(workflows),
            Kind::Silent => {}
        }
        self.show_logs();
        self.show_hints(workflows);
    }

    /// Says once of everything that waits for a person what that person may do.
    fn show_hints(&mut self, workflows: &[Workflow]) {
        let hints: Vec<_> = workflows.iter().flat_map(|workflow| waiting::hints(workflow, &self.call)).collect();
        if hints == self.hints {
            return;
        }
        match &mut self.kind {
            Kind::Live(live) => live.hint(hints.clone()),
            Kind::Plain(_) | Kind::Silent => {
                hints.iter().filter(|hint| !self.hints.contains(hint)).for_each(|hint| say!("{hint}"));
            }
        }
        self.hints = hints;
    }

    /// Tells the user something: below the tree where there is one, else on standard error.
    pub fn notice(&mut self, text: &str) {
        match &mut self.kind {
            Kind::Live(live) => live.notice(text),
            Kind::Plain(_) | Kind::Silent => say!("{text}"),
        }
    }

    /// Called every [`REDRAW`].
    pub fn redraw(&mut self, workflows: &[Workflow]) {
        self.show_logs();
        if let Kind::Live(live) = &mut self.kind {
            live.draw(workflows);
        }
    }

    fn show_logs(&mut self) {
        let lines = self.tails.as_mut().map(Tails::take).unwrap_or_default();
        self.show_lines(lines);
    }

    fn show_lines(&mut self, lines: Vec<String>) {
        if let Kind::Live(live) = &mut self.kind {
            lines.into_iter().for_each(|line| live.log(line));
            return;
        }
        let mut text = String::new();
        for line in lines {
            text += &if self.target.terminal { terminal::colored(&line) } else { line.as_str().into() };
            text.push('\n');
        }
        if !text.is_empty() {
            self.target.write(&text);
        }
    }

    /// Ends while the workflows go on: a live tree stays as it is.
    pub fn leave(&mut self) {
        if let Kind::Live(live) = &mut self.kind {
            live.leave();
        }
    }

    /// Shows what is left of the logs, where they are `awaited`, and clears a live tree.
    pub async fn finish(mut self, awaited: bool) {
        while awaited && let (Some(tails), Kind::Plain(_) | Kind::Silent) = (&mut self.tails, &self.kind) {
            let last = tails.last().await;
            if last.is_empty() {
                break;
            }
            self.show_lines(last);
        }
        if let Kind::Live(live) = &mut self.kind {
            live.clear();
        }
    }
}
