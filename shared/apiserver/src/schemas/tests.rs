use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::json::Json;
use crate::kinds::{ARGO, KINDS, find};

/// The CRD of a kind, in `deploy/crds`.
fn crd(plural: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    let text = std::fs::read_to_string(folder.join(format!("argoproj.io_{plural}.yaml"))).expect("a CRD");
    serde_saphyr::from_str(&text).expect("YAML")
}

#[test]
fn every_kind_of_argo_has_the_schema_of_its_crd() {
    for kind in KINDS.iter().filter(|kind| kind.group == ARGO) {
        let whole = whole(kind).unwrap_or_else(|| panic!("{} has a schema", kind.plural));
        assert!(whole["description"].is_string() || kind.plural == "workflowartifactgctasks", "{}", kind.plural);
        // The others are large, and are made of the same parts by the same program.
        if ["workflows", "workflowtaskresults", "workfloweventbindings"].contains(&kind.plural) {
            let wanted = &crd(kind.plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            assert!(whole == *wanted, "{}: make crds.json anew", kind.plural);
        }
    }
    assert!(whole(find("", "v1", "pods").expect("a kind")).is_none());
}

#[test]
fn fields_that_a_kind_does_not_have_are_told_by_their_paths() {
    let kind = find(ARGO, "v1alpha1", "workflows").expect("a kind");
    let told = |tree: Value| unknown(kind, &Json::from(tree));
    let good = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"generateName": "a-", "labels": {"any": "thing"}, "managedFields": [{"fieldsV1": {"f:x": {}}}]},
        "spec": {
            "entrypoint": "main", "nodeSelector": {"a/b": "c"}, "arguments": {"parameters": [{"name": "p", "value": "1"}]},
            "templates": [{"name": "main", "container": {"image": "i", "resources": {"limits": {"any/thing": 1}}},
                "steps": [[{"name": "s", "withItems": [{"free": "form"}], "inline": {"anything": 1}}]]}],
        },
        "status": {"nodes": {"n-1": {"phase": "Running"}}},
    });
    assert_eq!(told(good), [""; 0]);
    let bad = json!({
        "metadata": {"name": "a", "label": {}},
        "spec": {
            "entrypiont": "main",
            "templates": [{"name": "main"}, {"contaner": {}, "container": {"imagee": 1}, "steps": [[{"nam": "s"}]]}],
        },
        "stauts": {},
    });
    let paths = [
        "metadata.label",
        "spec.entrypiont",
        "spec.templates[1].container.imagee",
        "spec.templates[1].contaner",
        "spec.templates[1].steps[0][0].nam",
        "stauts",
    ];
    assert_eq!(told(bad), paths);
    // Of other types: who reads the object says so.
    assert_eq!(told(json!({"metadata": 1, "spec": [{"x": 1}]})), [""; 0]);
    let many: Value = (0..100).map(|n| (format!("x{n}"), json!(1))).collect::<Map<_, _>>().into();
    assert_eq!(told(many).len(), 20);
    assert_eq!(unknown(find("", "v1", "pods").expect("a kind"), &Json::from(json!({"x": 1}))), [""; 0]);
}
