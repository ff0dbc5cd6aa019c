//! Tasks and containers that wait for what is not there, or for each other: each told where it is written, all of them at
//! once, and with the name that was meant. The validator names the first, at its template.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use argosy_engine::{depends, validate::Problem};
use serde_json::Value;

use super::locate;
use crate::{
    diagnostic::Diagnostic,
    load::{Document, Place},
    suggest::{self, closest},
};

/// What is meant by the problem, at its places; `None` where it is about something else, or nothing of it is in this file.
pub fn diagnostics(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let found = unsorted(document, spec_path, problem)
        .or_else(|| result(document, spec_path, problem))
        .or_else(|| target(document, spec_path, problem))
        .or_else(|| container(document, spec_path, problem))?;
    (!found.is_empty()).then_some(found)
}

/// A name that an item waits for, where it is written.
struct Wait {
    name: String,
    span: Range<usize>,
    /// Its path: `spec.templates[0].dag.tasks[1].depends`.
    path: String,
}

/// A task or container with what it waits for.
struct Item<'a> {
    /// Its path: `spec.templates[0].dag.tasks[1]`.
    path: String,
    name: &'a str,
    value: &'a Value,
    place: &'a Place,
}

impl Item<'_> {
    fn field(&self, key: &str) -> Option<(&Value, &Place, String)> {
        Some((self.value.get(key)?, self.place.member(key)?, format!("{}.{key}", self.path)))
    }

    /// What it waits for, each where it is written.
    fn waits(&self, document: &Document) -> Vec<Wait> {
        if let Some((Value::String(text), place, path)) = self.field("depends")
            && !text.is_empty()
        {
            let mut seen = BTreeSet::new();
            let names = depends::mentions(text).map(|(name, _)| name).filter(|name| seen.insert(*name));
            let wait =
                |name: &str| Wait { name: name.to_owned(), span: word(document, place, name), path: path.clone() };
            return names.map(wait).collect();
        }
        let Some((Value::Array(names), place, path)) = self.field("dependencies") else { return Vec::new() };
        let each = |(index, name): (usize, &Value)| {
            let span = place.item(index).map_or(place.value.clone(), |item| item.value.clone());
            Some(Wait { name: name.as_str()?.to_owned(), span, path: format!("{path}[{index}]") })
        };
        names.iter().enumerate().filter_map(each).collect()
    }

    fn name_place(&self) -> Range<usize> {
        self.place.member("name").unwrap_or(self.place).value.clone()
    }
}

/// The items of a list of the template that `words` lead to.
fn items<'a>(document: &'a Document, spec_path: &str, words: &str) -> Vec<Item<'a>> {
    let last = words.rsplit('.').next().unwrap_or_default();
    let list = locate::find(document, spec_path, words);
    let Some(values) = list.value.as_array().filter(|_| list.path.ends_with(last)) else { return Vec::new() };
    let item = |(index, value): (usize, &'a Value)| {
        let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
        Some(Item { path: format!("{}[{index}]", list.path), name, value, place: list.place.item(index)? })
    };
    values.iter().enumerate().filter_map(item).collect()
}

/// Where `name` stands as a word in the text at `place`; the whole text where it is written in another way.
fn word(document: &Document, place: &Place, name: &str) -> Range<usize> {
    let text = document.source.text.get(place.value.clone()).unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let found = text
        .match_indices(name)
        .find(|(at, _)| !text[..*at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part));
    found.map_or(place.value.clone(), |(at, _)| place.value.start + at..place.value.start + at + name.len())
}

/// The tasks of a DAG that cannot be put in order: names that are there twice, names of no task, or a circle.
fn unsorted(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let before = problem.message.split_once(" sorting failed: ")?.0;
    let template = before.rsplit(' ').next().unwrap_or_default();
    let tasks = items(document, spec_path, &format!("{template}.dag.tasks"));
    let mut found = twice(document, template, &tasks);
    let known: BTreeSet<&str> = tasks.iter().map(|task| task.name).collect();
    for task in &tasks {
        let others = || tasks.iter().map(|other| other.name).filter(|other| *other != task.name);
        for Wait { name, span, path } in task.waits(document) {
            if !known.contains(name.as_str()) {
                let message = format!("{template} sorting failed: invalid dependency {name}");
                found.push(told(document, span, path, message, meant(&name, others, "task")));
            }
        }
    }
    if found.is_empty() {
        found.extend(circle(document, template, &tasks));
    }
    Some(found)
}

