//! `depends` and `dependencies` of DAG tasks: which tasks are waited for, and the condition on their results.
//!
//! `depends` holds task names, optionally with `.Result`, joined by `&&`, `||`, `!` and parentheses. A bare name
//! stands for `(name.Succeeded || name.Skipped || name.Daemoned)`, widened by what the task's `continueOn` tolerates;
//! `dependencies: [a, b]` stands for `a && b`. Source: Argo docs/enhanced-depends-logic.md, `workflow/common/ancestry.go`.
//! Differs: evaluated by a parser of its own, not by the expression language, as no other operand can occur.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::DAGTask;

/// The outcomes a task has at the moment its dependents are decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskResult {
    pub succeeded: bool,
    pub failed: bool,
    pub errored: bool,
    pub skipped: bool,
    pub omitted: bool,
    pub daemoned: bool,
    /// At least one item of the task's loop succeeded.
    pub any_succeeded: bool,
    /// Every item of the task's loop failed, and there is at least one.
    pub all_failed: bool,
}

/// One of the words that may follow a task's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Succeeded,
    Failed,
    Errored,
    Skipped,
    Omitted,
    Daemoned,
    AnySucceeded,
    AllFailed,
}

impl Outcome {
    const ALL: [(&'static str, Self); 8] = [
        ("Succeeded", Self::Succeeded),
        ("Failed", Self::Failed),
        ("Errored", Self::Errored),
        ("Skipped", Self::Skipped),
        ("Omitted", Self::Omitted),
        ("Daemoned", Self::Daemoned),
        ("AnySucceeded", Self::AnySucceeded),
        ("AllFailed", Self::AllFailed),
    ];

    fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, outcome)| *outcome)
    }

    fn of(self, result: TaskResult) -> bool {
        match self {
            Self::Succeeded => result.succeeded,
            Self::Failed => result.failed,
            Self::Errored => result.errored,
            Self::Skipped => result.skipped,
            Self::Omitted => result.omitted,
            Self::Daemoned => result.daemoned,
            Self::AnySucceeded => result.any_succeeded,
            Self::AllFailed => result.all_failed,
        }
    }

    /// Speaks of the items of a loop, not of the task as a whole.
    fn is_about_items(self) -> bool {
        matches!(self, Self::AnySucceeded | Self::AllFailed)
    }
}

/// Why a `depends` cannot be used; all are the user's mistakes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("task result '{result}' for task '{task}' is invalid")]
    UnknownResult { task: String, result: String },
    /// Nested deeper than 100 levels, an operand or an operator missing, or a stray character.
    #[error("invalid depends logic at byte {at}: {expected}")]
    Syntax { at: usize, expected: &'static str },
}

/// Parentheses and negations inside each other; more is taken for an attack on the stack.
const DEPTH_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Index into [`Depends::names`], and the outcomes of which one must hold.
    Task(usize, Vec<Outcome>),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// A task's dependencies, compiled once.
#[derive(Clone, Debug, PartialEq)]
pub struct Depends {
    /// The tasks waited for, each once, in order of appearance.
    pub names: Vec<String>,
    /// The condition written out, bare names expanded. Empty when there are no dependencies.
    pub logic: String,
    /// Names followed by `AnySucceeded` or `AllFailed`, which only loops have.
    about_items: Vec<usize>,
    node: Option<Node>,
}

impl Depends {
    /// Compiles the dependencies of `task`; `tasks` are all tasks of the DAG, for their `continueOn`.
    ///
    /// Errors: [`Error::UnknownResult`], [`Error::Syntax`]. That each name is a task of the DAG is not checked here.
    pub fn of(task: &DAGTask, tasks: &[DAGTask]) -> Result<Self, Error> {
        let tolerated = |name: &str| {
            let found = tasks.iter().find(|t| t.name == name).and_then(|t| t.continue_on.as_ref());
            found.map_or((false, false), |c| (c.error, c.failed))
        };
        Self::compile(&raw_logic(task), &tolerated)
    }

