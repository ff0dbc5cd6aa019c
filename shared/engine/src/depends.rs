//! `depends` and `dependencies` of DAG tasks: which tasks are waited for, and the condition on their results.
//!
//! `depends` holds task names, optionally with `.Result`, joined by `&&`, `||`, `!` and parentheses. A bare name
//! stands for `(name.Succeeded || name.Skipped || name.Daemoned)`, widened by what the task's `continueOn` tolerates;
//! `dependencies: [a, b]` stands for `a && b`. Source: Argo docs/enhanced-depends-logic.md, `workflow/common/ancestry.go`.
//! Differs: evaluated by a parser of its own, not by the expression language, as no other operand can occur.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

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

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, outcome)| *outcome == self).map_or("", |(word, _)| word)
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

/// A set of outcomes, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcomes(u8);

impl Outcomes {
    fn contains(self, outcome: Outcome) -> bool {
        self.0 & (1 << outcome as u8) != 0
    }

    fn any_of(self, result: TaskResult) -> bool {
        Outcome::ALL.iter().any(|(_, outcome)| self.contains(*outcome) && outcome.of(result))
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        Self(outcomes.into_iter().fold(0, |bits, outcome| bits | 1 << outcome as u8))
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

/// A condition on the results of tasks. `All` of none holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Index into [`Depends::names`], and the outcomes of which one must hold.
    Task(u32, Outcomes),
    /// Each of the first so many tasks has one of the outcomes.
    Each(u32, Outcomes),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
}

/// A task's dependencies, compiled once.
#[derive(Clone, Debug, PartialEq)]
pub struct Depends<'a> {
    /// The tasks waited for, each once, in order of appearance.
    pub names: Vec<Cow<'a, str>>,
    /// The condition written out, bare names expanded. Empty when there are no dependencies.
    pub logic: String,
    /// Names followed by `AnySucceeded` or `AllFailed`, which only loops have.
    about_items: Vec<usize>,
    /// What must hold of the results; always, where there are no dependencies.
    pub condition: Condition,
}

impl<'a> Depends<'a> {
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
            return Ok(Self {
                names: Vec::new(),
                logic: String::new(),
                about_items: Vec::new(),
                condition: Condition(Node::All(Vec::new())),
            });
        }
        let node = parser.any()?;
        if parser.at < logic.len() {
            return Err(parser.fail("an operator"));
        }
        parser.logic.push_str(&logic[parser.copied..]);
        let Parser { names, logic, about_items, .. } = parser;
        let names = names.into_iter().map(Cow::Owned).collect();
        Ok(Self { names, logic, about_items, condition: Condition(node) })
    }

    /// The same, for any task: a plain list of `dependencies` need not be parsed or copied, however long it is. The
    /// condition is not written out then.
    ///
    /// Errors: as [`Depends::of`].
    pub fn of_task(task: &'a DAGTask, tolerated: &dyn Fn(&str) -> (bool, bool)) -> Result<Self, Error> {
        let is_plain = |name: &String| !name.is_empty() && name.chars().all(is_word);
        if !task.depends.is_empty() || task.dependencies.is_empty() || !task.dependencies.iter().all(is_plain) {
            return Self::compile(&raw_logic(task), tolerated);
        }
        let mut seen = HashSet::new();
        let is_first = |name: &&'a String| task.dependencies.len() == 1 || seen.insert(*name);
        let names: Vec<Cow<'a, str>> = task.dependencies.iter().filter(is_first).map(Cow::from).collect();
        let outcomes = |name: &Cow<'_, str>| -> Outcomes { bare(tolerated(name)).collect() };
        let first = outcomes(&names[0]);
        let condition = match u32::try_from(names.len()) {
            Ok(count) if names.iter().all(|name| outcomes(name) == first) => Node::Each(count, first),
            _ => all_of((0..).zip(&names).map(|(index, name)| Node::Task(index, outcomes(name))).collect()),
        };
        let condition = Condition(condition);
        Ok(Self { names, logic: String::new(), about_items: Vec::new(), condition })
    }

    /// Names of tasks whose items the condition speaks about.
    pub fn about_items(&self) -> impl Iterator<Item = &str> {
        self.about_items.iter().map(|i| self.names[*i].as_ref())
    }

    /// Whether the task may run, given the results of its dependencies, by their index in `names`. True without
    /// dependencies.
    pub fn evaluate(&self, result: &dyn Fn(usize) -> TaskResult) -> bool {
        self.condition.holds(result)
    }
}

impl Condition {
    /// As [`Depends::evaluate`].
    pub fn holds(&self, result: &dyn Fn(usize) -> TaskResult) -> bool {
        self.0.holds(result)
    }
}

impl Node {
    fn holds(&self, result: &dyn Fn(usize) -> TaskResult) -> bool {
        match self {
            Self::Task(index, outcomes) => outcomes.any_of(result(*index as usize)),
            Self::Each(count, outcomes) => (0..*count as usize).all(|index| outcomes.any_of(result(index))),
            Self::Not(inner) => !inner.holds(result),
            Self::All(parts) => parts.iter().all(|part| part.holds(result)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(result)),
        }
    }
}

/// All of the parts; the part itself where there is but one.
fn all_of(mut parts: Vec<Node>) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            Node::All(parts)
        }
    }
}

