use serde_json::Value;

use crate::support::{check, same};

#[test]
fn when_table() {
    check("when.json", |case| Some(run(case)));
}

fn run(case: &Value) -> Result<(), String> {
    let got = argosy_template::when::evaluate(case["when"].as_str().expect("a condition is text"));
    match (got, case["error"].as_str()) {
        (Ok(got), None) => same(Some(got), case["result"].as_bool()),
        (Err(e), Some(want)) => same(e.to_string().as_str(), want),
        (got, want) => Err(format!("got {got:?}, want {want:?} {}", case["result"])),
    }
}

/// What govaluate itself (v3.0.1-0.20171022003610) answers where its reading of a text surprises: the first expression
/// counts, an escaped letter belongs to a word, and whole numbers are those of Go on amd64.
#[test]
fn surprising_conditions_say_what_govaluate_says() {
    let answers = [
        ("(true) false", true),
        ("(false) true", false),
        ("(true)(false)", true),
        ("((true) false) true", true),
        ("((true) 1 == 2)", false),
        ("true) || (false", true),
        ("false)||(true", false),
        ("1==1)==(2==2", true),
        ("[not1e%true]==matches)(and", false),
        (r"x\-y == x\-y", true),
        ("1 >= ~2 << 0", false),
        ("~2 >= 0x1F ^ 0x1F ** 0x1F", true),
        ("(~2) << 1.5 >> 1.5 > 0", true),
        ("-1 * 0x1F & 1.5 / 0 % 0 != 0 / 0x1F", true),
    ];
    for (text, answer) in answers {
        assert_eq!(argosy_template::when::evaluate(text), Ok(answer), "{text}");
    }
    for text in ["() true", "11)||(let", "1) || (true"] {
        assert!(
            matches!(argosy_template::when::evaluate(text), Err(argosy_template::when::Error::NotBool { .. })),
            "{text}"
        );
    }
}
