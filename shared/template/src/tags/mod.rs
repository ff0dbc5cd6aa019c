//! `{{name}}` and `{{=expression}}` tags.
//!
//! A tag runs from `{{` to the next `}}`. When it names nothing but holds another `{{`, the inner name is looked up
//! and only the inner tag replaced, so that nested tags resolve over several passes, innermost first.
//! What a tag is replaced with is never looked at again in the same pass.
//!
//! Source: Argo util/template (v4.1.2). Argo substitutes in the JSON text of an object, this crate in the parsed tree.
//! Differs: characters for which Go writes an escape that JSON does not have (`\x1b`) make Argo fail, here they are
//! inserted; of an unclosed `{{` the end is searched in the sorted order of keys.

mod error;
mod meter;
mod render;
mod scope;
mod value;

use std::borrow::Cow;

pub use error::Error;
pub use scope::{Entry, Layered, Scope};
pub use value::render_value;

use crate::expr::Program;

use meter::Meter;

pub(crate) const OPEN: &str = "{{";
pub(crate) const CLOSE: &str = "}}";

/// What to do with tags that cannot be resolved (yet).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep them as they are; otherwise they are errors.
    pub allow_unresolved: bool,
    /// Names with one of these first parts (`tasks.`, with or without the dot) are errors even so.
    pub strict_prefixes: Vec<String>,
    /// Tags inside a tag are replaced, innermost first, and then the tag itself, all in one pass: what is put in is only
    /// ever a part of a name. Otherwise a nested tag takes several passes, one for each level, as in Argo.
    pub deep: bool,
    /// `{{=…}}` stays as it is.
    pub keep_expressions: bool,
}

impl Options {
    /// Unresolved tags are errors.
    pub fn strict() -> Self {
        Options::default()
    }

    /// Unresolved tags stay.
    pub fn lenient() -> Self {
        Options { allow_unresolved: true, ..Options::default() }
    }

    /// For a text that is rendered once: unresolved tags stay, nested ones are resolved at once.
    pub fn once() -> Self {
        Options { deep: true, ..Options::lenient() }
    }

    fn must_resolve(&self, name: &str) -> bool {
        !self.allow_unresolved
            || self.strict_prefixes.iter().any(|prefix| {
                let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
                name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
    }

    /// Neither an expression that fails nor one that gives nil is an error.
    fn forgives_failures(&self) -> bool {
        self.allow_unresolved && self.strict_prefixes.is_empty()
    }
}

/// One tag of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// The trimmed name of a simple tag.
    Simple(String),
    /// The text of an expression, without the `=`.
    Expression(String),
}

/// May the text hold a tag? One scan.
pub fn has_tags(text: &str) -> bool {
    text.contains(OPEN)
}

/// The tags of a text in order; of a nested tag the inner one. An unclosed tag is none.
pub fn tags(text: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, tag, after)) = split_tag(rest) {
        rest = after;
        found.push(match tag.strip_prefix('=') {
            Some(expression) => Tag::Expression(expression.to_owned()),
            None => {
                let inner = tag.rfind(OPEN).map_or(tag, |at| &tag[at + OPEN.len()..]);
                Tag::Simple(inner.trim().to_owned())
            }
        });
    }
    found
}

/// The text before the first tag, the tag without its braces, the text behind it.
fn split_tag(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find(OPEN)?;
    let inside = &text[open + OPEN.len()..];
    let close = inside.find(CLOSE)?;
    Some((&text[..open], &inside[..close], &inside[close + CLOSE.len()..]))
}

#[derive(Debug, Clone)]
enum Segment {
    Text(Box<str>),
    Simple(Box<str>),
    Expression(Box<str>, Result<Program, crate::expr::Error>),
}

/// A text whose tags were found and whose expressions were parsed; rendered as often as needed.
#[derive(Debug, Clone)]
pub struct Template {
    segments: Vec<Segment>,
    text: Box<str>,
    /// Where an unclosed `{{` is followed by.
    unclosed: Option<usize>,
}

impl Template {
    /// Finds the tags. Never fails: what is wrong is reported by [`Template::render`], as Argo does.
    pub fn compile(text: &str) -> Self {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((before, tag, after)) = split_tag(rest) {
            if !before.is_empty() {
                segments.push(Segment::Text(before.into()));
            }
            segments.push(match tag.strip_prefix('=') {
                Some(expression) => Segment::Expression(expression.into(), Program::compile(expression)),
                None => Segment::Simple(tag.into()),
            });
            rest = after;
        }
        let unclosed = rest.find(OPEN).map(|at| text.len() - rest.len() + at + OPEN.len());
        if !rest.is_empty() {
            segments.push(Segment::Text(rest.into()));
        }
        Template { segments, text: text.into(), unclosed }
    }

