//! Templates, as they are called.

use std::sync::{Arc, OnceLock};

use arcstr::ArcStr;
use argosy_api::v1alpha1::Template;
use serde_json::Value;

use super::deferred;
use crate::{
    json::{self, json},
    tagged::{mentions_tags, mentions_tags_and_outputs},
};

/// A template, and what is known of it before it is called.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub template: Arc<Template>,
    /// The same as JSON, for substitution, without inputs and without what of its steps or tasks is resolved when these
    /// begin; none where there are no tags in it.
    pub value: Option<Value>,
    /// Its inputs have tags.
    pub tagged_inputs: bool,
    /// It has tags, wherever.
    tagged: bool,
    mentions_outputs: bool,
    /// The template as JSON text, once a pod has been made of it as it is.
    text: OnceLock<ArcStr>,
}

impl Compiled {
    pub fn new(template: Arc<Template>) -> Self {
        let (tagged, mentions_outputs) = mentions_tags_and_outputs(&template);
        let value = tagged.then(|| deferred::without(json(&template))).filter(mentions_tags);
        let tagged_inputs = tagged && mentions_tags(&template.inputs);
        Self { value, tagged_inputs, tagged, mentions_outputs, text: OnceLock::new(), template }
    }

    /// JSON text of the template of a call, which may be this one as it is.
    pub fn text_of(&self, called: &Arc<Template>) -> ArcStr {
        let text = || ArcStr::from(json::text(called));
        if Arc::ptr_eq(called, &self.template) { self.text.get_or_init(text).clone() } else { text() }
    }

    /// Once called, it may speak of the results of its own steps or tasks.
    pub fn may_want_results(&self) -> bool {
        self.mentions_outputs || self.tagged
    }
}
