use std::sync::Arc;

use serde_json::{Value, json};

use super::*;

fn load(body: &str) -> (Vec<Value>, Vec<String>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    text(&Arc::new(Source::new("f.yaml", body)), &mut documents, &mut problems);
    (documents.into_iter().map(|d| d.value).collect(), problems.iter().map(Diagnostic::line).collect())
}

fn one(body: &str) -> Value {
    let (mut values, problems) = load(body);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(values.len(), 1, "{values:?}");
    values.remove(0)
}

#[test]
fn a_list_is_its_items_each_in_its_place() {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    let body = "apiVersion: v1\nkind: List\nitems:\n- kind: A\n- kind: B\n---\nkind: List\n";
    text(&Arc::new(Source::new("f.yaml", body)), &mut documents, &mut problems);
    let kinds: Vec<_> = documents.iter().map(Document::kind).collect();
    assert_eq!(kinds, ["A", "B", "List"], "one without a version is none of Kubernetes");
    let place = documents[1].place.member("kind").expect("its place");
    assert_eq!(documents[1].source.position(place.value.start), (5, 9));
}

#[test]
fn yaml_as_kubernetes_reads_it() {
    assert_eq!(one("mode: 0755\non: yes\ny: n\n"), json!({"mode": 493, "true": true, "y": "n"}));
    assert_eq!(one("a: 'yes'\nb: \"0755\"\nc: !!str 5\n"), json!({"a": "yes", "b": "0755", "c": "5"}));
    assert_eq!(one("a: |\n  x\n  y"), json!({"a": "x\ny"}), "no line break at the end of the file");
    assert_eq!(one("a: |\n  x\n  y\n"), json!({"a": "x\ny\n"}));
    assert_eq!(one("a: |\n  x\nb: |\n  x"), json!({"a": "x\n", "b": "x"}), "only the last block ends at the end");
    assert_eq!(one("a: |-\n  x\n\nb: >\n  p\n  q\n"), json!({"a": "x", "b": "p q\n"}));
    assert_eq!(one("{\"a\": \"\\ud83d\\ude00\",\n\t\"b\": [1, null]}"), json!({"a": "😀", "b": [1, null]}));
}

#[test]
fn anchors_and_merge_keys() {
    let value = one("base: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3\nb:\n  <<: [*b, {z: 4}]\nc: *b\n");
    assert_eq!(value["a"], json!({"x": 1, "y": 3}));
    assert_eq!(value["b"], json!({"x": 1, "y": 2, "z": 4}));
    assert_eq!(value["c"], json!({"x": 1, "y": 2}));
}

#[test]
fn documents_are_separated_by_dashes() {
    let (values, problems) = load("# only a comment\n---\na: 1\n--- # more\nb: 2\n---\n");
    assert_eq!((values, problems), (vec![json!({"a": 1}), json!({"b": 2})], vec![]));
}

#[test]
fn mistakes_come_with_their_place_and_all_at_once() {
    let (values, problems) = load("a: 1\nb:\n  c: 1\n  c: 2\na: 2\n---\nx: [1\n---\nok: 1\n---\ny:\n\t- 1\n");
    assert_eq!(values, vec![json!({"a": 2, "b": {"c": 2}}), json!({"ok": 1})], "the last of two keys counts");
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[0].starts_with("f.yaml:4:3: key `c` is set twice"), "{}", problems[0]);
    assert!(problems[1].starts_with("f.yaml:5:1: key `a` is set twice"), "{}", problems[1]);
    assert!(problems[2].starts_with("f.yaml:") && problems[2].contains("bad YAML"), "{}", problems[2]);
    assert!(problems[3].starts_with("f.yaml:12:") && problems[3].contains("indent with spaces"), "{}", problems[3]);
}

#[test]
fn places_count_characters_not_bytes() {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    text(&Arc::new(Source::new("f", "ä: 1\n---\nö: {ü: 1, k: 2}\n")), &mut documents, &mut problems);
    let place = documents[1].place.member("ö").and_then(|p| p.member("k")).expect("the key is there");
    assert_eq!(documents[1].source.position(place.key.start), (3, 11));
    assert_eq!(&documents[1].source.text[place.value.clone()], "2");
}

#[test]
fn alias_bombs_and_deep_nesting_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let before = format!("*a{}", n - 1);
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![before; 10].join(", ")));
    }
    assert!(load(&bomb).1[0].contains("aliases expand"), "{:?}", load(&bomb).1);
    assert!(load(&format!("a: {}{}", "[".repeat(200), "]".repeat(200))).1[0].contains("levels deep"));
}

#[test]
fn a_large_file_is_refused_without_being_parsed() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let path = dir.path().join("big.yaml");
    std::fs::write(&path, vec![b'#'; 64 * 1024]).expect("written");
    let refused = read(&path.to_string_lossy(), 1024).expect_err("larger than the limit");
    assert!(refused.message.contains("larger than 1024 bytes"), "{}", refused.message);
    assert!(read(&path.to_string_lossy(), 64 * 1024).is_ok(), "exactly the limit is allowed");
}

#[test]
fn a_missing_file_and_bytes_that_are_no_text() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let binary = dir.path().join("b.yaml");
    std::fs::write(&binary, b"a: 1\nb: \xff\n").expect("written");
    let missing = dir.path().join("missing.yaml").to_string_lossy().into_owned();
    let (documents, problems) = files(&[missing, binary.to_string_lossy().into_owned()]);
    assert!(documents.is_empty());
    assert!(problems[0].message.contains("no such file"), "{}", problems[0].message);
    assert!(problems[1].line().contains("b.yaml:2: "), "{}", problems[1].line());
}

#[test]
fn aliases_of_long_texts_are_counted_in_bytes() {
    let long = "x".repeat(200_000);
    let aliases = |count: usize| format!("a: &a {long}\nb: [{}]\n", vec!["*a"; count].join(", "));
    assert_eq!(one(&aliases(40))["b"].as_array().map(Vec::len), Some(40));
    let bombs = [
        aliases(99_000),
        // Merged, as keys, and anchors around anchors.
        format!("a: &a\n  ? {long}\n  : 1\nb: [{}]\n", vec!["{<<: *a}"; 500].join(", ")),
        format!("{}{long}{}", "&a [".repeat(90), "]".repeat(90)),
        format!("a: &a [{long}]\nb: &b [{0}]\nc: [{1}]\n", vec!["*a"; 20].join(","), vec!["*b"; 20].join(",")),
    ];
    for bomb in bombs {
        let (values, problems) = load(&bomb);
        assert!(values.is_empty(), "a bomb was loaded");
        assert!(problems[0].contains("copy more than 10485760 bytes"), "{}", problems[0]);
    }
}
