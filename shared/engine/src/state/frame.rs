//! What the engine knows about a live node besides its status.

use std::sync::Arc;

use argosy_api::v1alpha1::Template;

use super::{Call, Children, Dag, Steps, TemplateScope};

/// A live node.
#[derive(Debug)]
pub(crate) struct Frame {
    /// How it was called, with the node's name and id; a retry calls it again.
    pub call: Arc<Call>,
    /// The template with its inputs put in.
    pub template: Arc<Template>,
    /// Of a pod: a report has told of it.
    pub is_seen: bool,
    /// Of a pod: the API refused it for now, and has not created it since.
    pub was_refused: bool,
    pub body: Body,
}

impl Frame {
    pub fn children(&self) -> Option<&Children> {
        match &self.body {
            Body::Steps(steps) => Some(steps.children()),
            Body::Dag(dag) => Some(dag.children()),
            Body::Leaf | Body::Retry(_) => None,
        }
    }

    pub fn children_mut(&mut self) -> Option<&mut Children> {
        match &mut self.body {
            Body::Steps(steps) => Some(steps.children_mut()),
            Body::Dag(dag) => Some(dag.children_mut()),
            Body::Leaf | Body::Retry(_) => None,
        }
    }

    /// Where the names of templates in this template are looked up.
    pub fn inner_scope(&self) -> TemplateScope {
        match &self.body {
            Body::Steps(steps) => steps.scope().clone(),
            Body::Dag(dag) => dag.scope().clone(),
            Body::Leaf | Body::Retry(_) => self.call.scope.clone(),
        }
    }
}

/// What kind of node it is.
#[derive(Debug)]
pub(crate) enum Body {
    /// One pod, or a suspend.
    Leaf,
    Steps(Box<Steps>),
    Dag(Box<Dag>),
    Retry(Retry),
}

/// Attempts of a template with a retry strategy.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    /// Attempts begun.
    pub attempts: usize,
}
