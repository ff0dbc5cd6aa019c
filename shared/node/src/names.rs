//! Names from outside that become parts of paths.

use std::fmt;
use std::path::Path;

/// Bytes of a label.
const LABEL_MAX: usize = 63;
/// Bytes of a subdomain.
const SUBDOMAIN_MAX: usize = 253;

/// A name that is one part of a path and nothing else, as Kubernetes demands of it.
/// Source: Kubernetes `IsDNS1123Label`, `IsDNS1123Subdomain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Not such a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {shown}: {rule}")]
pub struct BadName {
    what: &'static str,
    shown: String,
    rule: &'static str,
}

impl Name {
    /// The name of a container or volume. `what` begins the text of the error.
    /// Errors: it is no RFC 1123 label.
    pub fn label(what: &'static str, text: &str) -> Result<Self, BadName> {
        let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                    end with an alphanumeric character, and have no more than 63 characters";
        match is_label(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(BadName { what, shown: shown(text), rule }),
        }
    }

    /// The name of an object of Kubernetes.
    /// Errors: it is no RFC 1123 subdomain.
    pub fn subdomain(what: &'static str, text: &str) -> Result<Self, BadName> {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                    start and end with an alphanumeric character, and have no more than 253 characters";
        match text.len() <= SUBDOMAIN_MAX && text.split('.').all(|part| !part.is_empty() && has_form(part)) {
            true => Ok(Self(text.to_owned())),
            false => Err(BadName { what, shown: shown(text), rule }),
        }
    }
}

impl AsRef<Path> for Name {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= LABEL_MAX && has_form(text)
}

fn has_form(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A name for a message: without what a terminal or a log would take as its own, and not endless.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(100).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_part_of_a_path() {
        for good in ["main", "a", "0", "a-b-9"] {
            assert!(Name::label("container", good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", ".", "..", "/tmp/x", "../../x", "a/b", "a.b", "A", "-a", "a-", "a\0b", "ä", "a b", "a\n", &long]
        {
            let error = Name::label("container", bad).expect_err(bad).to_string();
            assert!(error.starts_with("container \"") && !error.contains(['\n', '\0']), "{error}");
        }
        assert!(Name::subdomain("claim", "a.b-c.0").is_ok() && Name::subdomain("claim", "5c1e-uid").is_ok());
        for bad in ["", "..", "a..b", "a/b", ".a", "a.", "../x"] {
            assert!(Name::subdomain("claim", bad).is_err(), "{bad}");
        }
    }
}