fn twice(document: &Document, template: &str, tasks: &[Item<'_>]) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    let again = tasks.iter().filter(|task| !task.name.is_empty() && !seen.insert(task.name));
    let each = |task: &Item<'_>| {
        let message = format!("{template} sorting failed: duplicated nodeName {}", task.name);
        let help = "give one of the two another name".to_owned();
        told(document, task.name_place(), format!("{}.name", task.path), message, help)
    };
    again.map(each).collect()
}

/// The first circle of tasks that wait for each other, where its last task waits for its first.
fn circle(document: &Document, template: &str, tasks: &[Item<'_>]) -> Option<Diagnostic> {
    let waits: BTreeMap<&str, Vec<Wait>> = tasks.iter().map(|task| (task.name, task.waits(document))).collect();
    let mut done = BTreeSet::new();
    for start in tasks {
        // The way to the task that is looked at, with how many of what each waits for have been looked at.
        let mut way: Vec<(&str, usize)> = vec![(start.name, 0)];
        while let Some((name, next)) = way.last_mut() {
            let (name, index) = (*name, *next);
            *next += 1;
            let Some(wait) = waits.get(name).and_then(|waits| waits.get(index)) else {
                done.insert(name);
                way.pop();
                continue;
            };
            let Some(other) = waits.get_key_value(wait.name.as_str()).map(|(other, _)| *other) else { continue };
            if let Some(at) = way.iter().position(|(before, _)| *before == other) {
                let circle: Vec<_> = way[at..].iter().map(|(name, _)| *name).chain([other]).collect();
                let message = format!(
                    "{template} sorting failed: graph with cycle: {} (each waits for the next)",
                    circle.join(" → ")
                );
                let help = "remove one of the dependencies that close the circle".to_owned();
                return Some(told(document, wait.span.clone(), wait.path.clone(), message, help));
            }
            if !done.contains(other) {
                way.push((other, 0));
            }
        }
    }
    None
}

/// A result in `depends` that no task can have: `a.Suceeded`.
fn result(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let rest = problem.message.split_once("task result '")?.1;
    let (result, rest) = rest.split_once("' for task '")?;
    let task = rest.strip_suffix("' is invalid")?;
    let words = problem.path.rsplit(' ').next().unwrap_or_default();
    let found = locate::find(document, spec_path, &format!("{words}.depends"));
    if !found.path.ends_with("depends") {
        return None;
    }
    let help = match closest(result, depends::results()) {
        Some(best) => suggest::question(&format!("{task}.{best}")),
        None => format!("results are {}", depends::results().collect::<Vec<_>>().join(", ")),
    };
    let span = word(document, found.place, &format!("{task}.{result}"));
    Some(vec![told(document, span, found.path, problem.message.clone(), help)])
}

/// A target of a DAG that is no task of it.
fn target(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let (before, rest) = problem.message.split_once(".targets: target '")?;
    let name = rest.strip_suffix("' is not defined")?;
    let template = before.rsplit(' ').next().unwrap_or_default();
    let found = locate::find(document, spec_path, &format!("{template}.dag.target"));
    if !found.path.ends_with("target") {
        return None;
    }
    let tasks = items(document, spec_path, &format!("{template}.dag.tasks"));
    let help = meant(name, || tasks.iter().map(|task| task.name), "task");
    Some(vec![told(document, word(document, found.place, name), found.path, problem.message.clone(), help)])
}

/// A container of a set that waits for one that is not in it.
fn container(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let (before, rest) = problem.message.split_once(" dependency '")?;
    let name = rest.strip_suffix("' not defined")?;
    let (list, own) = before.rsplit(' ').next().unwrap_or_default().rsplit_once('.')?;
    let all = items(document, spec_path, list);
    let waiting = all.iter().filter(|item| item.name == own);
    let places = waiting.flat_map(|item| item.waits(document)).filter(|wait| wait.name == name);
    let others = || all.iter().map(|item| item.name).filter(|other| *other != own);
    let each = |wait: Wait| {
        let help = meant(name, others, "container");
        told(document, wait.span, wait.path, problem.message.clone(), help)
    };
    Some(places.map(each).collect())
}

/// The one of `names` that was meant by `name`, or all of them.
fn meant<'a, N: Iterator<Item = &'a str>>(name: &str, names: impl Fn() -> N, kind: &str) -> String {
    if let Some(best) = closest(name, names()) {
        return suggest::question(best);
    }
    let known: Vec<_> = names().filter(|name| !name.is_empty()).collect();
    if known.is_empty() { format!("there is no other {kind}") } else { format!("known here: {}", known.join(", ")) }
}

fn told(document: &Document, span: Range<usize>, path: String, message: String, help: String) -> Diagnostic {
    Diagnostic { span: Some(span), path, help: Some(help), ..Diagnostic::of_source(&document.source, message) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        check::{self, Library, Purpose, Rules},
        load::{self, Source},
    };

    fn said(templates: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: w}}\nspec:\n  entrypoint: m\n  templates:\n  - {{name: e, suspend: {{}}}}\n{templates}"
        );
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        load::text(&Arc::new(Source::new("f", text)), &mut documents, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let rules = Rules { library: &Library::default(), purpose: Purpose::Lint, strict: true, silenced: None };
        check::documents(&mut documents, rules, &mut |_| Ok(())).iter().map(Diagnostic::line).collect()
    }

    #[track_caller]
    fn tells(templates: &str, lines: &[(&str, &str)]) {
        let found = said(templates);
        assert_eq!(found.len(), lines.len(), "{found:#?}");
        for (told, (start, end)) in found.iter().zip(lines) {
            assert!(told.starts_with(start) && told.ends_with(end), "{start:?} {end:?} is not {told}");
        }
    }

    #[test]
    fn each_name_of_no_task_is_told_at_its_place_with_what_was_meant() {
        let tasks = "  - name: m
    dag:
      tasks:
      - {name: build, template: e}
      - {name: lint, template: e, dependencies: [biuld]}
      - {name: test, template: e, dependencies: [build, lnit]}
      - {name: ship, template: e, dependencies: [nowhere]}
";
        tells(
            tasks,
            &[
                (
                    "f:12:50: spec.templates[1].dag.tasks[1].dependencies[0]: ",
                    "dependency biuld (did you mean `build`?)",
                ),
                ("f:13:57: spec.templates[1].dag.tasks[2].dependencies[1]: ", "dependency lnit (did you mean `lint`?)"),
                ("f:14:50: spec.templates[1].dag.tasks[3].dependencies[0]: ", "(known here: build, lint, test)"),
            ],
        );
        let tasks = "  - name: m
    dag:
      tasks:
      - {name: build, template: e}
      - {name: test, template: e, depends: 'build && (biuld.Failed || tset-2)'}
      - {name: test-2, template: e, depends: build.Suceeded}
";
        tells(
            tasks,
            &[
                ("f:12:55: spec.templates[1].dag.tasks[1].depends: ", "dependency biuld (did you mean `build`?)"),
                ("f:12:71: spec.templates[1].dag.tasks[1].depends: ", "dependency tset-2 (did you mean `test-2`?)"),
                ("f:13:46: spec.templates[1].dag.tasks[2].depends: ", "is invalid (did you mean `build.Succeeded`?)"),
            ],
        );
    }

    #[test]
    fn circles_and_names_that_are_there_twice_are_told_where_they_are() {
        let tasks = "  - name: m
    dag:
      tasks:
      - {name: a, template: e}
      - {name: b, template: e, depends: a && d}
      - {name: c, template: e, depends: b}
      - {name: d, template: e, depends: c}
";
        tells(
            tasks,
            &[(
                "f:13:41: spec.templates[1].dag.tasks[2].depends: ",
                "b → d → c → b (each waits for the next) (remove one of the dependencies that close the circle)",
            )],
        );
        let tasks = "  - name: m
    dag:
      target: b c
      tasks:
      - {name: a, template: e}
      - {name: a, template: e}
      - {name: b, template: e, depends: x}
";
        let found = said(tasks);
        assert!(
            found.iter().any(|line| line.starts_with("f:13:16: spec.templates[1].dag.tasks[1].name: ")),
            "{found:#?}"
        );
        assert!(found.iter().any(|line| line.starts_with("f:14:41: ")), "{found:#?}");
        assert!(found.iter().any(|line| line.starts_with("f:10:17: spec.templates[1].dag.target: ")), "{found:#?}");
    }

    #[test]
    fn containers_are_told_likewise() {
        let set = "  - name: m
    containerSet:
      containers:
      - {name: main, image: a, command: [b]}
      - {name: other, image: a, command: [b], dependencies: [mian]}
";
        tells(
            set,
            &[("f:12:62: spec.templates[1].containerSet.containers[1].dependencies[0]: ", "(did you mean `main`?)")],
        );
    }
}
