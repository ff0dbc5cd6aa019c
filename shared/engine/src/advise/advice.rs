//! A piece of advice, the rule that gives it, and where it is looked for.

use argosy_api::v1alpha1::{Template, WorkflowSpec};

/// Something that is surely not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub rule: Rule,
    /// The field below the spec: `templates[0].container.image`.
    pub path: String,
    /// What is wrong, and what comes of it.
    pub message: String,
}

/// Why advice is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A parameter that nothing refers to.
    UnusedParameter,
    /// A template that no call leads to.
    UnreachableTemplate,
    /// A task that the targets of its DAG do not need.
    UnreachableTask,
    /// An expression refers to a step or task that has not ended by then.
    LaterReference,
    /// A `when` without variables that is false.
    WhenFalse,
    /// Attempts without an end.
    EndlessRetry,
    /// An image without tag or digest, which may be another tomorrow.
    ImageTag,
    /// A secret in plain text.
    PlainSecret,
    /// Something that Argosy does not do yet.
    Unsupported,
    /// A field that makes a pod which the API server refuses.
    RefusedPod,
}

impl Rule {
    pub const ALL: [Self; 10] = [
        Self::UnusedParameter,
        Self::UnreachableTemplate,
        Self::UnreachableTask,
        Self::LaterReference,
        Self::WhenFalse,
        Self::EndlessRetry,
        Self::ImageTag,
        Self::PlainSecret,
        Self::Unsupported,
        Self::RefusedPod,
    ];

    /// The name by which people know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnusedParameter => "unused-parameter",
            Self::UnreachableTemplate => "unreachable-template",
            Self::UnreachableTask => "unreachable-task",
            Self::LaterReference => "later-reference",
            Self::WhenFalse => "when-false",
            Self::EndlessRetry => "endless-retry",
            Self::ImageTag => "image-tag",
            Self::PlainSecret => "plain-secret",
            Self::Unsupported => "unsupported",
            Self::RefusedPod => "refused-pod",
        }
    }

    /// One line for people.
    pub fn summary(self) -> &'static str {
        match self {
            Self::UnusedParameter => "a parameter that nothing refers to",
            Self::UnreachableTemplate => "a template that no call leads to",
            Self::UnreachableTask => "a task that the targets of its DAG do not need",
            Self::LaterReference => "an expression that refers to a step or task which has not ended by then",
            Self::WhenFalse => "a `when` that is always false",
            Self::EndlessRetry => "a retryStrategy without an end",
            Self::ImageTag => "an image without tag or digest",
            Self::PlainSecret => "a secret in plain text",
            Self::Unsupported => "something that Argosy does not do yet",
            Self::RefusedPod => "a field that makes a pod which the API server refuses",
        }
    }

    /// The rule of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// Takes a piece of advice: rule, path, message.
pub(super) type Say<'s> = dyn FnMut(Rule, String, String) + 's;

/// The templates of a spec with their paths, those that stand inline in steps and tasks included.
pub(super) fn templates(spec: &WorkflowSpec) -> Vec<(String, &Template)> {
    let mut found: Vec<(String, &Template)> = Vec::new();
    let listed = spec.templates.iter().enumerate().map(|(i, template)| (format!("templates[{i}]"), &**template));
    let mut open: Vec<(String, &Template)> = listed.rev().collect();
    while let Some((path, template)) = open.pop() {
        for (g, group) in template.steps.iter().enumerate() {
            for (s, step) in group.steps.iter().enumerate() {
                open.extend(step.inline.as_deref().map(|inline| (format!("{path}.steps[{g}][{s}].inline"), inline)));
            }
        }
        for (t, task) in template.dag.iter().flat_map(|dag| &dag.tasks).enumerate() {
            open.extend(task.inline.as_deref().map(|inline| (format!("{path}.dag.tasks[{t}].inline"), inline)));
        }
        found.push((path, template));
    }
    found
}
