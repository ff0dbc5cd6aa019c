//! Kinds of templates.

use argosy_api::v1alpha1::{NodeType, Template};

/// What executes a template.
pub(crate) enum Kind {
    Pod,
    Suspend,
    Steps,
    Dag,
    Unsupported(&'static str),
}

impl Kind {
    /// Of a node that stands for a call which is not made.
    pub fn node_type(&self) -> NodeType {
        match self {
            Self::Pod => NodeType::Pod,
            Self::Suspend => NodeType::Suspend,
            Self::Steps => NodeType::Steps,
            Self::Dag => NodeType::Dag,
            Self::Unsupported(_) => NodeType::Skipped,
        }
    }
}

/// The kind, by Argo's precedence when several are set (validation rejects that).
pub(crate) fn kind_of(template: &Template) -> Kind {
    if template.container.is_some() || template.container_set.is_some() {
        Kind::Pod
    } else if !template.steps.is_empty() {
        Kind::Steps
    } else if template.dag.is_some() {
        Kind::Dag
    } else if template.script.is_some() || template.resource.is_some() || template.data.is_some() {
        Kind::Pod
    } else if template.suspend.is_some() {
        Kind::Suspend
    } else if template.http.is_some() {
        Kind::Unsupported("http")
    } else if template.plugin.is_some() {
        Kind::Unsupported("plugin")
    } else {
        Kind::Unsupported("empty")
    }
}
