//! Loops: which items there are, and the steps they make. Source: Argo `expandStep`, `processItem`.
//!
//! Each text of a looped step is rendered once: those that speak of the item for each item, with everything else in scope
//! too, the others for all. What was put in is never looked at again.

use std::{collections::BTreeMap, sync::Arc};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{self as api, WorkflowStep};
use argosy_template::{
    Scope, expr, sequence,
    tags::{self, Layered, Options, Tag},
    when,
};
use serde_json::Value;

use crate::{
    json::json,
    tagged::mentions_tags,
    values::items::{LoopItem, list_error},
};

/// A step of a loop, or one without a loop.
pub(crate) struct Item {
    /// With the item, for one of a loop.
    pub name: ArcStr,
    pub step: Arc<WorkflowStep>,
}

/// Why a step cannot be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Something that it refers to is not there.
    Reference(String),
    /// Its loop has no items, or an item lacks what the step asks for.
    Loop(String),
}

impl Failure {
    pub fn into_message(self) -> String {
        match self {
            Self::Reference(message) | Self::Loop(message) => message,
        }
    }
}

/// Tags that name steps or tasks must resolve, whatever else may stay.
pub(crate) fn reference_options() -> Options {
    Options { strict_prefixes: vec!["steps.".to_owned(), "tasks.".to_owned()], ..Options::once() }
}

pub(crate) fn is_loop(step: &WorkflowStep) -> bool {
    !step.with_items.is_empty() || !step.with_param.is_empty() || step.with_sequence.is_some()
}

/// Whatever the item is, the condition does not hold.
fn is_false(when: &str, scope: &dyn Scope) -> bool {
    let text = tags::render(when, scope, &reference_options());
    text.is_ok_and(|text| when::evaluate_within(&text, &scope.limits()) == Ok(false))
}

/// The condition with everything put in, where it does not hold whatever the item is: then nothing else of the step is
/// resolved.
pub(crate) fn false_anyway(when: &str, scope: &dyn Scope) -> Option<String> {
    if when.is_empty() || tags::tags(when).iter().any(speaks_of_item) {
        return None;
    }
    let text = tags::render(when, scope, &reference_options()).ok()?.into_owned();
    (when::evaluate_within(&text, &scope.limits()) == Ok(false)).then_some(text)
}

fn speaks_of_item(tag: &Tag) -> bool {
    let is_item = |name: &str| name == "item" || name.starts_with("item.");
    match tag {
        Tag::Simple(name) => is_item(name.trim()),
        // One that cannot be read is told about later.
        Tag::Expression(text) => expr::identifiers(text).map_or(true, |names| names.iter().any(|name| is_item(name))),
    }
}

/// The items of a loop whose condition does not hold: the list is taken as it is written, but for what `outer` has. One that
/// is no list then has no items.
pub(crate) fn skipped(name: &str, step: &WorkflowStep, when: &str, outer: &dyn Scope) -> Result<Vec<Item>, Failure> {
    let lenient = WorkflowStep { when: when.to_owned(), ..step.clone() };
    let items = items_by(&lenient, outer, &Options::once())?.unwrap_or_default();
    let mut skipped = lenient;
    skipped.with_items.clear();
    skipped.with_param.clear();
    skipped.with_sequence = None;
    let skipped = Arc::new(skipped);
    let item = |(index, item): (usize, &LoopItem)| Item { name: item.name(name, index).into(), step: skipped.clone() };
    Ok(items.iter().enumerate().map(item).collect())
}

/// The items of a step's loop; none for a step without one, and for one whose `withParam` turns out to be empty.
///
/// Errors: `withParam` that is no JSON list, a sequence that cannot be counted, more items than there may be.
pub(crate) fn items(step: &WorkflowStep, scope: &dyn Scope) -> Result<Option<Vec<LoopItem>>, Failure> {
    items_by(step, scope, &reference_options())
}

fn items_by(step: &WorkflowStep, scope: &dyn Scope, options: &Options) -> Result<Option<Vec<LoopItem>>, Failure> {
    let limit = scope.limits().loop_items;
    let render = |text: &str| {
        tags::render(text, scope, options)
            .map(std::borrow::Cow::into_owned)
            .map_err(|e| Failure::Reference(e.to_string()))
    };
    let list = if !step.with_items.is_empty() {
        let mut list = Value::Array(step.with_items.clone());
        tags::render_value(&mut list, scope, options).map_err(|e| Failure::Reference(e.to_string()))?;
        list.as_array().into_iter().flatten().map(LoopItem::of_value).collect::<Vec<_>>()
    } else if !step.with_param.is_empty() {
        let text = render(&step.with_param)?;
        if text.is_empty() {
            return Ok(None);
        }
        match LoopItem::of_list(text.trim(), limit) {
            Ok(list) => list,
            Err(_) if is_false(&step.when, scope) => Vec::new(),
            Err(e) => {
                let text = text.trim();
                let message =
                    format!("withParam value could not be parsed as a JSON list: {text}: {}", list_error(text, &e));
                return Err(Failure::Loop(message));
            }
        }
    } else if let Some(sequence) = &step.with_sequence {
        let text = |v: &Option<api::IntOrString>| v.as_ref().map(|v| render(&v.to_string())).transpose();
        let (count, start, end) = (text(&sequence.count)?, text(&sequence.start)?, text(&sequence.end)?);
        let format = render(&sequence.format)?;
        let list = sequence::expand_within(start.as_deref(), end.as_deref(), count.as_deref(), Some(&format), limit)
            .map_err(|e| Failure::Loop(e.to_string()))?;
        list.into_iter().map(LoopItem::of_text).collect()
    } else {
        return Ok(None);
    };
    if list.len() as u64 > limit {
        return Err(Failure::Loop(argosy_template::limits::too_many_items(list.len() as u64, limit)));
    }
    Ok(Some(list))
}

