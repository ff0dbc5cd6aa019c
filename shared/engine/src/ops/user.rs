//! Who did it: labels on workflows that name the user.
//!
//! Source: Argo docs/workflow-creator.md; `workflow/creator/creator.go`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most characters a label's value may have.
const LABEL_CHARS_MAX: usize = 63;
const DOMAIN: &str = "workflows.argoproj.io/";

/// A user as the server knows him.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct User {
    pub subject: String,
    pub email: String,
    pub preferred_username: String,
}

impl User {
    /// Names this user as the creator; the creator before him is forgotten.
    pub fn label_creator(user: Option<&Self>, labels: &mut BTreeMap<String, String>) {
        Self::label("creator", user, labels);
    }

    /// Names this user as the one who did `action` last (`Resume`, `Stop`, …). Without a user nothing changes.
    pub fn label_actor(user: Option<&Self>, action: &str, labels: &mut BTreeMap<String, String>) {
        if user.is_some() {
            Self::label("actor", user, labels);
            labels.insert(format!("{DOMAIN}action"), action.to_owned());
        }
    }

    fn label(role: &str, user: Option<&Self>, labels: &mut BTreeMap<String, String>) {
        let keys = ["", "-email", "-preferred-username"].map(|suffix| format!("{DOMAIN}{role}{suffix}"));
        for key in &keys {
            labels.remove(key);
        }
        let Some(user) = user else { return };
        let values = [
            sanitized(&user.subject),
            sanitized(&user.email.replace('@', ".at.")),
            sanitized(&user.preferred_username),
        ];
        labels.extend(keys.into_iter().zip(values).filter(|(_, value)| !value.is_empty()));
    }

    /// The message on a node that the user resumed. Source: Argo writes a Go map.
    pub(super) fn resumed_by(&self) -> String {
        let mut entries =
            vec![("Email", &self.email), ("PreferredUsername", &self.preferred_username), ("User", &self.subject)];
        entries.retain(|(_, value)| !value.is_empty());
        let entries: Vec<String> = entries.into_iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("Resumed by: map[{}]", entries.join(" "))
    }
}

/// The text as a label's value: its last 63 characters, others than letters, digits, `.`, `_` and `-` made `-`.
fn sanitized(text: &str) -> String {
    let clean: Vec<char> =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    let tail: String = clean[clean.len().saturating_sub(LABEL_CHARS_MAX)..].iter().collect();
    tail.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}
