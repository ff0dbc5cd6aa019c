//! Replacing one tag.

use serde_json::Value as Json;

use super::{CLOSE, Entry, Error, OPEN, Options, Scope, meter::Meter};
use crate::expr::{Env, Fail, Program, Value, expand};

/// Writes the value of a simple tag, or the tag itself.
pub(super) fn simple(out: &mut String, tag: &str, scope: &dyn Scope, opts: &Options) -> Result<(), Error> {
    let name = tag.trim();
    match scope.entry(name) {
        Some(Entry::Text(text)) => {
            out.push_str(&text);
            return Ok(());
        }
        Some(Entry::Absent) => {
            return Err(Error::Absent { name: name.to_owned() });
        }
        Some(Entry::Json(_) | Entry::Time(_)) => {
            return Err(Error::NotText { name: name.to_owned() });
        }
        None => {}
    }
    let nested = tag.rfind(OPEN).filter(|at| *at > 0);
    if let Some(at) = nested {
        if let Some(()) = inner(out, tag, at, scope)? {
            return Ok(());
        }
        let name = &tag[at + OPEN.len()..];
        if opts.allow_unresolved && opts.must_resolve(name.trim()) {
            return Err(Error::MissingVariable { name: tag.to_owned() });
        }
    }
    if opts.must_resolve(name) {
        return Err(Error::MissingVariable { name: tag.to_owned() });
    }
    keep(out, tag);
    Ok(())
}

/// Writes a tag with the tag inside it replaced; `None` when the inner one names nothing either.
pub(super) fn inner(out: &mut String, tag: &str, at: usize, scope: &dyn Scope) -> Result<Option<()>, Error> {
    let (before, name) = (&tag[..at], &tag[at + OPEN.len()..]);
    match scope.entry(name) {
        Some(Entry::Text(text)) => {
            out.push_str(OPEN);
            out.push_str(before);
            out.push_str(&text);
            Ok(Some(()))
        }
        Some(Entry::Absent) => Err(Error::AbsentNested { tag: tag.to_owned(), name: name.to_owned() }),
        Some(Entry::Json(_) | Entry::Time(_)) => Err(Error::NotText { name: name.to_owned() }),
        None => Ok(None),
    }
}

/// Writes what a tag with tags in it stands for; `text` begins behind its `{{`. Answers what is behind it; none when it is
/// not closed, in which case the part up to the first `}}` is treated as a tag of its own.
pub(super) fn nested<'t>(
    out: &mut String,
    text: &'t str,
    scope: &dyn Scope,
    opts: &Options,
) -> Result<Option<&'t str>, Error> {
    let mut names = vec![String::new()];
    let mut rest = text;
    loop {
        let Some(close) = rest.find(CLOSE) else {
            let first = text.split(CLOSE).next().unwrap_or_default();
            simple(out, first, scope, opts)?;
            return Ok(None);
        };
        if let Some(open) = rest[..close].find(OPEN) {
            if let Some(name) = names.last_mut() {
                name.push_str(&rest[..open]);
            }
            names.push(String::new());
            rest = &rest[open + OPEN.len()..];
            continue;
        }
        let mut name = names.pop().unwrap_or_default();
        name.push_str(&rest[..close]);
        rest = &rest[close + CLOSE.len()..];
        let mut found = String::new();
        whole(&mut found, &name, scope, opts)?;
        match names.last_mut() {
            Some(outer) => outer.push_str(&found),
            None => {
                out.push_str(&found);
                return Ok(Some(rest));
            }
        }
    }
}

/// Writes the value of a tag in which nothing counts as a tag any more, or the tag itself.
fn whole(out: &mut String, tag: &str, scope: &dyn Scope, opts: &Options) -> Result<(), Error> {
    let name = tag.trim();
    match scope.entry(name) {
        Some(Entry::Text(text)) => out.push_str(&text),
        Some(Entry::Absent) => return Err(Error::Absent { name: name.to_owned() }),
        Some(Entry::Json(_) | Entry::Time(_)) => return Err(Error::NotText { name: name.to_owned() }),
        None if opts.must_resolve(name) => return Err(Error::MissingVariable { name: tag.to_owned() }),
        None => keep(out, tag),
    }
    Ok(())
}

pub(super) fn keep(out: &mut String, tag: &str) {
    out.push_str(OPEN);
    out.push_str(tag);
    out.push_str(CLOSE);
}

/// Writes the result of an expression, or the tag itself.
pub(super) fn expression(
    out: &mut String,
    text: &str,
    program: &Program,
    scope: &dyn Scope,
    opts: &Options,
    meter: &Meter<'_>,
) -> Result<(), Error> {
    let vars = variables(program, scope);
    let limit = |fail: Fail| Error::Expression { expression: text.to_owned(), source: fail.into_error(text) };
    meter.budget.copied(&vars).map_err(limit)?;
    let mut env = Env::new(&vars).with_functions();
    env.now = scope.now();
    let missing = program.missing(&env);
    if let Some(first) = missing.first() {
        if let Some(name) = missing.iter().find(|name| opts.must_resolve(name)) {
            let name = if opts.allow_unresolved { name } else { first };
            return Err(Error::MissingInExpression { name: (*name).to_owned(), expression: text.to_owned() });
        }
        out.push_str("{{=");
        out.push_str(text);
        out.push_str(CLOSE);
        return Ok(());
    }
    let failure = match program.run_within(&env, &meter.budget) {
        Ok(Value::Str(result)) => {
            out.push_str(&result);
            return Ok(());
        }
        Ok(Value::Nil) => Error::NilResult { expression: text.to_owned() },
        Ok(value) => match value.to_json(true) {
            Some(json) => {
                out.push_str(&json);
                return Ok(());
            }
            None => {
                return Err(Error::NoJson { expression: text.to_owned() });
            }
        },
        Err(source) => Error::Expression { expression: text.to_owned(), source },
    };
    if !opts.forgives_failures() || failure.is_limit() {
        return Err(failure);
    }
    out.push_str("{{=");
    out.push_str(text);
    out.push_str(CLOSE);
    Ok(())
}

/// The variables an expression can reach, nested by their dots. Of the others only enough is there to tell which
/// parents exist, so that the work does not grow with the scope.
fn variables(program: &Program, scope: &dyn Scope) -> Json {
    let entry = |key| scope.entry(key).map(|entry| (key, entry.into_json()));
    let Some(paths) = program.reads() else {
        return expand(scope.keys().filter_map(entry));
    };
    let mut keys: Vec<&str> = Vec::new();
    for path in paths {
        keys.extend(scope.keys_under(path));
        for (dot, _) in path.match_indices('.') {
            // A parent's own value, and one child as a witness that the parent exists.
            let parent = &path[..dot];
            keys.extend(scope.entry(parent).map(|_| parent));
            keys.extend(scope.keys_under(parent).find(|key| *key != parent));
        }
    }
    expand(keys.into_iter().filter_map(entry))
}
