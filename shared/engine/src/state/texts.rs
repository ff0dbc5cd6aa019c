//! Texts that many nodes have in common, kept once.

use std::collections::HashSet;

use arcstr::ArcStr;
use foldhash::fast::RandomState;

/// Names of templates, scopes and machines: there are few of them, and each stands in very many nodes.
#[derive(Debug, Default)]
pub(crate) struct Texts(HashSet<ArcStr, RandomState>);

impl Texts {
    /// The text, as all others have it that ask for the same.
    pub fn shared(&mut self, text: &str) -> ArcStr {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = ArcStr::from(text);
        self.0.insert(new.clone());
        new
    }
}
