//! Which variables are there, and which a text wants.

use std::collections::BTreeSet;

/// Only tags that begin so are ours; others are left to whoever reads the text in the end.
const OURS: [&str; 7] = ["item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks."];

/// What begins so is known at the run only.
const LATE: [&str; 6] = [
    "outputs.",
    "workflow.creationTimestamp",
    "workflow.scheduledTime",
    "workflow.duration",
    "tasks.name",
    "steps.name",
];

/// A set of variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    names: BTreeSet<String>,
    /// Everything that begins so exists as well: what cannot be known before the run.
    prefixes: BTreeSet<String>,
}

impl Scope {
    pub fn add(&mut self, name: impl Into<String>) {
        self.names.insert(name.into());
    }

    pub fn add_prefix(&mut self, prefix: impl Into<String>) {
        self.prefixes.insert(prefix.into());
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.prefixes.iter().any(|p| name.starts_with(p.as_str()))
    }
}

/// The tags of `text` that are ours to resolve and are not there, each once and as it is written.
pub(super) fn unresolved<'t>(text: &'t str, is_there: &dyn Fn(&str) -> bool) -> Vec<&'t str> {
    let mut seen = BTreeSet::new();
    let is_lost = |tag: &&str| {
        let name = tag.trim();
        let is_ours = OURS.iter().any(|p| name.starts_with(p)) && !LATE.iter().any(|p| name.starts_with(p));
        is_ours && !is_there(name) && seen.insert(name.to_owned())
    };
    tags(text).filter(is_lost).collect()
}

/// The simple tags of a text, innermost ones where they are nested; expressions are left out.
pub(super) fn tags(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find("{{")? + 2;
            let end = start + rest[start..].find("}}")?;
            let whole = &rest[start..end];
            rest = &rest[end + 2..];
            let is_expression = whole.starts_with('=');
            let tag = whole.rsplit("{{").next().unwrap_or(whole);
            if !is_expression && !tag.starts_with('=') {
                return Some(tag);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_tags_give_the_inner_one_and_expressions_none() {
        let found: Vec<_> = tags("a {{ x }} {{=y}} {{steps.a-{{inputs.parameters.b}}.id}} {{open").collect();
        assert_eq!(found, [" x ", "inputs.parameters.b"]);
    }

    #[test]
    fn foreign_tags_are_not_ours_to_resolve() {
        assert_eq!(unresolved("{{user.name}} {{retries}}", &|_| false), [""; 0]);
        assert_eq!(unresolved("{{item}} {{outputs.x}} {{steps.a.id}}{{ steps.a.id }}", &|_| false), ["steps.a.id"]);
    }
}
