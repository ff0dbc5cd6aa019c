//! What is decided before the API server is asked.

use serde_json::json;

use proptest::prelude::*;

use super::action::remove_missing;
use super::*;

#[test]
fn flags_are_read_as_kubectl_does() {
    let parse = |words: &[&str]| Flags::parse("get", &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let flags = parse(&["configmap", "--selector", "a=b", "--ignore-not-found=true", "-n=x", "--wait=false"]);
    let flags = flags.expect("flags");
    assert_eq!((flags.labels.as_deref(), flags.namespace.as_deref()), (Some("a=b"), Some("x")));
    assert!(flags.ignore_not_found && flags.no_wait && !flags.all);
    assert_eq!(flags.named().expect("a type"), [("configmap".to_owned(), None)]);
    let pairs = |words| parse(words).and_then(|flags| flags.named()).map_err(|error| error.to_string());
    let pair = |kind: &str, name: &str| (kind.to_owned(), Some(name.to_owned()));
    assert_eq!(pairs(&["pod", "a", "b"]), Ok(vec![pair("pod", "a"), pair("pod", "b")]));
    assert_eq!(pairs(&["pod/a", "cm/b"]), Ok(vec![pair("pod", "a"), pair("cm", "b")]));
    assert_eq!(
        pairs(&["--nonsense"]),
        Err("no more retries unknown flag: --nonsense\nSee 'kubectl get --help' for usage.".into())
    );
    assert_eq!(pairs(&["pod", "-l"]), Err("error: flag needs an argument: -l".into()));
}

#[test]
fn manifests_have_documents_and_lists() {
    let text = "a: 0644\n---\n# nothing\n---\nkind: List\nitems: [{b: 1}, {c: 2}]\n";
    assert_eq!(documents(text).expect("YAML"), [json!({"a": 420}), json!({"b": 1}), json!({"c": 2})]);
    assert_eq!(documents("- op: add\n").expect("YAML"), [json!([{"op": "add"}])]);
    assert!(documents("a: [").is_err());
}

#[test]
fn applying_again_removes_what_is_no_longer_said() {
    let last = json!({"data": {"a": "1", "b": "2"}, "gone": {"x": 1}, "list": [1]});
    let mut patch = json!({"data": {"a": "3"}, "list": []});
    remove_missing(&last, &mut patch);
    assert_eq!(patch, json!({"data": {"a": "3", "b": null}, "gone": null, "list": []}));
}

#[test]
fn a_manifest_whose_metadata_is_no_object_is_an_error() {
    for metadata in [json!("oops"), json!(1), json!([]), json!(true)] {
        let mut manifest = json!({"kind": "ConfigMap", "metadata": metadata});
        let error = object::own(&mut manifest, json!([])).expect_err("no object").to_string();
        assert!(error.contains("metadata must be an object, not "), "{error}");
        assert!(object::annotate(&mut manifest, "k", "v".into()).is_err());
        let mut manifest = json!({"metadata": {"annotations": metadata}});
        let error = object::annotate(&mut manifest, "k", "v".into()).expect_err("no object").to_string();
        assert!(error.contains("metadata.annotations must be an object"), "{error}");
    }
    let mut manifest = json!({"metadata": {"annotations": null}});
    object::annotate(&mut manifest, "k", "v".into()).expect("annotated");
    object::own(&mut manifest, json!([1])).expect("owned");
    assert_eq!(manifest, json!({"metadata": {"annotations": {"k": "v"}, "ownerReferences": [1]}}));
}

#[test]
fn a_manifest_that_aliases_blow_up_is_refused() {
    let text = "x".repeat(200_000);
    let many = "  - *a\n".repeat(50_000);
    assert!(documents(&format!("a: &a {text}\nb:\n{many}")).is_err());
}

/// Anything that JSON can hold.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zé.$\\[\\]{}*?@ -]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![Just("metadata".to_owned()), Just("annotations".to_owned()), "[a-zé]{0,4}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A manifest in which one member is anything.
fn manifest() -> impl Strategy<Value = Value> {
    static MEMBERS: [&str; 8] =
        ["/apiVersion", "/kind", "/metadata", "/metadata/name", "/metadata/annotations", "/items", "/data", ""];
    (proptest::sample::select(&MEMBERS[..]), anything(), any::<bool>()).prop_map(|(at, value, is_list)| {
        let mut manifest = json!({"apiVersion": "v1", "kind": if is_list { "List" } else { "ConfigMap" },
            "metadata": {"name": "n", "annotations": {"a": "b"}}, "items": [{}], "data": {"a": "b"}});
        if let Some(member) = manifest.pointer_mut(at) {
            *member = value;
        }
        manifest
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_manifest_breaks_the_executor(mut manifest in manifest(), last in manifest(), text in "[a-zé.$\\[\\]{}*?@\"' =!<>(),-]{0,30}") {
        if let Ok(mut read) = documents(&manifest.to_string()) {
            for document in &mut read {
                let _ = object::own(document, json!([]));
                let _ = object::annotate(document, "k", "v".into());
            }
        }
        let _ = object::own(&mut manifest, json!([]));
        let _ = object::annotate(&mut manifest, "k", "v".into());
        remove_missing(&last, &mut manifest);
        let _ = jsonpath::render(&text, &manifest, 1_000);
        let _ = jsonpath::render(&format!("{{{text}}}"), &manifest, 1_000);
        if let Ok(conditions) = Conditions::parse(&text, &text) {
            let _ = conditions.judge(&manifest);
        }
        let _ = documents(&text);
        let _ = Flags::parse("get", &[text]).and_then(|flags| flags.named());
    }
}
