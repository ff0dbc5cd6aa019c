//! What is called, and what came of it.

use std::sync::Arc;

use argosy_api::v1alpha1::{Template, TemplateRef};

/// What is called: an inline template, a reference or a name; the first of these that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub template: &'a str,
    pub reference: Option<&'a TemplateRef>,
    pub inline: Option<&'a Template>,
    /// The reference was put together of what arguments say: what it names may be known at the run only.
    pub is_settled: bool,
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(super) enum Called {
    Template(Arc<Template>),
    /// Only the run will know which it is.
    Late,
    /// It is not there, as was said.
    Missing,
}
