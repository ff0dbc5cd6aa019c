//! The tree of a running workflow, drawn again in its place whenever it changed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use argosy_api::v1alpha1::{NodePhase, Workflow};
use jiff::Timestamp;

use super::target::Target;
use crate::{
    render::{
        Style, Width, elapsed, human, state,
        table::cut,
        tree::{Filter, tree},
    },
    terminal,
};

/// Lines of logs below the tree.
const LOG_LINES: usize = 5;
/// Hints that are shown of what waits for a person; of many steps one tells how it is done.
const HINTS_MAX: usize = 2;
/// Running durations move on even when nothing else does.
const CLOCK: Duration = Duration::from_secs(1);

/// The drawing.
pub struct Live {
    target: Target,
    filter: Filter,
    drawn: Vec<String>,
    logs: VecDeque<String>,
    notice: Option<String>,
    /// What waits for a person.
    hints: Vec<String>,
    dirty: bool,
    last: Instant,
}

impl Live {
    pub fn new(target: Target, filter: Filter) -> Self {
        Self {
            target,
            filter,
            drawn: Vec::new(),
            logs: VecDeque::new(),
            notice: None,
            hints: Vec::new(),
            dirty: true,
            last: Instant::now(),
        }
    }

    pub fn changed(&mut self) {
        self.dirty = true;
    }

    pub fn notice(&mut self, text: &str) {
        self.notice = Some(text.to_owned());
        // The terminal has written the keys of an interrupt behind the drawing: all of it is drawn again.
        self.drawn.iter_mut().for_each(String::clear);
        self.dirty = true;
    }

    pub fn hint(&mut self, hints: Vec<String>) {
        self.hints = hints;
        self.dirty = true;
    }

    pub fn log(&mut self, line: String) {
        if self.logs.len() == LOG_LINES {
            self.logs.pop_front();
        }
        self.logs.push_back(tame(&line));
        self.dirty = true;
    }

    pub fn draw(&mut self, workflows: &[Workflow]) {
        if !self.dirty && self.last.elapsed() < CLOCK {
            return;
        }
        (self.dirty, self.last) = (false, Instant::now());
        let (columns, rows) =
            terminal_size::terminal_size().map_or((80, 24), |(w, h)| (usize::from(w.0), usize::from(h.0)));
        let lines = self.lines(workflows, columns, rows.saturating_sub(1).max(3));
        if lines == self.drawn {
            return;
        }
        self.target.write(&redrawn(&self.drawn, &lines));
        self.drawn = lines;
    }

    pub fn clear(&mut self) {
        if !self.drawn.is_empty() {
            self.target.write(&cleared(self.drawn.len()));
            self.drawn.clear();
        }
    }

    /// Leaves the drawing as it is, without what the terminal wrote behind it.
    pub fn leave(&mut self) {
        self.target.write("\r\u{1b}[J");
        self.drawn.clear();
    }

    fn lines(&self, workflows: &[Workflow], columns: usize, rows: usize) -> Vec<String> {
        let style = Style { color: self.target.color, width: Width::Narrow, ..Style::default() };
        let now = Timestamp::now();
        let mut lines = Vec::new();
        for workflow in workflows {
            let status = &workflow.status;
            let mut head = format!("{}  {}", terminal::line(&workflow.metadata.name), state(workflow, style));
            if let Some(seconds) = elapsed(status.started_at, status.finished_at, now) {
                head.push_str(&format!("  {}", human::short(seconds)));
            }
            if !status.progress.is_empty() {
                head.push_str(&format!("  {}", terminal::line(&status.progress)));
            }
            lines.push(head);
            lines.extend(tree(workflow, &self.filter, style, now).lines().skip(1).map(str::to_owned));
        }
        let mut logs: Vec<_> = self.logs.iter().map(|line| format!("│ {line}")).collect();
        let hints = self.hints.iter().take(HINTS_MAX).flat_map(|hint| hint.lines());
        logs.extend(hints.map(str::to_owned));
        logs.extend(self.notice.clone());
        fit(lines, logs, rows, waiting(workflows)).iter().map(|line| cut(line, columns)).collect()
    }
}

