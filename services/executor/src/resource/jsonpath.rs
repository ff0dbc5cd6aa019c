//! `kubectl`'s JSONPath templates: text with `{…}` in it.
//! Source: <https://kubernetes.io/docs/reference/kubectl/jsonpath/>. Differs: `{range}` does not nest; filters are RFC 9535's.

use serde_json::Value;
use serde_json_path::JsonPath;

/// How a result is printed: texts without quotes, anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether filling the template in takes no more than its length times the object's size, and no deep call: it has
/// neither a descent (`..`) nor a filter (`?`).
pub(super) fn is_simple(template: &str) -> bool {
    !template.contains("..") && !template.contains('?')
}

/// Fills the template in from the object, with at most so many bytes. What is not there becomes nothing, as with
/// `kubectl get -o jsonpath`.
/// Errors: what is wrong with it.
pub(super) fn render(template: &str, object: &Value, bytes_max: u64) -> Result<String, String> {
    let parts = parts(template).ok_or("unclosed action")?;
    let fits = |out: &String| match out.len() as u64 > bytes_max {
        true => Err(format!("it gives more than {bytes_max} bytes")),
        false => Ok(()),
    };
    let mut out = String::new();
    let mut at = 0;
    while let Some(part) = parts.get(at) {
        at += 1;
        if let Part::Action(action) = part
            && let Some(path) = action.strip_prefix("range ")
        {
            let is_end = |part: &Part| matches!(part, Part::Action(action) if action == "end");
            let rest = parts.get(at..).unwrap_or_default();
            let length = rest.iter().position(is_end).ok_or("not in range, nothing to end")?;
            for item in query(path.trim(), object)? {
                for part in rest.iter().take(length) {
                    part.render(item, &mut out)?;
                    fits(&out)?;
                }
            }
            at += length + 1;
        } else {
            part.render(object, &mut out)?;
            fits(&out)?;
        }
    }
    Ok(out)
}

enum Part {
    Text(String),
    Action(String),
}

impl Part {
    fn render(&self, object: &Value, out: &mut String) -> Result<(), String> {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Action(action) => match literal(action) {
                Some(text) => out.push_str(&text),
                None => {
                    let found: Vec<String> = query(action, object)?.into_iter().map(text).collect();
                    out.push_str(&found.join(" "));
                }
            },
        }
        Ok(())
    }
}

/// The template's texts and actions; `None` when a brace is not closed.
fn parts(template: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        if start > 0 {
            parts.push(Part::Text(rest[..start].to_owned()));
        }
        let body = &rest[start + 1..];
        let mut quote = None;
        let end = body.char_indices().find(|(_, c)| match (quote, c) {
            (None, '}') => true,
            (None, '"' | '\'') => {
                quote = Some(*c);
                false
            }
            (Some(open), c) => {
                if open == *c {
                    quote = None;
                }
                false
            }
            (None, _) => false,
        });
        let end = end?.0;
        parts.push(Part::Action(body[..end].trim().to_owned()));
        rest = &body[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Some(parts)
}

/// The text of `"…"` or `'…'`.
fn literal(action: &str) -> Option<String> {
    let inner = |quote| action.strip_prefix(quote)?.strip_suffix(quote);
    let inner = inner('"').or_else(|| inner('\''))?;
    serde_json::from_str(&format!("\"{}\"", inner.replace('"', "\\\""))).ok()
}

fn query<'a>(path: &str, object: &'a Value) -> Result<Vec<&'a Value>, String> {
    let standard = standard(path)?;
    let path = JsonPath::parse(&standard).map_err(|error| error.to_string())?;
    Ok(path.query(object).all())
}

/// The path as RFC 9535 writes it: `.a\.b-c[0]` is `$['a.b-c'][0]`.
fn standard(path: &str) -> Result<String, String> {
    let mut out = String::from("$");
    let mut chars = path.trim_start_matches(['$', '@']).chars().peekable();
    let mut is_first = true;
    while let Some(c) = chars.next() {
        let mut name = String::new();
        match c {
            '[' => {
                out.push('[');
                let mut depth = 1;
                for c in chars.by_ref() {
                    out.push(c);
                    depth += i32::from(c == '[') - i32::from(c == ']');
                    if depth == 0 {
                        break;
                    }
                }
                if depth != 0 {
                    return Err("unterminated array".to_owned());
                }
                is_first = false;
                continue;
            }
            '.' if chars.next_if_eq(&'.').is_some() => out.push_str(".."),
            '.' => {}
            c if is_first => name.push(c),
            c => return Err(format!("unexpected {c:?}")),
        }
        is_first = false;
        while let Some(c) = chars.next_if(|c| !matches!(c, '.' | '[')) {
            match c {
                '\\' => name.extend(chars.next()),
                c => name.push(c),
            }
        }
        match name.as_str() {
            "" if chars.peek() == Some(&'[') || chars.peek().is_none() => {}
            "" => return Err("empty name".to_owned()),
            "*" => out.push_str("[*]"),
            name => {
                let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
                out.push_str(&format!("['{escaped}']"));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_are_filled_in_as_kubectl_does() {
        let object = json!({"metadata": {"name": "n", "labels": {"a.b/c-d": "v"}},
            "items": [{"name": "x", "n": 1, "on": true}, {"name": "y", "n": 2}]});
        for (template, expected) in [
            ("{.metadata.name}", "n"),
            ("name: {.metadata.name}!", "name: n!"),
            ("{$.metadata.labels.a\\.b/c-d}", "v"),
            ("{.metadata.labels['a.b/c-d']}", "v"),
            ("{.items[*].name}", "x y"),
            ("{.items[?(@.name==\"y\")].n}", "2"),
            ("{.items[0].on}{\"\\t\"}{.items[-1].n}", "true\t2"),
            ("{range .items[*]}{.name}={.n}{\"\\n\"}{end}.", "x=1\ny=2\n."),
            ("{.items[0]}", "{\"n\":1,\"name\":\"x\",\"on\":true}"),
            ("{..name}", "x y n"),
            ("{.nothing.here}", ""),
        ] {
            assert_eq!(render(template, &object, 1_000), Ok(expected.to_owned()), "{template}");
        }
        assert!(render("{.a", &object, 9).is_err() && render("{.a[0}", &object, 9).is_err());
    }

    #[test]
    fn a_template_does_not_multiply_the_object() {
        let object = json!({"a": "x".repeat(100), "l": [1, 2, 3]});
        assert!(render(&"{.a}".repeat(99), &object, 1_000).expect_err("too much").contains("1000 bytes"));
        assert!(render(&format!("{{range .l[*]}}{}{{end}}", "y".repeat(400)), &object, 1_000).is_err());
        assert!(is_simple("{.a[0].b}") && is_simple("{range .l[*]}{@}{end}"));
        assert!(!is_simple("{..a}") && !is_simple("{.l[?(@.a==1)]}"));
    }
}
