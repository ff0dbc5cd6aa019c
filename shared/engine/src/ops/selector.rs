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

/// A term without `=`, `==` or `!=`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid selector: '{selector}'; can't understand '{term}'")]
pub struct Error {
    selector: String,
    term: String,
}

impl NodeSelector {
    /// Reads a selector. Errors: a term that is no comparison.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut terms = Vec::new();
        for term in text.split(',').filter(|t| !t.is_empty()) {
            let (field, value, equal) = if let Some((field, value)) = term.split_once("!=") {
                (field, value, false)
            } else if let Some((field, value)) = term.split_once('=') {
                (field, value.strip_prefix('=').unwrap_or(value), true)
            } else {
                return Err(Error { selector: text.to_owned(), term: term.to_owned() });
            };
            terms.push(Term { field: field.to_owned(), value: value.to_owned(), equal });
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

fn field<'a>(node: &'a NodeStatus, name: &str) -> &'a str {
    let reference = node.template_ref.as_ref();
    match name {
        "displayName" => &node.display_name,
        "templateName" => &node.template_name,
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
