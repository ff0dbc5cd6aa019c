//! What the validator finds, told at its places in the file.

use argosy_engine::validate::Problem;

use super::{dependencies, locate, references};
use crate::{diagnostic::Diagnostic, load::Document};

/// The validator's problem at its places in `document`, whose workflow spec is at `spec_path`.
pub fn diagnostics(document: &Document, spec_path: &str, problem: &Problem) -> Vec<Diagnostic> {
    references::diagnostics(document, spec_path, problem)
        .or_else(|| dependencies::diagnostics(document, spec_path, problem))
        .unwrap_or_else(|| vec![diagnostic(document, spec_path, problem)])
}

fn diagnostic(document: &Document, spec_path: &str, problem: &Problem) -> Diagnostic {
    let words = if problem.path.is_empty() { leading_path(&problem.message) } else { place(problem) };
    let words = named_within(document, spec_path, &problem.message).unwrap_or(words);
    let argument = argument(&problem.message).map(|name| format!("spec.arguments.parameters.{name}"));
    let words = argument.as_deref().unwrap_or(words);
    let (path, place) = locate::find(document, spec_path, words).named();
    let span = Some(if path.is_empty() { place.key.start..place.key.start } else { place.key.clone() });
    let message = problem.message.clone();
    let of_argument =
        || Some(format!("give it a value: `-p {}=VALUE`, or `value` in the file", self::argument(&message)?));
    let help = references::suggestion(document, spec_path, &message).or_else(of_argument).or_else(|| help(&message));
    Diagnostic { span, path, help, ..Diagnostic::of_source(&document.source, message) }
}

/// The path leads from call to call, `templates.a.steps[0].x templates.b`: the last is what is wrong, but for an
/// argument that is missing, where the call is.
fn place(problem: &Problem) -> &str {
    let mut words = problem.path.split(' ').rev();
    let last = words.next().unwrap_or_default();
    if problem.message.contains("was not supplied") { words.next().unwrap_or(last) } else { last }
}

/// The parameter of the workflow that a message says has no value: `spec.arguments.n.value or … is required`.
fn argument(message: &str) -> Option<&str> {
    let (name, _) = message.split_once("spec.arguments.")?.1.split_once(".value or ")?;
    message.ends_with(" is required").then_some(name)
}

/// Of the places at the beginning of a message, the last, where it is a field that the document has:
/// `templates.main.steps[0].a templates.work.activeDeadlineSeconds must be…`.
fn named_within<'m>(document: &Document, spec_path: &str, message: &'m str) -> Option<&'m str> {
    if message.contains("was not supplied") {
        return None;
    }
    let places = message.split(' ').take_while(|word| word.starts_with("templates.") || word.starts_with("spec."));
    let last = places.last()?.trim_end_matches(':');
    let field = last.rsplit(['.', ']']).next().filter(|field| !field.is_empty())?;
    locate::find(document, spec_path, last).path.ends_with(&format!(".{field}")).then_some(last)
}

/// Argo's messages start with the place: `templates.main.steps[0].a templates.echo inputs…`.
fn leading_path(message: &str) -> &str {
    let first = message.split([' ', ':']).next().unwrap_or_default();
    if first.contains('.') { first } else { "" }
}

/// What to do about the common mistakes.
fn help(message: &str) -> Option<String> {
    let known = [
        ("was not supplied", "give it a value: `-p NAME=VALUE`, `arguments`, or a `default` or `value` on the input"),
        ("cycle", "remove one of the dependencies that close the circle"),
        (
            "failed to resolve",
            "correct the name in the braces; only inputs, earlier steps and workflow variables are known here",
        ),
        ("not found", "put it into one of the files, or apply it first"),
        ("is required", "add it"),
    ];
    known.iter().find(|(words, _)| message.contains(words)).map(|(_, help)| (*help).to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::load::{self, Source};

    fn at(words: &str, message: &str) -> (String, Option<(usize, usize)>) {
        let body = "kind: Workflow\nspec:\n  templates:\n  - name: main\n    dag:\n      tasks:\n      - {name: a, template: x}\n  - name: s\n    steps:\n    - - name: q\n";
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        load::text(&Arc::new(Source::new("f", body)), &mut documents, &mut problems);
        let problem = Problem { path: words.to_owned(), message: message.to_owned() };
        let found = diagnostic(&documents[0], "spec", &problem);
        let position = found.position();
        (found.path, position)
    }

    #[test]
    fn words_lead_to_lines() {
        assert_eq!(at("templates.main.tasks.a", "x"), ("spec.templates[0].dag.tasks[0]".to_owned(), Some((7, 10))));
        assert_eq!(at("templates.s.steps[0].q", "x"), ("spec.templates[1].steps[0][0]".to_owned(), Some((10, 9))));
        assert_eq!(at("templates.main.tasks.a templates.s", "x").0, "spec.templates[1]");
        let within = "templates.main.tasks.a templates.main.dag must not";
        assert_eq!(at("templates.main.tasks.a", within).0, "spec.templates[0].dag");
        let missing = "inputs.parameters.p was not supplied";
        assert_eq!(at("templates.main.tasks.a templates.s", missing).0, "spec.templates[0].dag.tasks[0]");
        assert_eq!(at("", "spec.templates is required").0, "spec.templates");
    }
}