    /// As [`Depends::of`], but `tolerated` tells (error, failed) of each task's `continueOn`, so that compiling a DAG
    /// of n tasks need not search n times through n.
    pub fn compile(logic: &str, tolerated: &dyn Fn(&str) -> (bool, bool)) -> Result<Self, Error> {
        let mut parser = Parser {
            text: logic,
            at: 0,
            depth: 0,
            tolerated,
            names: Vec::new(),
            index: BTreeMap::new(),
            about_items: Vec::new(),
            logic: String::new(),
            copied: 0,
        };
        parser.spaces();
        if parser.at == logic.len() {
            return Ok(Self { names: Vec::new(), logic: String::new(), about_items: Vec::new(), node: None });
        }
        let node = parser.any()?;
        if parser.at < logic.len() {
            return Err(parser.fail("an operator"));
        }
        parser.logic.push_str(&logic[parser.copied..]);
        Ok(Self { names: parser.names, logic: parser.logic, about_items: parser.about_items, node: Some(node) })
    }

    /// Names of tasks whose items the condition speaks about.
    pub fn about_items(&self) -> impl Iterator<Item = &str> {
        self.about_items.iter().map(|i| self.names[*i].as_str())
    }

    /// Whether the task may run, given the results of its dependencies. True without dependencies.
    ///
    /// Errors: none at present; kept for callers, as an operand without a result may become one.
    pub fn evaluate(&self, result: &dyn Fn(&str) -> TaskResult) -> Result<bool, Error> {
        Ok(self.node.as_ref().is_none_or(|node| self.holds(node, result)))
    }

    fn holds(&self, node: &Node, result: &dyn Fn(&str) -> TaskResult) -> bool {
        match node {
            Node::Task(index, outcomes) => {
                let result = result(&self.names[*index]);
                outcomes.iter().any(|outcome| outcome.of(result))
            }
            Node::Not(inner) => !self.holds(inner, result),
            Node::All(parts) => parts.iter().all(|part| self.holds(part, result)),
            Node::Any(parts) => parts.iter().any(|part| self.holds(part, result)),
        }
    }
}

/// What the user wrote: `depends`, or `dependencies` joined by `&&`.
pub fn raw_logic(task: &DAGTask) -> String {
    if task.depends.is_empty() { task.dependencies.join(" && ") } else { task.depends.clone() }
}

/// All tasks that must have been decided before `task`, nearest last: each comes after its own ancestors.
///
/// Errors: those of [`Depends::of`] of any task on the way. A cycle ends where it closes.
pub fn ancestry(task: &str, tasks: &[DAGTask]) -> Result<Vec<String>, Error> {
    let by_name: BTreeMap<&str, &DAGTask> = tasks.iter().map(|t| (t.name.as_str(), t)).collect();
    let direct = |name: &str| match by_name.get(name) {
        Some(task) => Depends::of(task, tasks).map(|d| d.names),
        None => Ok(Vec::new()),
    };
    let mut ordered = Vec::new();
    let mut seen = std::collections::BTreeSet::from([task.to_owned()]);
    // An explicit stack: a chain of tasks may be long.
    let mut stack = vec![(task.to_owned(), direct(task)?.into_iter())];
    while let Some((_, rest)) = stack.last_mut() {
        match rest.next() {
            Some(name) if seen.insert(name.clone()) => {
                let next = direct(&name)?.into_iter();
                stack.push((name, next));
            }
            Some(_) => {}
            None => {
                let (name, _) = stack.pop().expect("the loop saw a last element");
                if !stack.is_empty() {
                    ordered.push(name);
                }
            }
        }
    }
    Ok(ordered)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    tolerated: &'a dyn Fn(&str) -> (bool, bool),
    names: Vec<String>,
    index: BTreeMap<String, usize>,
    about_items: Vec<usize>,
    /// The text with bare names expanded, up to `copied`.
    logic: String,
    copied: usize,
}

