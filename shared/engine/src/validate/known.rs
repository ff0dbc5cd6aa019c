//! What is known of a text before the run. Argo puts the values of arguments in first, and something in their place where
//! it has none yet.

use std::{borrow::Cow, collections::BTreeMap};

use argosy_api::v1alpha1::*;

/// What begins so stands for a value that only the run has. Each variable has one of its own.
pub(super) const PLACEHOLDER: &str = "placeholder-";

/// The values that a template is looked at with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given<'a> {
    /// Each input has one that only the run knows.
    Anything,
    Arguments(&'a Arguments),
}

impl Given<'_> {
    /// The value of an input; none where there is no such input.
    fn input<'s>(&'s self, template: &'s Template, name: &str) -> Option<Cow<'s, str>> {
        let index = template.inputs.parameters.iter().position(|p| p.name == name)?;
        let late = || Cow::Owned(format!("{PLACEHOLDER}{}", index + 1));
        let arguments = match self {
            Self::Anything => return Some(late()),
            Self::Arguments(arguments) => arguments,
        };
        let input = &template.inputs.parameters[index];
        let argument = arguments.parameters.iter().find(|p| p.name == name);
        let own = || input.default.as_deref().or(input.value.as_deref());
        let value = argument.and_then(|a| a.value.as_deref()).or_else(own);
        Some(value.map_or_else(late, Cow::Borrowed))
    }
}

/// What the whole workflow knows: variables with a value, and those that get one at the run.
pub(super) type Globals = BTreeMap<String, Option<String>>;

/// The text with what is known put in. Other tags stay.
pub(super) fn settled<'t>(text: &'t str, globals: &Globals, template: &Template, given: Given<'_>) -> Cow<'t, str> {
    if !text.contains("{{") {
        return Cow::Borrowed(text);
    }
    let mut settled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once("{{") {
        let Some((tag, after)) = tail.split_once("}}") else { break };
        let name = tag.trim();
        let value = match name.strip_prefix("inputs.parameters.") {
            Some(input) => given.input(template, input),
            None => globals.get(name).map(|value| match value {
                Some(value) => Cow::Borrowed(value.as_str()),
                // It may become part of a name.
                None => Cow::Owned(format!("{PLACEHOLDER}{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))),
            }),
        };
        settled.push_str(before);
        match value {
            Some(value) => settled.push_str(&value),
            None => settled.extend(["{{", tag, "}}"]),
        }
        rest = after;
    }
    settled.push_str(rest);
    Cow::Owned(settled)
}

/// The text is, or has in it, what only the run knows.
pub(super) fn is_late(text: &str) -> bool {
    text.contains("{{") || text.contains(PLACEHOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_put_in_and_the_rest_stays() {
        let globals =
            Globals::from([("workflow.parameters.a".into(), Some("x".into())), ("workflow.uid".into(), None)]);
        let template: Template = serde_json::from_value(
            serde_json::json!({"name": "t", "inputs": {"parameters": [{"name": "i", "default": "d"}]}}),
        )
        .expect("a template");
        let none = Arguments::default();
        let with = |text, given| settled(text, &globals, &template, given).into_owned();
        assert_eq!(
            with("{{workflow.parameters.a}} {{ workflow.uid }} {{item}} {{", Given::Anything),
            "x placeholder-workflow-uid {{item}} {{"
        );
        assert_eq!(with("{{inputs.parameters.i}}", Given::Anything), "placeholder-1");
        assert_eq!(with("{{inputs.parameters.i}}", Given::Arguments(&none)), "d");
        assert_eq!(with("{{inputs.parameters.j}}", Given::Anything), "{{inputs.parameters.j}}");
    }
}
