//! misc.json, as far as it is the engine's: node selectors and node types.

use argosy_api::v1alpha1::{NodeType, from_value};
use argosy_engine::ops::selector::NodeSelector;
use serde_json::json;

use crate::harness::{run, same, text};

#[test]
#[ignore = "needs Argo's own tables beside the checkout"]
fn misc_table() {
    run("misc.json", |case| match text(case, "op") {
        "nodeSelector" => {
            let node = from_value(case["node"].clone()).expect("a node");
            let selector = NodeSelector::parse(text(case, "selector")).map_err(|e| e.to_string());
            Some(selector.and_then(|s| same("result", &json!(s.matches(&node)), &case["result"])))
        }
        "nodeTypeExecutes" => {
            let kind: NodeType = text(case, "type").parse().expect("a node type");
            Some(same("result", &json!(kind.executes()), &case["result"]))
        }
        _ => None,
    });
}
