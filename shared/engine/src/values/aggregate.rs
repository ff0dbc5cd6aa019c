//! Outputs of a loop, as lists. Source: Argo `processAggregateNodeOutputs`; inventory §8, row 12.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::{NodePhase, NodeStatus};
use serde_json::value::RawValue;

use crate::values::items;

/// The index of an item of `step`, from its name `…step(INDEX:description)`.
pub(crate) fn index_of(display_name: &str, name: &str, step: &str) -> Option<usize> {
    let marker = format!("{step}(");
    let at = |text: &str| -> Option<usize> {
        let tail = text.strip_prefix(&marker)?;
        tail.split_once(':')?.0.parse().ok()
    };
    at(display_name).or_else(|| at(&name[name.rfind(&format!(".{marker}"))? + 1..]))
}

/// The items whose outputs count: those that succeeded, without hooks and attempts.
fn counted<'a>(items: &'a [&'a NodeStatus]) -> impl Iterator<Item = &'a NodeStatus> {
    items.iter().copied().filter(|n| {
        let flag = n.node_flag.as_ref();
        n.phase == NodePhase::Succeeded && !flag.is_some_and(|f| f.hooked || f.retried)
    })
}

/// The value of a variable over all items; `rest` is what follows `steps.NAME.`.
pub(crate) fn variable(items: &[&NodeStatus], rest: &str) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    match rest {
        "outputs.result" => {
            let results: Vec<&str> = counted(items).filter_map(|n| n.outputs.as_ref()?.result.as_deref()).collect();
            results_json(&results)
        }
        "outputs.parameters" => {
            let maps: Vec<BTreeMap<&str, &str>> = counted(items)
                .filter_map(|n| {
                    let parameters = Some(&n.outputs.as_ref()?.parameters).filter(|list| !list.is_empty())?;
                    Some(parameters.iter().filter_map(|p| Some((p.name.as_str(), p.value.as_deref()?))).collect())
                })
                .collect();
            Some(crate::json::json(&maps).to_string())
        }
        _ => {
            let name = rest.strip_prefix("outputs.parameters.")?;
            let values: Vec<&str> = counted(items)
                .filter_map(|n| n.outputs.as_ref()?.parameters.iter().find(|p| p.name == name)?.value.as_deref())
                .collect();
            let known = items.iter().any(|n| n.outputs.iter().flat_map(|o| &o.parameters).any(|p| p.name == name));
            known.then(|| list(&values))
        }
    }
}

/// Names of all variables over all items.
pub(crate) fn variables(items: &[&NodeStatus]) -> Vec<String> {
    let mut names = vec!["outputs.result".to_owned(), "outputs.parameters".to_owned()];
    let mut parameters: Vec<String> = counted(items)
        .flat_map(|n| n.outputs.iter().flat_map(|o| &o.parameters))
        .map(|p| format!("outputs.parameters.{}", p.name))
        .collect();
    parameters.sort();
    parameters.dedup();
    names.extend(parameters);
    names.into_iter().filter(|rest| variable(items, rest).is_some()).collect()
}

/// Why the results of the items are no list: one of them is no JSON, in Go's words.
pub(crate) fn results_problem(items: &[&NodeStatus]) -> Option<String> {
    counted(items).filter_map(|n| n.outputs.as_ref()?.result.as_deref()).find_map(|result| {
        let error = serde_json::from_str::<serde::de::IgnoredAny>(result).err()?;
        Some(items::syntax_error(result, &error).unwrap_or_else(|| error.to_string()))
    })
}

/// Results as one JSON list, each spelled as it is. Each must be JSON by itself; nothing when one is not.
fn results_json(results: &[&str]) -> Option<String> {
    results.iter().map(|result| raw(result)).collect::<Option<Vec<String>>>().map(|raw| joined(&raw))
}

/// A JSON list of the values: raw when each is a JSON object or array, of strings otherwise.
pub fn list(values: &[&str]) -> String {
    let structured = |value: &&str| raw(value).filter(|json| json.starts_with(['{', '[']));
    match values.iter().map(structured).collect::<Option<Vec<String>>>() {
        Some(raw) => joined(&raw),
        None => crate::json::json(&values).to_string(),
    }
}

fn raw(json: &str) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(json).ok()?;
    Some(items::rewritten(raw.get()))
}

fn joined(raw: &[String]) -> String {
    format!("[{}]", raw.join(","))
}
