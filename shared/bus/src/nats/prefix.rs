//! The name of an installation on a NATS server that others use too.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Stream};

/// First token of every subject as the rest of the program writes it; on the server the prefix stands in its place.
const OWN: &str = "argosy";
/// Longest prefix, in bytes.
const LENGTH_MAX: usize = 32;

/// Names all that an installation has on a NATS server: streams, subjects, and the buckets of leases and of
/// the quarantine. Consumers belong to
/// their stream. Two installations with different prefixes do not see each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Default for Prefix {
    fn default() -> Self {
        Self(OWN.to_owned())
    }
}

impl FromStr for Prefix {
    type Err = Error;

    /// Errors: `BadPrefix`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |reason| Err(Error::BadPrefix { prefix: text.to_owned(), reason });
        if text.len() > LENGTH_MAX {
            return bad("it is longer than 32 characters");
        }
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            return bad("it must begin with a letter from a to z");
        }
        if !text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return bad("it takes lower-case letters, digits and `-`");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Prefix {
    /// Name of a stream on the server, such as `ARGOSY_EVENTS`.
    pub fn stream(&self, stream: Stream) -> String {
        format!("{}_{stream}", self.0.to_ascii_uppercase())
    }

    /// Name of the bucket of leases.
    pub fn bucket(&self) -> String {
        format!("{}_LEASES", self.0.to_ascii_uppercase())
    }

    /// Name of the bucket of the quarantine.
    pub fn quarantine(&self) -> String {
        format!("{}_QUARANTINE", self.0.to_ascii_uppercase())
    }

    /// A subject or filter as the server knows it: with the prefix.
    pub(super) fn wrap(&self, subject: &str) -> String {
        match subject.strip_prefix(OWN) {
            Some(rest) if rest.starts_with('.') => format!("{}{rest}", self.0),
            _ => subject.to_owned(),
        }
    }

    /// The opposite of `wrap`; a subject of another installation stays as it is.
    pub(super) fn strip(&self, subject: &str) -> String {
        match subject.strip_prefix(self.0.as_str()) {
            Some(rest) if rest.starts_with('.') => format!("{OWN}{rest}"),
            _ => subject.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_prefix() {
        let prefix: Prefix = "team-a2".parse().unwrap();
        assert_eq!(
            (prefix.stream(Stream::Events), prefix.bucket()),
            ("TEAM-A2_EVENTS".into(), "TEAM-A2_LEASES".into())
        );
        assert_eq!(prefix.wrap("argosy.event.3.>"), "team-a2.event.3.>");
        assert_eq!(prefix.strip("team-a2.event.3.ns.u.x"), "argosy.event.3.ns.u.x");
        assert_eq!(prefix.strip("team-a22.event.3.ns.u.x"), "team-a22.event.3.ns.u.x");
        assert_eq!(Prefix::default().stream(Stream::Observed), "ARGOSY_OBSERVED");
        assert_eq!(Prefix::default().wrap("argosy.event.3.>"), "argosy.event.3.>");
    }

    #[test]
    fn what_a_server_would_misread_is_refused() {
        for bad in ["", "A", "1a", "-a", "a.b", "a_b", "a b", "a*", "a>", "$js", "ä", &"a".repeat(33)] {
            assert!(matches!(bad.parse::<Prefix>(), Err(Error::BadPrefix { .. })), "{bad}");
        }
        for good in ["a", "argosy", "a-1", &"a".repeat(32)] {
            assert!(good.parse::<Prefix>().is_ok(), "{good}");
        }
    }
}
