//! A workflow whose name was drawn, as if it had been given one.

use anyhow::{Context, Result};
use argosy_api::names::node_id;
use serde_json::Value;

/// The name of the workflow that was made of `old`, as it stands in what was printed.
pub fn successor(old: &str, printed: &str) -> Option<String> {
    const DRAWN: usize = 5;
    printed.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').find_map(|word| {
        let drawn = word.strip_prefix(old)?.strip_prefix('-')?;
        let is_drawn = drawn.len() == DRAWN && drawn.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        is_drawn.then(|| word.to_owned())
    })
}

/// The workflow `old` as if it were named `new`: names, the ids that follow from them, and texts that have these in them.
pub fn renamed(object: &Value, old: &str, new: &str) -> Result<Value> {
    let mut text = object.to_string();
    let mut ids: Vec<(String, String)> = Vec::new();
    for node in object["status"]["nodes"].as_object().into_iter().flat_map(|nodes| nodes.values()) {
        let (id, name) = (node["id"].as_str().unwrap_or_default(), node["name"].as_str().unwrap_or_default());
        if id != old {
            let name = name.strip_prefix(old).map_or(name.to_owned(), |rest| format!("{new}{rest}"));
            ids.push((id.to_owned(), node_id(new, &name)));
        }
    }
    // One id may be the beginning of another.
    ids.sort_by(|a, b| b.0.cmp(&a.0));
    for (id, other) in ids {
        text = text.replace(&id, &other);
    }
    serde_json::from_str(&text.replace(old, new)).context("a renamed workflow")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_were_drawn_are_found_and_replaced() {
        let old = successor("wf", "warning: a b\nwf-x7k2p\n").expect("a name");
        assert_eq!((old.as_str(), successor("wf", "wf-longer-name wf")), ("wf-x7k2p", None));
        let id = node_id(&old, "wf-x7k2p.a");
        let object = json!({"metadata": {"name": old}, "status": {"nodes": {
            old.clone(): {"id": old, "name": old, "children": [id]},
            id.clone(): {"id": id, "name": "wf-x7k2p.a", "message": format!("child '{id}'")},
        }}});
        let new = node_id("wf-new", "wf-new.a");
        let expected = json!({"metadata": {"name": "wf-new"}, "status": {"nodes": {
            "wf-new": {"id": "wf-new", "name": "wf-new", "children": [new]},
            new.clone(): {"id": new, "name": "wf-new.a", "message": format!("child '{new}'")},
        }}});
        assert_eq!(renamed(&object, &old, "wf-new").expect("renamed"), expected);
    }
}
