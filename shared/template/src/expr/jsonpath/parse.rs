//! From text to steps.

use super::{Step, filter};

/// Limit of the steps of a path.
const STEPS_MAX: usize = 100;

/// The steps of a path that begins with `$` or `@`. Errors: why it is none.
pub(super) fn steps(path: &str) -> Result<Vec<Step>, String> {
    let Some(mut rest) = path.strip_prefix(['$', '@']) else {
        let first: String = path.chars().take(1).collect();
        return Err(format!("unexpected token '{first}' at index 0"));
    };
    let mut steps = Vec::new();
    while let Some(c) = rest.chars().next() {
        if steps.len() > STEPS_MAX {
            return Err(format!("has more than {STEPS_MAX} steps"));
        }
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Recursive);
            rest = after;
            if !rest.is_empty() && !rest.starts_with('[') {
                rest = name(rest, &mut steps)?;
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = name(after, &mut steps)?;
        } else if c == '[' {
            let end = closing(rest).ok_or_else(|| unknown(rest))?;
            steps.push(bracket(rest[1..end].trim()).ok_or_else(|| unknown(&rest[..=end]))?);
            rest = &rest[end + 1..];
        } else {
            return Err(format!("unexpected token '{c}' at index {}", path.len() - rest.len()));
        }
    }
    Ok(steps)
}

fn unknown(text: &str) -> String {
    format!("invalid token. '{text}' does not match any token format")
}

/// A name behind a dot: everything up to the next dot or bracket.
fn name<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    steps.push(match &text[..end] {
        "" => return Err("invalid token. token string is empty".into()),
        "*" => Step::Wildcard,
        name => Step::Key(name.to_owned()),
    });
    Ok(&text[end..])
}

/// Where the bracket that begins the text ends, past quotes and inner brackets.
pub(super) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth -= 1,
            (None, _) => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What stands between brackets.
fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::Wildcard);
    }
    if let Some(test) = text.strip_prefix('?') {
        let test = test.trim().strip_prefix('(')?.strip_suffix(')')?;
        return Some(Step::Filter(filter::parse(test)));
    }
    if let Some(script) = text.strip_prefix('(') {
        return filter::parse(script.strip_suffix(')')?).map(Step::Script);
    }
    if text.starts_with(['\'', '"']) {
        let mut names = list(text)?;
        return match names.len() {
            1 => names.pop().map(Step::Key),
            _ => Some(Step::Keys(names)),
        };
    }
    if text.contains(':') {
        let mut bounds = [None; 3];
        let parts: Vec<&str> = text.split(':').collect();
        if parts.len() > 3 {
            return None;
        }
        for (bound, part) in bounds.iter_mut().zip(parts) {
            if !part.trim().is_empty() {
                *bound = Some(part.trim().parse().ok()?);
            }
        }
        let [from, to, by] = bounds;
        return Some(Step::Range { from, to, by });
    }
    let indexes: Option<Vec<i64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    match indexes?.as_slice() {
        [index] => Some(Step::Index(*index)),
        indexes => Some(Step::Indexes(indexes.to_vec())),
    }
}

/// Quoted names separated by commas.
fn list(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = quoted(rest)?;
        names.push(name);
        rest = match after.trim_start() {
            "" => return Some(names),
            after => after.strip_prefix(',')?.trim_start(),
        };
    }
}

/// A quoted text and what follows it.
pub(super) fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut out = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            out.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some((out, &text[at + 1..]));
        } else {
            out.push(c);
        }
    }
    None
}
