//! Nodes as people name them.

use argosy_api::v1alpha1::{NodeStatus, Workflow};

/// The names of the steps that lead to the node: `build.test(0)` of `wf-x7k2p[0].build[1].test(0)`. Of the workflow's own
/// node, its name.
pub fn step(workflow: &Workflow, node: &NodeStatus) -> String {
    let name = node.name.as_str();
    let inner = name.strip_prefix(workflow.metadata.name.as_str()).unwrap_or(name);
    let mut text = String::new();
    let mut rest = inner;
    while let Some(open) = rest.find('[') {
        let (before, after) = rest.split_at(open);
        text.push_str(before);
        // The number of a group says nothing: names are unique among groups. Items of loops may look like one.
        let is_group = |end: &usize| {
            let (number, behind) = (&after[1..=*end], &after[*end + 2..]);
            !number.is_empty()
                && number.bytes().all(|c| c.is_ascii_digit())
                && (behind.is_empty() || behind.starts_with('.'))
        };
        let number = after[1..].find(']').filter(is_group);
        match number {
            Some(end) => rest = &after[end + 2..],
            None => {
                text.push('[');
                rest = &after[1..];
            }
        }
    }
    text.push_str(rest);
    let text = text.trim_start_matches('.');
    // Of an attempt of the workflow's own node nothing but its number would be left.
    if text.is_empty() || text.starts_with('(') { name.to_owned() } else { text.to_owned() }
}

/// A message that speaks of nodes by their ids, with their names: `child 'wf-3684236509' failed`.
pub fn message(workflow: &Workflow, message: &str) -> String {
    let mut parts: Vec<&str> = message.split('\'').collect();
    let count = parts.len();
    for (index, part) in parts.iter_mut().enumerate() {
        // What stands between two quotes.
        if index % 2 == 1
            && index + 1 < count
            && let Some(node) = workflow.status.nodes.get(part).filter(|node| node.id != workflow.metadata.name)
        {
            *part = node.display_name.as_str();
        }
    }
    parts.join("'")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_named_by_their_way_and_messages_speak_of_names() {
        let workflow: Workflow = argosy_api::v1alpha1::from_value(json!({ "metadata": { "name": "w-1" }, "spec": {},
            "status": { "nodes": { "w-1-36": { "id": "w-1-36", "name": "w-1[1].bad", "displayName": "bad" } } } }))
        .expect("a workflow");
        let named = |name: &str| step(&workflow, &NodeStatus { name: name.into(), ..NodeStatus::default() });
        for (name, shown) in [
            ("w-1", "w-1"),
            ("w-1[0].a", "a"),
            ("w-1[0].a[12].b(0:x)", "a.b(0:x)"),
            ("w-1.A.B", "A.B"),
            ("w-1.onExit", "onExit"),
            ("w-1[0].a(0:[1])", "a(0:[1])"),
            ("w-1.a(0:[x])", "a(0:[x])"),
            ("w-1.a(0:[", "a(0:["),
            ("w-1[0]", "w-1[0]"),
            ("w-1(0)", "w-1(0)"),
            ("w-1[0].a(1)", "a(1)"),
        ] {
            assert_eq!(named(name), shown);
        }
        assert_eq!(message(&workflow, "child 'w-1-36' failed"), "child 'bad' failed");
        assert_eq!(message(&workflow, "it's 'w-1-36"), "it's 'w-1-36");
    }
}
