//! The forms of names. Source: `k8s.io/apimachinery/pkg/util/validation`.

/// Longest label of a name, as `a` in `a.b`.
const LABEL_CHARS_MAX: usize = 63;
/// Longest name of several labels.
const SUBDOMAIN_CHARS_MAX: usize = 253;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
     end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
     start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
     '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const PREFIX: &str = "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character";

/// Why a text is no RFC 1123 label, such as the name of a container or a volume.
pub(super) fn label(name: &str) -> Option<String> {
    if name.len() > LABEL_CHARS_MAX {
        return Some(format!("must be no more than {LABEL_CHARS_MAX} characters"));
    }
    (!is_label(name)).then(|| LABEL.to_owned())
}

fn is_label(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.iter().all(|c| inner(*c) || *c == b'-')
        && bytes.first().is_some_and(|c| inner(*c))
        && bytes.last().is_some_and(|c| inner(*c))
}

/// Why a text is no qualified name (`prefix/name`), such as the key of a label or a finalizer.
pub(super) fn qualified(name: &str) -> Option<String> {
    let (prefix, part) = match name.split_once('/') {
        Some((prefix, part)) => (Some(prefix), part),
        None => (None, name),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".to_owned());
        }
        if prefix.len() > SUBDOMAIN_CHARS_MAX || !prefix.split('.').all(is_label) {
            return Some(PREFIX.to_owned());
        }
    }
    if part.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if part.len() > LABEL_CHARS_MAX {
        return Some(format!("name part must be no more than {LABEL_CHARS_MAX} characters"));
    }
    (!is_loose(part)).then(|| QUALIFIED.to_owned())
}

/// Why a text is no value of a label.
pub(super) fn label_value(value: &str) -> Option<String> {
    if value.len() > LABEL_CHARS_MAX {
        return Some(format!("must be no more than {LABEL_CHARS_MAX} characters"));
    }
    (!value.is_empty() && !is_loose(value)).then(|| VALUE.to_owned())
}

/// Why a text is no key of a ConfigMap or Secret, which is the name of a file where it is mounted.
pub(super) fn file(key: &str) -> Option<String> {
    if key.is_empty() || key.len() > SUBDOMAIN_CHARS_MAX {
        return Some(format!("must have 1 to {SUBDOMAIN_CHARS_MAX} characters"));
    }
    if key == "." || key.starts_with("..") {
        return Some("must not be '.' nor begin with '..'".to_owned());
    }
    let is_good = key.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'));
    (!is_good).then(|| "a valid config key must consist of alphanumeric characters, '-', '_' or '.'".to_owned())
}

fn is_loose(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}
