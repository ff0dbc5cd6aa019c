//! Names that objects may have. A client puts them into the path of its request as they are: what a user calls an object may
//! not become another path, or a query.

use kube::api::{Api, DynamicObject};

/// Whether an object may have this name: lower-case letters, digits, `-` and `.`, as in a domain's, 253 bytes at most.
pub fn is_name(name: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        let inner = label.bytes().all(|c| is_plain(c) || c == b'-');
        inner && label.bytes().next().is_some_and(is_plain) && label.bytes().next_back().is_some_and(is_plain)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether a path may have this as one of its parts: a name, the key of a ConfigMap, or `@latest`.
pub fn is_path_part(text: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'@');
    text.len() <= 253 && text.bytes().all(is_plain) && !matches!(text, "." | "..")
}

/// The object of this name; `None` where there is none, or where none can be called so. Only a name goes into the path.
///
/// Errors: those of the API.
pub async fn find(api: &Api<DynamicObject>, name: &str) -> Result<Option<DynamicObject>, kube::Error> {
    if is_name(name) { api.get_opt(name).await } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_no_query() {
        for name in ["a", "a-b.c", "0"] {
            assert!(is_name(name) && is_path_part(name), "{name}");
        }
        for text in ["", "..", "a/b", "a?b", "a#b", "a%2Fb", "a b", "../secrets/s", "ä", "\u{7}", &"a".repeat(254)] {
            assert!(!is_name(text) && (text.is_empty() || !is_path_part(text)), "{text}");
        }
        assert!(is_path_part("@latest") && is_path_part("KEY_of.a-map") && !is_name("A"));
    }
}