    /// The text it was compiled from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Replaces the tags. Borrows when there is nothing to replace.
    /// Errors: any of [`Error`].
    pub fn render(&self, scope: &dyn Scope, opts: &Options) -> Result<Cow<'_, str>, Error> {
        if let Some(at) = self.unclosed {
            return Err(Error::Unclosed { text: self.text.to_string(), rest: self.text[at..].to_owned() });
        }
        if let [] | [Segment::Text(_)] = self.segments.as_slice() {
            return Ok(Cow::Borrowed(&self.text));
        }
        let meter = Meter::new(scope);
        let mut out = String::with_capacity(self.text.len());
        for segment in &self.segments {
            let before = out.len();
            match segment {
                Segment::Text(text) => out.push_str(text),
                Segment::Simple(tag) => render::simple(&mut out, tag, scope, opts)?,
                Segment::Expression(text, Ok(program)) => {
                    render::expression(&mut out, text, program, scope, opts, &meter)?;
                }
                Segment::Expression(text, Err(source)) => {
                    return Err(Error::Expression { expression: text.to_string(), source: source.clone() });
                }
            }
            meter.text(out.len() - before)?;
        }
        Ok(Cow::Owned(out))
    }
}

/// Replaces the tags of a plain text. A text without `{{` costs one scan and is borrowed.
/// Errors: any of [`Error`].
pub fn render<'t>(text: &'t str, scope: &dyn Scope, opts: &Options) -> Result<Cow<'t, str>, Error> {
    if !has_tags(text) {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let rest = render_closed(&mut out, text, scope, opts, &Meter::new(scope))?;
    if let Some(open) = rest.find(OPEN) {
        return Err(Error::Unclosed { text: text.to_owned(), rest: rest[open + OPEN.len()..].to_owned() });
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// Renders all closed tags into `out`; returns what is behind the last one, not yet written.
fn render_closed<'t>(
    out: &mut String,
    text: &'t str,
    scope: &dyn Scope,
    opts: &Options,
    meter: &Meter<'_>,
) -> Result<&'t str, Error> {
    let mut rest = text;
    let mut measured = out.len();
    while let Some((before, tag, after)) = split_tag(rest) {
        meter.text(out.len() - measured)?;
        measured = out.len();
        out.push_str(before);
        match tag.strip_prefix('=') {
            Some(_) if opts.keep_expressions => render::keep(out, tag),
            None if opts.deep && tag.contains(OPEN) => {
                let inside = &rest[before.len() + OPEN.len()..];
                rest = render::nested(out, inside, scope, opts)?.unwrap_or(after);
                continue;
            }
            Some(text) => match Program::compile(text) {
                Ok(program) => render::expression(out, text, &program, scope, opts, meter)?,
                Err(source) => {
                    return Err(Error::Expression { expression: text.to_owned(), source });
                }
            },
            None => render::simple(out, tag, scope, opts)?,
        }
        rest = after;
    }
    meter.text(out.len() - measured)?;
    Ok(rest)
}

/// The value of a text that is exactly one tag, and the tag without its braces.
/// Errors: Argo's texts `Unable to resolve: "…"` and `Unable to compile: "…"`; `None` when the text is not one tag.
/// Source: Argo util/template `ResolveVar`.
pub fn resolve_variable(text: &str, scope: &dyn Scope) -> Option<Result<(String, String), ResolveError>> {
    let (before, tag, after) = split_tag(text)?;
    if !before.is_empty() || !after.is_empty() {
        return None;
    }
    let mut out = String::new();
    Some(match tag.strip_prefix('=') {
        Some(expression) => {
            let compiled = Program::compile(expression);
            let meter = Meter::new(scope);
            let done =
                compiled.ok().map(|p| render::expression(&mut out, expression, &p, scope, &Options::strict(), &meter));
            match done {
                Some(Ok(())) => Ok((tag.trim().to_owned(), out)),
                _ => Err(ResolveError::Compile { expression: expression.to_owned() }),
            }
        }
        None => {
            let name = tag.trim();
            match render::simple(&mut out, tag, scope, &Options::strict()) {
                Ok(()) => Ok((name.to_owned(), out)),
                Err(_) => Err(ResolveError::Resolve { name: name.to_owned() }),
            }
        }
    })
}

/// Why [`resolve_variable`] failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No such variable.
    #[error("Unable to resolve: {}", crate::gofmt::quote(.name))]
    Resolve { name: String },
    /// A bad expression, or one with unknown variables.
    #[error("Unable to compile: {}", crate::gofmt::quote(.expression))]
    Compile { expression: String },
}
