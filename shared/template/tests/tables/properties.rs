//! No text makes the languages panic, and what they say of themselves holds.

use std::collections::BTreeMap;

use argosy_template::expr::{Env, Program};
use argosy_template::{Options, has_tags, printf, render, render_value, tags, when};
use proptest::prelude::*;
use serde_json::json;

fn scope() -> BTreeMap<String, String> {
    let pairs = [("a", "1"), ("a.b", "x{{a}}y"), ("item", "é"), ("inputs.parameters.p-q", "[1,2]")];
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Texts made of what the languages give a meaning to.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{{",
        "}}",
        "{{=",
        "=",
        "a",
        "a.b",
        "item",
        " ",
        "'",
        "\"",
        "\\",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "#",
        "?",
        ":",
        "??",
        "?.",
        ".",
        "..",
        "+",
        "-",
        "*",
        "**",
        "/",
        "%",
        "==",
        "<",
        "in",
        "not",
        "and",
        "||",
        "|",
        ",",
        ";",
        "let",
        "filter(",
        "sprig.upper(",
        "sprig.trunc(",
        "asInt(",
        "now()",
        "len(",
        "take(",
        "1",
        "0",
        "1.5",
        "0x",
        "1e",
        "é",
        "\n",
        "true",
        "nil",
        "$env",
        "matches",
        "=~",
        "!",
        "~",
        "%d",
        "[1]",
        "%5.2",
        "date(",
        "sprig.repeat(",
        "jsonpath('{\"a\":[1,{\"b\":2}]}','$.a",
        "@",
        "$",
        ":",
        "?(",
        "..",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(text in soup()) {
        let scope = scope();
        for opts in [Options::strict(), Options::lenient()] {
            let _ = render(&text, &scope, &opts);
            let _ = render_value(&mut json!({ text.as_str(): [text.as_str(), "}} {{a}}"] }), &scope, &opts);
        }
        if let Ok(program) = Program::compile(&text) {
            let vars = json!({"a": {"b": [1, "x", null]}, "item": "é"});
            let _ = program.run(&Env::new(&vars).with_functions());
        }
        let _ = when::evaluate(&text);
        let _ = printf::format(&text, &[argosy_template::expr::Value::Int(7)]);
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        let _ = Program::compile(&text);
        let _ = when::evaluate(&text);
        let _ = render(&text, &scope(), &Options::lenient());
    }

    #[test]
    fn text_without_tags_stays(text in "[^{]{0,40}") {
        prop_assert!(!has_tags(&text));
        prop_assert!(tags(&text).is_empty());
        prop_assert_eq!(render(&text, &scope(), &Options::strict()).unwrap(), text.as_str());
    }

    #[test]
    fn inserted_text_is_not_rendered_again(value in any::<String>(), before in "[^{}]{0,9}", after in "[^{}]{0,9}") {
        let scope = BTreeMap::from([("v".to_owned(), value.clone())]);
        let text = format!("{before}{{{{ v }}}}{after}");
        let whole = format!("{before}{value}{after}");
        prop_assert_eq!(render(&text, &scope, &Options::strict()).unwrap(), whole.as_str());
        let mut tree = json!([text]);
        render_value(&mut tree, &scope, &Options::strict()).unwrap();
        prop_assert_eq!(tree, json!([whole]));
    }
}

#[test]
fn deep_nesting_is_an_error_and_long_chains_are_not() {
    for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("{a:", "}"), ("len(", ")"), ("a[", "]")] {
        let text = format!("{}1{}", open.repeat(5_000), close.repeat(5_000));
        assert!(Program::compile(&text).is_err(), "{open}");
    }
    assert!(Program::compile(&format!("a{}", ".b".repeat(5_000))).is_err());
    let vars = json!({"a": true});
    let long = vec!["a"; 4_000].join(" && ");
    assert!(Program::compile(&long).unwrap().run_bool(&Env::new(&vars)).unwrap());
    assert!(when::evaluate(&vec!["1 == 1"; 4_000].join(" && ")).unwrap());
    assert!(when::evaluate(&"(".repeat(100_000)).is_err());
    assert!(when::evaluate(&format!("{}true{}", "(".repeat(5_000), ")".repeat(5_000))).is_err());
}
