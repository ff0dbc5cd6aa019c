//! What is decided before the API server is asked.

use serde_json::json;

use super::action::remove_missing;
use super::*;

#[test]
fn flags_are_read_as_kubectl_does() {
    let parse = |words: &[&str]| Flags::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let flags = parse(&["configmap", "--selector", "a=b", "--ignore-not-found=true", "-n=x", "--wait=false"]);
    let flags = flags.expect("flags");
    assert_eq!((flags.labels.as_deref(), flags.namespace.as_deref()), (Some("a=b"), Some("x")));
    assert!(flags.ignore_not_found && flags.no_wait && !flags.all);
    assert_eq!(flags.named().expect("a type"), [("configmap".to_owned(), None)]);
    let pairs = |words| parse(words).and_then(|flags| flags.named()).map_err(|error| error.to_string());
    let pair = |kind: &str, name: &str| (kind.to_owned(), Some(name.to_owned()));
    assert_eq!(pairs(&["pod", "a", "b"]), Ok(vec![pair("pod", "a"), pair("pod", "b")]));
    assert_eq!(pairs(&["pod/a", "cm/b"]), Ok(vec![pair("pod", "a"), pair("cm", "b")]));
    assert_eq!(pairs(&["--nonsense"]), Err("error: unknown flag: --nonsense".into()));
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
