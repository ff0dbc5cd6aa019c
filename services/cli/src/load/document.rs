//! The documents of one file.

use std::{io::Read, ops::Range, sync::Arc};

use serde_json::{Value, json};

use super::{
    source::{FILE_BYTES_MAX, Parts, Place, Source},
    yaml,
};
use crate::{diagnostic::Diagnostic, suggest};

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it was read.
    pub source: Arc<Source>,
    /// What it says.
    pub value: Value,
    /// Where it says it.
    pub place: Place,
}

impl Document {
    /// `kind`, empty when there is none.
    pub fn kind(&self) -> &str {
        self.value.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// `metadata.name` or `metadata.generateName`.
    pub fn name(&self) -> &str {
        let metadata = |key| self.value.pointer(key).and_then(Value::as_str).filter(|name| !name.is_empty());
        metadata("/metadata/name").or_else(|| metadata("/metadata/generateName")).unwrap_or("unnamed")
    }
}

/// Most bytes of one file.
pub fn bytes_max() -> u64 {
    std::env::var("ARGOSY_FILE_BYTES_MAX").ok().and_then(|text| text.parse().ok()).unwrap_or(FILE_BYTES_MAX)
}

/// The text of the file at `path`, `-` for standard input.
pub fn read(path: &str, bytes_max: u64) -> Result<Source, Box<Diagnostic>> {
    let name = if path == "-" { "<stdin>" } else { path };
    let failed = |error: std::io::Error| Box::new(unreadable(name, &error));
    let mut bytes = Vec::new();
    let limit = bytes_max + 1;
    if path == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
    }
    if bytes.len() as u64 > bytes_max {
        let mut problem = Diagnostic::of_file(name, format!("the file is larger than {bytes_max} bytes"));
        problem.help = Some(
            "split it, or pass large data as an artifact or a ConfigMap; ARGOSY_FILE_BYTES_MAX raises the limit"
                .to_owned(),
        );
        return Err(Box::new(problem));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            let mut problem = Diagnostic::of_file(format!("{name}:{line}"), "this is not UTF-8 text");
            problem.help = Some("name a YAML or JSON file".to_owned());
            Err(Box::new(problem))
        }
    }
}

/// The file at `path` cannot be read.
pub fn unreadable(path: &str, error: &std::io::Error) -> Diagnostic {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Diagnostic { help: meant(path), ..Diagnostic::of_file(path, "there is no such file") }
        }
        _ => Diagnostic::of_file(path, format!("cannot read: {error}")),
    }
}

/// What was meant by the name of a file that is not there, as far as it can be told.
fn meant(path: &str) -> Option<String> {
    if path.starts_with("http://") || path.starts_with("https://") {
        return Some(format!("addresses are not read; write `curl -sSL {path} | argosy … -`"));
    }
    let (name, value) = path.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    is_name.then(|| suggest::question(&format!("-p {name}={value}")))
}

/// The documents of one source.
pub fn text(source: &Arc<Source>, documents: &mut Vec<Document>, problems: &mut Vec<Diagnostic>) {
    for part in split(&source.text) {
        let body = &source.text[part.clone()];
        let mistakes = match parse(body) {
            Ok((Value::Null, _, warnings)) => warnings,
            Ok((value, mut place, warnings)) => {
                shift(&mut place, part.start);
                add(source, value, place, documents);
                warnings
            }
            Err(mistakes) => mistakes,
        };
        problems.extend(mistakes.into_iter().map(|mistake| Diagnostic {
            span: Some(mistake.at.start + part.start..mistake.at.end + part.start),
            help: mistake.help,
            warning: mistake.warning,
            ..Diagnostic::of_source(source, mistake.message)
        }));
    }
}

/// Adds a document; of a `List`, as `kubectl get -o yaml` prints it, each of its items.
fn add(source: &Arc<Source>, mut value: Value, place: Place, documents: &mut Vec<Document>) {
    let is_list =
        value.get("kind").and_then(Value::as_str) == Some("List") && value.get("apiVersion") == Some(&json!("v1"));
    let items = if is_list { value.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take) } else { None };
    let Some(items) = items else {
        documents.push(Document { source: source.clone(), value, place });
        return;
    };
    let places = place.member("items");
    for (index, value) in items.into_iter().enumerate() {
        let place = places.and_then(|places| places.item(index)).cloned().unwrap_or_default();
        documents.push(Document { source: source.clone(), value, place });
    }
}

fn parse(body: &str) -> Result<yaml::Read, Vec<yaml::Mistake>> {
    let tried = yaml::document(body);
    // JSON is YAML but for escapes such as surrogate pairs; its own reader has the last word.
    if body.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str::<Value>(body)
    {
        let (place, warnings) = tried.map(|(_, place, warnings)| (place, warnings)).unwrap_or_default();
        return Ok((value, place, warnings));
    }
    tried
}

/// Byte ranges between the lines that start with `---`, which is how Argo separates documents.
fn split(text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---");
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            parts.push(start..at);
            // Something may stand behind the dashes; blanks keep the columns right.
            start = at + (line.len() - rest.len());
        }
        at += line.len();
    }
    parts.push(start..text.len());
    parts.retain(|part| !text[part.clone()].trim().is_empty());
    parts
}

fn shift(place: &mut Place, by: usize) {
    let moved = |range: &Range<usize>| range.start + by..range.end + by;
    place.key = moved(&place.key);
    place.value = moved(&place.value);
    match &mut place.parts {
        Parts::None => {}
        Parts::Map(map) => map.values_mut().for_each(|part| shift(part, by)),
        Parts::List(list) => list.iter_mut().for_each(|part| shift(part, by)),
    }
}
