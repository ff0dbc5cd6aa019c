//! YAML events to a JSON value with the place of every part.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::{
    scalar,
    source::{FILE_BYTES_MAX, Parts, Place},
};

/// Deepest nesting; serde_json's own limit is 128.
const DEPTH_MAX: usize = 100;
/// Most values that aliases may add: an alias bomb doubles with every line, an honest file does not come near.
const ALIASED_NODES_MAX: usize = 100_000;
/// Most bytes of texts and keys that anchors and aliases may copy, whatever the file itself may have.
const COPIED_BYTES_MAX: usize = FILE_BYTES_MAX as usize;

/// A mistake in the text; the place is in bytes of the document.
#[derive(Debug)]
pub struct Mistake {
    pub at: Range<usize>,
    pub message: String,
    pub help: Option<String>,
    /// Only a warning: Argo lets it pass.
    pub warning: bool,
}

impl Mistake {
    fn error(at: Range<usize>, message: impl Into<String>, help: Option<&str>) -> Self {
        Self { at, message: message.into(), help: help.map(str::to_owned), warning: false }
    }
}

/// A document that could be read: its value, the places of its parts, and warnings.
pub type Read = (Value, Place, Vec<Mistake>);

#[derive(Clone)]
struct Node {
    value: Value,
    place: Place,
    /// Values in it.
    size: usize,
    /// Bytes of its texts and keys.
    bytes: usize,
}

/// The value of one document; `Null` for an empty one.
///
/// A key that is set twice is a warning, as Argo's own examples have such and the last one counts there.
pub fn document(text: &str) -> Result<Read, Vec<Mistake>> {
    let mut builder = Builder::new(text);
    match builder.read() {
        Ok(node) if builder.mistakes.iter().all(|mistake| mistake.warning) => {
            Ok((node.value, node.place, builder.mistakes))
        }
        Ok(_) => Err(builder.mistakes),
        Err(mistake) => {
            builder.mistakes.push(mistake);
            Err(builder.mistakes)
        }
    }
}