impl Parser<'_> {
    fn fail(&self, expected: &'static str) -> Error {
        Error::Syntax { at: self.at, expected }
    }

    fn spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
            self.spaces();
        }
        found
    }

    fn any(&mut self) -> Result<Node, Error> {
        let mut parts = vec![self.all()?];
        while self.eat("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Any(parts) })
    }

    fn all(&mut self) -> Result<Node, Error> {
        let mut parts = vec![self.unary()?];
        while self.eat("&&") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::All(parts) })
    }

    fn unary(&mut self) -> Result<Node, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fail("less nesting"));
        }
        let node = if self.eat("!") {
            Node::Not(Box::new(self.unary()?))
        } else if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return Err(self.fail("a closing parenthesis"));
            }
            inner
        } else {
            self.operand()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn word(&mut self) -> &str {
        let start = self.at;
        let rest = &self.text[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        self.at += end;
        &self.text[start..self.at]
    }

    fn operand(&mut self) -> Result<Node, Error> {
        let start = self.at;
        let name = self.word().to_owned();
        if name.is_empty() {
            return Err(self.fail("a task name"));
        }
        let outcomes = if self.text[self.at..].starts_with('.') {
            self.at += 1;
            let word = self.word().to_owned();
            let outcome = Outcome::named(&word);
            vec![outcome.ok_or(Error::UnknownResult { task: name.clone(), result: word })?]
        } else {
            let (error, failed) = (self.tolerated)(&name);
            let mut outcomes = vec![Outcome::Succeeded, Outcome::Skipped, Outcome::Daemoned];
            outcomes.extend(error.then_some(Outcome::Errored));
            outcomes.extend(failed.then_some(Outcome::Failed));
            let words = Outcome::ALL.iter().filter(|(_, o)| outcomes.contains(o));
            let mut words: Vec<_> = words.map(|(word, o)| (outcomes.iter().position(|p| p == o), word)).collect();
            words.sort();
            let written: Vec<_> = words.iter().map(|(_, word)| format!("{name}.{word}")).collect();
            self.logic.push_str(&self.text[self.copied..start]);
            self.logic.push_str(&format!("({})", written.join(" || ")));
            self.copied = self.at;
            outcomes
        };
        let index = *self.index.entry(name.clone()).or_insert_with(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        if outcomes[0].is_about_items() && !self.about_items.contains(&index) {
            self.about_items.push(index);
        }
        self.spaces();
        Ok(Node::Task(index, outcomes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(logic: &str) -> Result<Depends, Error> {
        Depends::compile(logic, &|_| (false, false))
    }

    #[test]
    fn operators_bind_as_in_go() {
        let depends = compiled("a.Failed || b.Failed && !c.Failed").expect("valid");
        let holds = |failed: &[&str]| {
            depends.evaluate(&|name| TaskResult { failed: failed.contains(&name), ..TaskResult::default() })
        };
        assert_eq!(holds(&["b"]), Ok(true));
        assert_eq!(holds(&["b", "c"]), Ok(false));
        assert_eq!(holds(&["a", "c"]), Ok(true));
        assert_eq!(holds(&[]), Ok(false));
    }

    #[test]
    fn an_omitted_dependency_does_not_satisfy_a_bare_name() {
        let depends = compiled("a").expect("valid");
        let with = |result| depends.evaluate(&move |_| result);
        assert_eq!(with(TaskResult { omitted: true, ..TaskResult::default() }), Ok(false));
        assert_eq!(with(TaskResult { skipped: true, ..TaskResult::default() }), Ok(true));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(compiled("a &&"), Err(Error::Syntax { at: 4, .. })));
        assert!(matches!(compiled("(a || b"), Err(Error::Syntax { .. })));
        assert!(matches!(compiled("a b"), Err(Error::Syntax { at: 2, expected: "an operator" })));
        assert!(matches!(compiled(&"(".repeat(100_000)), Err(Error::Syntax { expected: "less nesting", .. })));
        assert!(matches!(compiled("a.Nope"), Err(Error::UnknownResult { .. })));
    }
}
