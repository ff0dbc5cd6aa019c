//! Selecting nodes: `displayName=approve,phase!=Failed`.
//!
//! Source: Argo docs/node-field-selector.md; `workflow/util/util.go` `SelectorMatchesNode`.

use argosy_api::v1alpha1::NodeStatus;

/// A parsed node field selector. The empty one matches every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

/// What is wrong with a selector; the texts are those of Kubernetes' field selectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A term without `=`, `==` or `!=`.
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    NoComparison { selector: String, term: String },
    /// A backslash is before something else than `\`, `,` or `=`.
    #[error("invalid field selector: invalid escape sequence: {sequence}")]
    Escape { sequence: String },
    /// A value with an `=` that has no backslash before it.
    #[error("invalid field selector: unescaped character in value: {character}")]
    Unescaped { character: char },
}

impl NodeSelector {
    /// Reads a selector. In values `,`, `=` and `\` have a backslash before them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut terms = Vec::new();
        for term in split(text).into_iter().filter(|t| !t.is_empty()) {
            let Some((field, value, equal)) = comparison(term) else {
                return Err(Error::NoComparison { selector: text.to_owned(), term: term.to_owned() });
            };
            terms.push(Term { field: field.to_owned(), value: unescaped(value)?, equal });
        }
        Ok(Self { terms })
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// True when every term holds; an unknown field has the empty text.
    pub fn matches(&self, node: &NodeStatus) -> bool {
        self.terms.iter().all(|term| (field(node, &term.field) == term.value) == term.equal)
    }
}

/// The terms: what is between commas that have no backslash before them.
fn split(text: &str) -> Vec<&str> {
    let (mut terms, mut begin, mut is_escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ',' => {
                terms.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[begin..]);
    terms
}

/// Field, value as it is written, and whether they are to be equal: by the first operator.
fn comparison(term: &str) -> Option<(&str, &str, bool)> {
    let at = term.find('=')?;
    let (field, value) = (&term[..at], &term[at + 1..]);
    match field.strip_suffix('!') {
        Some(field) => Some((field, value, false)),
        None => Some((field, value.strip_prefix('=').unwrap_or(value), true)),
    }
}

fn unescaped(value: &str) -> Result<String, Error> {
    let mut text = String::new();
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c @ ('\\' | ',' | '=')) => text.push(c),
                Some(c) => return Err(Error::Escape { sequence: format!("\\{c}") }),
                None => return Err(Error::Escape { sequence: "\\".to_owned() }),
            },
            '=' | ',' => return Err(Error::Unescaped { character: c }),
            c => text.push(c),
        }
    }
    Ok(text)
}

fn field<'a>(node: &'a NodeStatus, name: &str) -> &'a str {
    let reference = node.template_ref.as_ref();
    match name {
        "displayName" => &node.display_name,
        "templateName" => reference.map_or(node.template_name.as_str(), |r| &r.template),
        "phase" => node.phase.as_str(),
        "name" => &node.name,
        "id" => &node.id,
        "templateRef.name" => reference.map_or("", |r| &r.name),
        "templateRef.template" => reference.map_or("", |r| &r.template),
        _ => {
            let parameter = name.strip_prefix("inputs.parameters.").and_then(|n| n.strip_suffix(".value"));
            let inputs = node.inputs.iter().flat_map(|i| &i.parameters);
            let found = parameter.and_then(|p| inputs.into_iter().find(|i| i.name == p));
            found.and_then(|p| p.value.as_deref()).unwrap_or("")
        }
    }
}

#[cfg(test)]
mod tests {
    use argosy_api::v1alpha1::{NodePhase, TemplateRef};

    use super::*;

    fn node() -> NodeStatus {
        NodeStatus {
            display_name: "a=b,c".into(),
            phase: NodePhase::Running,
            template_ref: Some(Box::new(TemplateRef { template: "t".into(), ..TemplateRef::default() })),
            ..NodeStatus::default()
        }
    }

    #[test]
    fn terms_are_compared_as_kubernetes_does() {
        for (selector, expected) in [
            ("", true),
            ("phase=Running", true),
            ("phase==Running,", true),
            ("phase!=Running", false),
            (r"displayName=a\=b\,c", true),
            (r"displayName!=a\=b\,c", false),
            ("templateName=t,templateRef.template=t", true),
            ("unknown=", true),
        ] {
            let parsed = NodeSelector::parse(selector).expect(selector);
            assert_eq!(parsed.matches(&node()), expected, "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_told() {
        for (selector, expected) in [
            ("phase", "invalid selector: 'phase'; can't understand 'phase'"),
            ("displayName=a=b", "invalid field selector: unescaped character in value: ="),
            (r"displayName=a\b", r"invalid field selector: invalid escape sequence: \b"),
        ] {
            let error = NodeSelector::parse(selector).expect_err(selector);
            assert_eq!(error.to_string(), expected);
        }
    }
}
