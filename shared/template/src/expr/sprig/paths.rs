//! File paths and URLs.

use std::collections::BTreeMap;

use super::super::error::Fail;
use super::super::value::Value;
use super::Answer;

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    Some(Ok(match (name, args) {
        ("base" | "osBase", [Value::Str(s)]) => Value::from(base(s)),
        ("dir" | "osDir", [Value::Str(s)]) => {
            let end = s.rfind('/').map_or(0, |i| i + 1);
            Value::from(clean(&s[..end]))
        }
        ("clean" | "osClean", [Value::Str(s)]) => Value::from(clean(s)),
        ("ext" | "osExt", [Value::Str(s)]) => {
            let name = s.rsplit('/').next().unwrap_or_default();
            Value::str(name.rfind('.').map_or("", |dot| &name[dot..]))
        }
        ("isAbs" | "osIsAbs", [Value::Str(s)]) => Value::Bool(s.starts_with('/')),
        ("urlParse", [Value::Str(s)]) => return Some(url_parse(s)),
        ("urlJoin", [Value::Map(parts)]) => Value::from(url_join(parts)),
        _ => return None,
    }))
}

fn base(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".".into(),
        "" => "/".into(),
        trimmed => trimmed.rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

/// The shortest equal path.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if !rooted => parts.push(".."),
                _ => {
                    parts.pop();
                }
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".into(),
        (false, joined) => joined,
    }
}

fn url_parse(text: &str) -> Result<Value, Fail> {
    let bad = |why: &str| Fail::run(format!("unable to parse url: parse {}: {why}", crate::gofmt::quote(text)));
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err(bad("net/url: invalid control character in URL"));
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let scheme_end = rest.find(':').filter(|at| {
        let scheme = &rest[..*at];
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let (scheme, rest) = match scheme_end {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None if rest.starts_with(':') => return Err(bad("missing protocol scheme")),
        None => ("", rest),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut host, mut user, mut path, mut opaque) = ("", "", rest, "");
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        (host, path) = after.split_at(end);
        if let Some((info, name)) = host.rsplit_once('@') {
            (user, host) = (info, name);
        }
    } else if !scheme.is_empty() && !rest.starts_with('/') {
        (opaque, path) = (rest, "");
    }
    let name = match (host.starts_with('['), host.rfind(']'), host.rfind(':')) {
        (true, Some(end), _) => &host[1..end],
        (_, _, Some(colon)) => &host[..colon],
        _ => host,
    };
    let parts = [
        ("scheme", scheme.to_ascii_lowercase()),
        ("host", host.to_owned()),
        ("hostname", name.to_owned()),
        ("path", path.to_owned()),
        ("query", query.to_owned()),
        ("opaque", opaque.to_owned()),
        ("fragment", fragment.to_owned()),
        ("userinfo", user.to_owned()),
    ];
    Ok(Value::map(parts.into_iter().map(|(k, v)| (k.to_owned(), Value::from(v))).collect()))
}

fn url_join(parts: &BTreeMap<String, Value>) -> String {
    let part = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut out = String::new();
    if !part("scheme").is_empty() {
        out += part("scheme");
        out.push(':');
    }
    if part("opaque").is_empty() {
        if !part("host").is_empty() || !part("userinfo").is_empty() || !part("scheme").is_empty() {
            out += "//";
            if !part("userinfo").is_empty() {
                out += part("userinfo");
                out.push('@');
            }
            out += part("host");
        }
        if !part("path").is_empty() && !part("path").starts_with('/') && !part("host").is_empty() {
            out.push('/');
        }
        out += part("path");
    } else {
        out += part("opaque");
    }
    for (mark, name) in [('?', "query"), ('#', "fragment")] {
        if !part(name).is_empty() {
            out.push(mark);
            out += part(name);
        }
    }
    out
}