struct Builder<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// Byte offsets by character, where the text is not ASCII.
    offsets: Option<Vec<usize>>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    copied: usize,
    mistakes: Vec<Mistake>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        // As libyaml, which is what Go's reader is made of.
        let options = granit_parser::options! {
            strict_indentation: false,
            block_scalar_eof_without_line_feed: true,
            bom_inside_document_as_content: true,
            emit_comments: false,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Self { text, parser, offsets, anchors: HashMap::new(), aliased: 0, copied: 0, mistakes: Vec::new() }
    }

    fn byte(&self, chars: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(chars).copied().unwrap_or(self.text.len()),
            None => chars.min(self.text.len()),
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        // A span may run on over the line break that ends it.
        let kept = self.text.get(start..end).map_or(0, |inside| inside.trim_end().len());
        start..start + kept
    }

    fn syntax(&self, error: &ScanError) -> Mistake {
        let at = self.byte(error.marker().index());
        let help = self.line_has_tab(at).then_some("indent with spaces: YAML does not allow tabs there");
        Mistake::error(at..at, format!("bad YAML: {}", error.info()), help)
    }

    fn line_has_tab(&self, at: usize) -> bool {
        let start = self.text[..at].rfind('\n').map_or(0, |n| n + 1);
        let line = &self.text[start..];
        line[..line.len() - line.trim_start().len()].contains('\t')
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Mistake> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::empty(granit_parser::Marker::new(0, 1, 0)))),
        }
    }

    fn read(&mut self) -> Result<Node, Mistake> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart
                | Event::DocumentStart(..)
                | Event::DocumentEnd
                | Event::Anchor(..)
                | Event::Comment(..) => {}
                event => {
                    let node = self.node(event, span, 0)?;
                    root.get_or_insert(node);
                }
            }
        }
        Ok(root.unwrap_or(Node { value: Value::Null, place: Place::default(), size: 1, bytes: 0 }))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Mistake> {
        let at = self.range(span);
        if depth > DEPTH_MAX {
            return Err(Mistake::error(at, format!("nested more than {DEPTH_MAX} levels deep"), None));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar_value(&text, style, tag.as_deref().and_then(Tag::core_suffix));
                let place = Place { key: at.clone(), value: at, parts: Parts::None };
                (anchor, Node { value, place, size: 1, bytes: text.len() })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(at, depth)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(at, depth)?),
            Event::Alias(id) => return self.alias(id, at),
            Event::UnresolvedAlias(name) => {
                return Err(Mistake::error(at, format!("bad YAML: there is no anchor `&{name}`"), None));
            }
            // Ends of what has not begun; the parser may learn new events.
            _ => {
                return Err(Mistake::error(at, "bad YAML: the text ends too early", None));
            }
        };
        if anchor != 0 {
            // Kept beside the value itself: anchors around anchors would keep each text as often as they are deep.
            self.copy(node.bytes, &node.place.value)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, at: Range<usize>) -> Result<Node, Mistake> {
        let Some((size, bytes)) = self.anchors.get(&id).map(|node| (node.size, node.bytes)) else {
            return Err(Mistake::error(at, "bad YAML: an anchor that contains itself", None));
        };
        self.aliased += size;
        if self.aliased > ALIASED_NODES_MAX {
            let message = format!("aliases expand to more than {ALIASED_NODES_MAX} values");
            return Err(Mistake::error(at, message, Some("write the values out, or use fewer nested aliases")));
        }
        self.copy(bytes, &at)?;
        let mut node = self.anchors[&id].clone();
        node.place.key = at;
        Ok(node)
    }

    /// Counts what an anchor or an alias copies.
    fn copy(&mut self, bytes: usize, at: &Range<usize>) -> Result<(), Mistake> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied <= COPIED_BYTES_MAX {
            return Ok(());
        }
        let message = format!("anchors and aliases copy more than {COPIED_BYTES_MAX} bytes");
        let help = "write the texts out, or pass large data as an artifact or a ConfigMap";
        Err(Mistake::error(at.clone(), message, Some(help)))
    }

    fn list(&mut self, at: Range<usize>, depth: usize) -> Result<Node, Mistake> {
        let (mut items, mut places, mut size, mut bytes, mut end) = (Vec::new(), Vec::new(), 1, 0, at.end);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            let node = self.node(event, span, depth + 1)?;
            size += node.size;
            bytes += node.bytes;
            end = end.max(node.place.value.end);
            items.push(node.value);
            places.push(node.place);
        }
        let value = at.start..end;
        Ok(Node {
            value: Value::Array(items),
            place: Place { key: at, value, parts: Parts::List(places) },
            size,
            bytes,
        })
    }

    fn map(&mut self, at: Range<usize>, depth: usize) -> Result<Node, Mistake> {
        let (mut members, mut places, mut size, mut bytes, mut end) = (Map::new(), BTreeMap::new(), 1, 0, at.end);
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let merges = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let mut node = self.node(event, span, depth + 1)?;
            size += 1 + node.size;
            // A key stands in the value and in the places.
            bytes += 2 * key.bytes + node.bytes;
            end = end.max(node.place.value.end);
            if merges {
                merged.push((node, key.place.value));
                continue;
            }
            if key.value.is_object() || key.value.is_array() {
                let help = Some("quote it: texts with {{…}} must stand in quotes");
                self.mistakes.push(Mistake::error(key.place.value, "a key must be a text", help));
                continue;
            }
            let name = scalar::key(key.value);
            node.place.key = key.place.value.clone();
            if members.contains_key(&name) {
                let message = format!("key `{name}` is set twice; the last one counts");
                let mistake = Mistake::error(key.place.value, message, Some("remove one of the two"));
                self.mistakes.push(Mistake { warning: true, ..mistake });
            }
            members.insert(name.clone(), node.value);
            places.insert(name, node.place);
        }
        for (node, at) in merged {
            merge(&mut members, &mut places, node, at)?;
        }
        let value = at.start..end;
        Ok(Node {
            value: Value::Object(members),
            place: Place { key: at, value, parts: Parts::Map(places) },
            size,
            bytes,
        })
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&str>) -> Value {
    match (style, tag) {
        (_, Some("str" | "binary")) => Value::String(text.to_owned()),
        (ScalarStyle::Plain, _) | (_, Some("int" | "float" | "bool" | "null")) => scalar::plain(text),
        (ScalarStyle::Literal | ScalarStyle::Folded | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, _) => {
            Value::String(text.to_owned())
        }
    }
}

fn merge(
    members: &mut Map<String, Value>,
    places: &mut BTreeMap<String, Place>,
    node: Node,
    at: Range<usize>,
) -> Result<(), Mistake> {
    match (node.value, node.place.parts) {
        (Value::Object(from), Parts::Map(mut from_places)) => {
            for (name, value) in from {
                if !members.contains_key(&name) {
                    places.insert(name.clone(), from_places.remove(&name).unwrap_or_default());
                    members.insert(name, value);
                }
            }
            Ok(())
        }
        (Value::Array(items), Parts::List(item_places)) => {
            for (value, place) in items.into_iter().zip(item_places) {
                merge(members, places, Node { value, place, size: 0, bytes: 0 }, at.clone())?;
            }
            Ok(())
        }
        _ => Err(Mistake::error(at, "`<<` needs a mapping or a list of mappings", None)),
    }
}