/// What a name without a result stands for, given the (error, failed) of the task's `continueOn`.
fn bare((error, failed): (bool, bool)) -> impl Iterator<Item = Outcome> {
    let always = [Outcome::Succeeded, Outcome::Skipped, Outcome::Daemoned];
    always.into_iter().chain(error.then_some(Outcome::Errored)).chain(failed.then_some(Outcome::Failed))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// What of a text looks like a task's name, with the result that follows it, in the order in which it comes; as Argo finds it,
/// whatever else the text is. Source: Argo `workflow/common/ancestry.go`, its patterns of names and results.
pub fn mentions(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(|c: char| c.is_ascii_alphanumeric())?..];
        let (name, after) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
        rest = after;
        let result = after.strip_prefix('.').filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()));
        let result = result.map(|word| &word[..word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len())]);
        let result = result.filter(|word| word.len() > 1);
        rest = &after[result.map_or(0, |word| 1 + word.len())..];
        Some((name, result))
    })
}

/// The results that may follow a task's name.
pub fn results() -> impl Iterator<Item = &'static str> {
    Outcome::ALL.into_iter().map(|(name, _)| name)
}

/// The tasks that a task waits for, each once, found without reading the condition.
pub fn names(task: &DAGTask) -> Vec<&str> {
    let mut seen = HashSet::new();
    if task.depends.is_empty() {
        return task.dependencies.iter().map(String::as_str).filter(|name| seen.insert(*name)).collect();
    }
    mentions(&task.depends).map(|(name, _)| name).filter(|name| seen.insert(*name)).collect()
}

/// The tasks of whose items a condition speaks, found in the same way.
pub fn of_whose_items(depends: &str) -> Vec<&str> {
    let is_about_items = |result: &str| Outcome::named(result).is_some_and(Outcome::is_about_items);
    let mut seen = HashSet::new();
    let found = mentions(depends).filter(|(_, result)| result.is_some_and(is_about_items)).map(|(name, _)| name);
    found.filter(|name| seen.insert(*name)).collect()
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
        Some(task) => Depends::of(task, tasks).map(|d| d.names.into_iter().map(Cow::into_owned).collect()),
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
        Ok(all_of(parts))
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
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.at += end;
        &self.text[start..self.at]
    }

    fn operand(&mut self) -> Result<Node, Error> {
        let start = self.at;
        let name = self.word().to_owned();
        if name.is_empty() {
            return Err(self.fail("a task name"));
        }
        let mut is_about_items = false;
        let outcomes = if self.text[self.at..].starts_with('.') {
            self.at += 1;
            let word = self.word().to_owned();
            let outcome = Outcome::named(&word);
            let outcome = outcome.ok_or(Error::UnknownResult { task: name.clone(), result: word })?;
            is_about_items = outcome.is_about_items();
            Outcomes::from_iter([outcome])
        } else {
            let outcomes: Vec<Outcome> = bare((self.tolerated)(&name)).collect();
            let written: Vec<_> = outcomes.iter().map(|outcome| format!("{name}.{}", outcome.word())).collect();
            self.logic.push_str(&self.text[self.copied..start]);
            self.logic.push_str(&format!("({})", written.join(" || ")));
            self.copied = self.at;
            outcomes.into_iter().collect()
        };
        let index = *self.index.entry(name.clone()).or_insert_with(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        if is_about_items && !self.about_items.contains(&index) {
            self.about_items.push(index);
        }
        self.spaces();
        // Each takes at least two bytes of the text.
        Ok(Node::Task(u32::try_from(index).map_err(|_| self.fail("fewer tasks"))?, outcomes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(logic: &str) -> Result<Depends<'static>, Error> {
        Depends::compile(logic, &|_| (false, false))
    }

    #[test]
    fn operators_bind_as_in_go() {
        let depends = compiled("a.Failed || b.Failed && !c.Failed").expect("valid");
        let holds = |failed: &[&str]| {
            let failed = |i: usize| failed.contains(&depends.names[i].as_ref());
            depends.evaluate(&|i| TaskResult { failed: failed(i), ..TaskResult::default() })
        };
        assert!(holds(&["b"]));
        assert!(!holds(&["b", "c"]));
        assert!(holds(&["a", "c"]));
        assert!(!holds(&[]));
    }

    #[test]
    fn an_omitted_dependency_does_not_satisfy_a_bare_name() {
        let depends = compiled("a").expect("valid");
        let with = |result| depends.evaluate(&move |_| result);
        assert!(!with(TaskResult { omitted: true, ..TaskResult::default() }));
        assert!(with(TaskResult { skipped: true, ..TaskResult::default() }));
    }

    #[test]
    fn a_list_means_what_it_means_when_parsed() {
        let task = DAGTask { dependencies: ["a", "b-1", "a"].map(str::to_owned).into(), ..DAGTask::default() };
        let tolerated = |name: &str| (false, name == "a");
        let (list, parsed) = (Depends::of_task(&task, &tolerated), Depends::compile(&raw_logic(&task), &tolerated));
        let (list, parsed) = (list.expect("valid"), parsed.expect("valid"));
        assert_eq!(list.names, parsed.names);
        for (a, b) in [(true, true), (true, false), (false, true)] {
            let result = |i: usize| TaskResult { failed: i == 0 && a, succeeded: i == 1 && b, ..TaskResult::default() };
            assert_eq!(list.evaluate(&result), parsed.evaluate(&result), "{a} {b}");
        }
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
