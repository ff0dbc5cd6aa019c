//! Loops: which items there are, and the steps they make. Source: Argo `expandStep`, `processItem`.

use std::{collections::BTreeMap, sync::Arc};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{self as api, WorkflowStep};
use argosy_template::{
    sequence,
    tags::{self, Options},
};
use serde_json::Value;

use crate::tagged::mentions_tags;

/// A step of a loop, or one without a loop.
pub(crate) struct Item {
    /// With the item, for one of a loop.
    pub name: ArcStr,
    pub step: Arc<WorkflowStep>,
}

/// The items of a step's loop; nothing for a step without one.
///
/// Errors: `withParam` that is no JSON list, a sequence that cannot be counted.
pub(crate) fn items(step: &WorkflowStep) -> Result<Option<Vec<Value>>, String> {
    if !step.with_items.is_empty() {
        return Ok(Some(step.with_items.clone()));
    }
    if !step.with_param.is_empty() {
        let list: Result<Vec<Value>, _> = serde_json::from_str(&step.with_param);
        let list = list.map_err(|e| {
            format!("withParam value could not be parsed as a JSON list: {}: {e}", step.with_param.trim())
        })?;
        return Ok(Some(list));
    }
    let Some(sequence) = &step.with_sequence else { return Ok(None) };
    let text = |v: &Option<api::IntOrString>| v.as_ref().map(ToString::to_string);
    let (count, start, end) = (text(&sequence.count), text(&sequence.start), text(&sequence.end));
    let list = sequence::expand(start.as_deref(), end.as_deref(), count.as_deref(), Some(&sequence.format))
        .map_err(|e| e.to_string())?;
    Ok(Some(list.into_iter().map(Value::String).collect()))
}

/// One step per item, with the item put in; all items share one where it has no place for them.
pub(crate) fn unroll(step_name: &str, step: &WorkflowStep, items: &[Value]) -> Result<Vec<Item>, String> {
    let mut value = crate::publish::json(step);
    if let Some(map) = value.as_object_mut() {
        for member in ["withItems", "withParam", "withSequence"] {
            map.remove(member);
        }
    }
    let read = |value: Value| -> Result<Arc<WorkflowStep>, String> {
        let unrolled: WorkflowStep = api::from_value(value).map_err(|e| e.to_string())?;
        Ok(Arc::new(WorkflowStep { hooks: step.hooks.clone(), ..unrolled }))
    };
    let named = |index, item| ArcStr::from(name(step_name, index, item));
    if !mentions_tags(&value) {
        let step = read(value)?;
        let item = |(index, item)| Item { name: named(index, item), step: step.clone() };
        return Ok(items.iter().enumerate().map(item).collect());
    }
    let options = Options::lenient();
    let mut unrolled = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut one = value.clone();
        tags::render_value(&mut one, &variables(item), &options).map_err(|e| e.to_string())?;
        unrolled.push(Item { name: named(index, item), step: read(one)? });
    }
    Ok(unrolled)
}

fn variables(item: &Value) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::from([("item".to_owned(), text(item))]);
    if let Value::Object(map) = item {
        vars.extend(map.iter().map(|(key, value)| (format!("item.{key}"), text(value))));
    }
    vars
}

/// `name(index:description)`, the description without parentheses.
pub(crate) fn name(step: &str, index: usize, item: &Value) -> String {
    let description = match item {
        Value::Object(map) => {
            let mut pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", text(value))).collect();
            pairs.sort();
            pairs.join(",")
        }
        Value::Array(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(" ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text(item),
    };
    format!("{step}({index}:{})", description.replace(['(', ')'], ""))
}

/// An item as it is put into text.
pub(crate) fn text(item: &Value) -> String {
    match item {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            number.as_f64().filter(|_| number.is_f64()).map_or_else(|| number.to_string(), api::number_text)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => item.to_string(),
    }
}