/// A step with what is the same for all of its items put in already.
pub(crate) struct Loop<'s> {
    base: Arc<WorkflowStep>,
    value: Value,
    /// What differs: where, as a JSON pointer, and the value with its tags.
    places: Vec<(String, Value)>,
    /// A text that is the same for all items has a tag that nothing resolves.
    unresolved: Option<String>,
    /// All that can be named but the item.
    scope: &'s dyn Scope,
}

impl<'s> Loop<'s> {
    /// Takes a step without its loop, hooks and references to artifacts. Errors: a reference that has no value.
    pub fn new(step: WorkflowStep, scope: &'s dyn Scope) -> Result<Self, Failure> {
        let base = Arc::new(step);
        let mut made = Self { value: Value::Null, base, places: Vec::new(), unresolved: None, scope };
        if mentions_tags(&made.base) {
            let mut value = json(&made.base);
            made.lift(&mut value, &mut String::new())?;
            made.base = read(value.clone()).map_err(Failure::Loop)?;
            made.value = value;
        }
        Ok(made)
    }

    fn lift(&mut self, value: &mut Value, at: &mut String) -> Result<(), Failure> {
        let about_item = |text: &str| tags::has_tags(text) && text.contains("item");
        match value {
            Value::String(text) if about_item(text) => {
                self.places.push((at.clone(), value.clone()));
                return Ok(());
            }
            Value::String(text) if tags::has_tags(text) => {
                let new = self.render(text, at)?;
                *text = new;
                return Ok(());
            }
            Value::Object(map) if map.keys().any(|key| tags::has_tags(key)) => {
                self.places.push((at.clone(), value.clone()));
                return Ok(());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::Array(list) => {
                for (index, value) in list.iter_mut().enumerate() {
                    let length = at.len();
                    at.push_str(&format!("/{index}"));
                    self.lift(value, at)?;
                    at.truncate(length);
                }
            }
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    let length = at.len();
                    at.push('/');
                    at.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    self.lift(value, at)?;
                    at.truncate(length);
                }
            }
        }
        Ok(())
    }

    /// Renders what is the same for all items. In a loop every tag must resolve, as in Argo; but an inline template has
    /// tags that only its own inputs fill.
    fn render(&mut self, text: &str, at: &str) -> Result<String, Failure> {
        let strict = Options { deep: true, ..Options::strict() };
        let failure = |e: tags::Error| Failure::Reference(e.to_string());
        if !at.starts_with("/inline") {
            match tags::render(text, self.scope, &strict) {
                Ok(done) => return Ok(done.into_owned()),
                Err(error) if error.is_missing_variable() => {
                    self.unresolved.get_or_insert(error.to_string());
                }
                Err(error) => return Err(failure(error)),
            }
        }
        tags::render(text, self.scope, &reference_options()).map(std::borrow::Cow::into_owned).map_err(failure)
    }

    /// The step of an item. Errors: something that it asks for is missing; not if its `when` is false all the same.
    pub fn step(&self, item: &LoopItem) -> Result<Arc<WorkflowStep>, Failure> {
        if self.places.is_empty() && self.unresolved.is_none() {
            return Ok(self.base.clone());
        }
        let variables = item.variables();
        let scope = Layered::new([&variables as &dyn Scope, self.scope]);
        let strict = Options { deep: true, ..Options::strict() };
        let when = self.places.iter().find(|(at, _)| at == "/when");
        let when = match when.and_then(|(_, text)| text.as_str()) {
            Some(text) => tags::render(text, &scope, &strict).map_err(|e| of_item(&e))?,
            None => std::borrow::Cow::Borrowed(self.base.when.as_str()),
        };
        let is_skipped = when::evaluate_within(&when, &scope.limits()) == Ok(false);
        let mut value = self.value.clone();
        for (at, tagged) in &self.places {
            let mut tagged = tagged.clone();
            let options = if at.starts_with("/inline") {
                Options { strict_prefixes: vec!["item".into(), "steps.".into(), "tasks.".into()], ..Options::once() }
            } else {
                strict.clone()
            };
            match tags::render_value(&mut tagged, &scope, &options) {
                Err(error) if !is_skipped => return Err(of_item(&error)),
                Ok(_) | Err(_) => {}
            }
            if let Some(place) = value.pointer_mut(at) {
                *place = tagged;
            }
        }
        if let Some(unresolved) = self.unresolved.as_ref().filter(|_| !is_skipped) {
            return Err(Failure::Loop(unresolved.clone()));
        }
        read(value).map_err(Failure::Loop)
    }
}

fn read(value: Value) -> Result<Arc<WorkflowStep>, String> {
    api::from_value(value).map(Arc::new).map_err(|e| e.to_string())
}

/// A step or task that is missing is a reference; anything else is the item's.
fn of_item(error: &tags::Error) -> Failure {
    let name = match error {
        tags::Error::MissingVariable { name } | tags::Error::MissingInExpression { name, .. } => name.trim(),
        _ => "",
    };
    let refers = ["steps.", "tasks."].iter().any(|prefix| name.starts_with(prefix));
    if refers { Failure::Reference(error.to_string()) } else { Failure::Loop(error.to_string()) }
}

/// The variables of an item, for what is resolved besides the step's texts.
pub(crate) fn variables(item: &LoopItem) -> BTreeMap<String, String> {
    item.variables()
}
