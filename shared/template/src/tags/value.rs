//! Tags in all strings and keys of a JSON tree.

use serde_json::Value as Json;

use super::{CLOSE, Error, OPEN, Options, Scope, has_tags, meter::Meter, render, render_closed};

/// Replaces the tags in every string and every key of `value`; says whether anything changed.
/// A tree without tags is not touched and nothing is allocated.
/// Errors: any of [`Error`]; the value is then partly rendered and should be thrown away.
pub fn render_value(value: &mut Json, scope: &dyn Scope, opts: &Options) -> Result<bool, Error> {
    if !any_tags(value) {
        return Ok(false);
    }
    let mut walk = Walk { scope, opts, meter: Meter::new(scope), open: None };
    let changed = walk.value(value).map_err(Error::in_json)?;
    match walk.open {
        Some(unclosed) => Err(unclosed.in_json()),
        None => Ok(changed),
    }
}

fn any_tags(value: &Json) -> bool {
    match value {
        Json::String(text) => has_tags(text),
        Json::Array(items) => items.iter().any(any_tags),
        Json::Object(map) => map.iter().any(|(key, item)| has_tags(key) || any_tags(item)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

struct Walk<'a> {
    scope: &'a dyn Scope,
    opts: &'a Options,
    /// Of all texts together.
    meter: Meter<'a>,
    /// An unclosed `{{` of an earlier string: in JSON text its tag goes on to the next `}}`, wherever that is.
    open: Option<Error>,
}

impl Walk<'_> {
    fn value(&mut self, value: &mut Json) -> Result<bool, Error> {
        match value {
            Json::String(text) => match self.text(text)? {
                Some(new) => {
                    let changed = *text != new;
                    *text = new;
                    Ok(changed)
                }
                None => Ok(false),
            },
            Json::Array(items) => {
                let mut changed = false;
                for item in items {
                    changed |= self.value(item)?;
                }
                Ok(changed)
            }
            Json::Object(map) => self.object(map),
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(false),
        }
    }

    fn object(&mut self, map: &mut serde_json::Map<String, Json>) -> Result<bool, Error> {
        if self.open.is_none() && !map.keys().any(|key| has_tags(key)) {
            let mut changed = false;
            for (_, item) in map.iter_mut() {
                changed |= self.value(item)?;
            }
            return Ok(changed);
        }
        let mut changed = false;
        let mut done = serde_json::Map::new();
        for (key, mut item) in std::mem::take(map) {
            let key = match self.text(&key)? {
                Some(new) => {
                    changed |= new != key;
                    new
                }
                None => key,
            };
            changed |= self.value(&mut item)?;
            done.insert(key, item);
        }
        *map = done;
        Ok(changed)
    }

    /// The new text, `None` when it stays.
    fn text(&mut self, text: &str) -> Result<Option<String>, Error> {
        if self.open.is_some() {
            return self.continued(text);
        }
        if !has_tags(text) {
            return Ok(None);
        }
        self.closed(String::new(), text).map(Some)
    }

    fn closed(&mut self, mut out: String, text: &str) -> Result<String, Error> {
        let rest = render_closed(&mut out, text, self.scope, self.opts, &self.meter)?;
        if let Some(at) = rest.find(OPEN) {
            self.open = Some(Error::Unclosed { text: text.to_owned(), rest: rest[at + OPEN.len()..].to_owned() });
        }
        out.push_str(rest);
        Ok(out)
    }

    /// A string reached while a tag of an earlier one is open.
    fn continued(&mut self, text: &str) -> Result<Option<String>, Error> {
        let Some(close) = text.find(CLOSE) else {
            return Ok(None);
        };
        let (head, rest) = (&text[..close], &text[close + CLOSE.len()..]);
        let mut out = String::with_capacity(text.len());
        let replaced = match head.rfind(OPEN) {
            Some(at) => render::inner(&mut out, head, at, self.scope)?.map(|()| at),
            None => None,
        };
        match replaced {
            // `inner` writes the braces of a tag that began here; this one began in an earlier string.
            Some(_) => out.drain(..OPEN.len()).for_each(drop),
            None if !self.opts.allow_unresolved => {
                return Err(Error::MissingVariable { name: head.to_owned() });
            }
            None => {
                out.push_str(head);
                out.push_str(CLOSE);
            }
        }
        self.open = None;
        self.closed(out, rest).map(Some)
    }
}