/// What puts `lines` in the place of `drawn`, whatever the terminal wrote behind it: `^C` for the keys of an interrupt.
fn redrawn(drawn: &[String], lines: &[String]) -> String {
    let mut text = "\r".to_owned();
    if !drawn.is_empty() {
        text.push_str(&format!("\u{1b}[{}A", drawn.len()));
    }
    for (index, line) in lines.iter().enumerate() {
        // An unchanged line is stepped over.
        if drawn.get(index) == Some(line) {
            text.push('\n');
        } else {
            text.push_str(&format!("\u{1b}[2K{line}\r\n"));
        }
    }
    text + "\u{1b}[J"
}

/// What takes `count` lines away, whatever the terminal wrote behind them.
fn cleared(count: usize) -> String {
    format!("\r\u{1b}[{count}A\u{1b}[J")
}

/// What waits for somebody, so that the user knows why nothing moves.
fn waiting(workflows: &[Workflow]) -> usize {
    let nodes = workflows.iter().flat_map(|workflow| workflow.status.nodes.values());
    nodes.filter(|node| matches!(node.phase, NodePhase::Pending | NodePhase::Unknown)).count()
}

/// At most `rows` lines: the head, then the end of the tree, then the logs.
fn fit(mut lines: Vec<String>, mut logs: Vec<String>, rows: usize, pending: usize) -> Vec<String> {
    let room = rows.saturating_sub(logs.len());
    if lines.len() > room {
        if room < 4 {
            logs.clear();
        }
        let keep = rows.saturating_sub(logs.len() + 2).max(1);
        let hidden = lines.len().saturating_sub(keep + 1);
        let tail = lines.split_off(lines.len() - keep.min(lines.len() - 1));
        lines.truncate(1);
        lines.push(format!("  … {hidden} more above, {pending} pending"));
        lines.extend(tail);
    }
    lines.extend(logs);
    lines
}

/// A line that moves no cursor: without escape sequences and control characters.
fn tame(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                // A control sequence ends with its letter.
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            '\t' => text.push(' '),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that a terminal shows, which has `^C` behind its last line.
    fn shown_after(text: &str, before: &[&str]) -> Vec<String> {
        let mut screen: Vec<Vec<char>> = before.iter().map(|line| line.chars().collect()).collect();
        screen.push("^C".chars().collect());
        let (mut row, mut column, mut chars) = (before.len(), 2, text.chars().peekable());
        while let Some(c) = chars.next() {
            match c {
                '\r' => column = 0,
                '\n' => (row, column) = (row + 1, 0),
                '\u{1b}' => {
                    let code: String = std::iter::from_fn(|| chars.next_if(|c| !c.is_alphabetic())).collect();
                    match (chars.next(), code.trim_start_matches('[').parse::<usize>()) {
                        (Some('A'), Ok(up)) => row -= up,
                        (Some('K'), Ok(2)) => screen[row].clear(),
                        (Some('J'), Err(_)) => {
                            screen.truncate(row + 1);
                            screen[row].truncate(column);
                        }
                        other => panic!("{other:?}"),
                    }
                }
                c => {
                    let line = &mut screen[row];
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = c;
                    column += 1;
                }
            }
            screen.resize(screen.len().max(row + 1), Vec::new());
        }
        screen.into_iter().map(|line| line.into_iter().collect()).collect()
    }

    #[test]
    fn nothing_that_the_terminal_wrote_for_an_interrupt_stays() {
        let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(shown_after(&cleared(3), &["abcdef", "b", "c"]), [""]);
        assert_eq!(
            shown_after(&redrawn(&own(&["a", "b", "c"]), &own(&["a", "x", "c", "said"])), &["a", "b", "c"]),
            ["a", "x", "c", "said", ""]
        );
        assert_eq!(shown_after(&redrawn(&own(&["a", "b", "c"]), &own(&["a"])), &["a", "b", "c"]), ["a", ""]);
    }

    #[test]
    fn control_characters_are_left_out() {
        assert_eq!(tame("a\u{1b}[2J\u{1b}[31mb\tc\rd\u{8}"), "ab cd");
    }

    #[test]
    fn a_tall_tree_keeps_head_end_and_logs() {
        let tree: Vec<_> = (0..50).map(|n| format!("n{n}")).collect();
        let shown = fit(tree, vec!["log".into()], 10, 3);
        assert_eq!(shown.len(), 10);
        assert_eq!((shown[0].as_str(), shown[8].as_str(), shown[9].as_str()), ("n0", "n49", "log"));
        assert!(shown[1].contains("42 more above, 3 pending"), "{}", shown[1]);
    }
}
