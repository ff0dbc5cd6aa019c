//! What Argosy does not do yet. The table says of docs/compatibility.md what a check can use of it; a test holds the two
//! together, so that whoever builds one of these takes it out of both.

use serde_json::Value;

use super::walk::{self, Step};
use crate::{diagnostic::Diagnostic, load::Document};

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Spec,
    Template,
    Artifact,
    RetryStrategy,
    /// A mutex or a semaphore.
    Lock,
}

/// What comes of it.
#[derive(Clone, Copy)]
enum Effect {
    Ignored,
    Ends,
}

/// The fields, where each stands, and what comes of it.
const TABLE: &[(&str, &[At], Effect)] = &[
    ("http", &[At::Template, At::Artifact], Effect::Ends),
    ("plugin", &[At::Template, At::Artifact], Effect::Ends),
    ("git", &[At::Artifact], Effect::Ends),
    ("gcs", &[At::Artifact], Effect::Ends),
    ("azure", &[At::Artifact], Effect::Ends),
    ("oss", &[At::Artifact], Effect::Ends),
    ("hdfs", &[At::Artifact], Effect::Ends),
    ("artifactory", &[At::Artifact], Effect::Ends),
    ("database", &[At::Lock], Effect::Ends),
    ("artifactGC", &[At::Spec, At::Artifact], Effect::Ignored),
];

/// Fields of the document that Argosy does not know what to do with.
pub fn check(document: &Document) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    walk::each(document, &mut |way, value, place| {
        let is_set = !matches!(value, Value::Null | Value::Bool(false));
        let Some(effect) = effect(way).filter(|_| is_set) else { return };
        let what = match effect {
            Effect::Ignored => "is ignored",
            Effect::Ends => "ends in an error at run time",
        };
        found.push(Diagnostic {
            span: place.map(|place| place.key.clone()),
            path: walk::path(way),
            ..Diagnostic::of_source(&document.source, format!("this {what}: Argosy does not support it yet"))
        });
    });
    found
}

fn effect(way: &[Step<'_>]) -> Option<Effect> {
    let (_, holder) = way.split_last()?;
    let name = walk::key(way, 1);
    let at = place(holder)?;
    TABLE.iter().find(|(field, places, _)| *field == name && places.contains(&at)).map(|(_, _, effect)| *effect)
}

/// What the way leads to.
fn place(way: &[Step<'_>]) -> Option<At> {
    if walk::is_template(way) {
        return Some(At::Template);
    }
    match (walk::key(way, 2), walk::key(way, 1)) {
        ("artifacts", "") => Some(At::Artifact),
        ("mutexes" | "semaphores", "") | ("synchronization", "mutex" | "semaphore") => Some(At::Lock),
        (_, "retryStrategy") => Some(At::RetryStrategy),
        ("spec", "workflowSpec") => Some(At::Spec),
        (_, "spec") if way.len() == 1 => Some(At::Spec),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::load::{self, Source};

    /// The words in backticks of the rows of docs/compatibility.md that say what of a workflow does not work.
    fn documented() -> BTreeSet<String> {
        let text = include_str!("../../../../docs/compatibility.md");
        let (_, rest) = text.split_once("\n## Workflows\n").expect("a chapter of workflows");
        let chapter = rest.split_once("\n## ").map_or(rest, |(chapter, _)| chapter);
        let rows = chapter.lines().filter_map(|line| Some(line.split_once("| ✖ |")?.0));
        let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
        words.map(|word| word.rsplit('.').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn the_table_says_what_the_documentation_says() {
        let known: BTreeSet<String> = TABLE.iter().map(|(field, _, _)| (*field).to_owned()).collect();
        assert_eq!(known, documented(), "what docs/compatibility.md has with ✖, and what lint warns of");
    }

    #[test]
    fn fields_are_told_where_they_stand_and_nowhere_else() {
        let text = "kind: Workflow
spec:
  podGC: {strategy: OnPodCompletion}
  archiveLogs: false
  templates:
  - name: a
    http: {url: x}
    affinity: {}
    inputs: {artifacts: [{name: x, http: {url: y}}], parameters: [{name: http, value: podGC}]}
    retryStrategy: {affinity: {}}
    steps: [[{name: b, inline: {plugin: {}}}]]
    container: {image: a, env: [{name: metrics}], readinessProbe: {httpGet: {}, http: {}}}
";
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        load::text(&Arc::new(Source::new("f", text)), &mut documents, &mut problems);
        let found: Vec<_> = check(&documents[0]).into_iter().map(|problem| problem.path).collect();
        for path in [
            "spec.podGC",
            "spec.templates[0].http",
            "spec.templates[0].inputs.artifacts[0].http",
            "spec.templates[0].retryStrategy.affinity",
            "spec.templates[0].steps[0][0].inline.plugin",
        ] {
            // One of these may be built by now.
            let is_known = TABLE.iter().any(|(field, _, _)| path.ends_with(field));
            assert_eq!(found.iter().any(|found| found == path), is_known, "{path}: {found:?}");
        }
        assert!(found.len() <= 5, "{found:?}");
    }
}
