//! Answers recorded from the libraries Argo uses.

use argosy_template::expr::{Env, Error, Program};
use serde_json::{Value, json};

#[test]
fn recorded_answers() {
    let vars = json!({
        "a": 1, "s": "hello world", "l": [1, 2, 3], "t": true, "n": null, "ss": ["b", "a", "c"],
        "m": {"k": "v", "n": null, "d": {"e": "f"}},
        "inputs": {"parameters": {"x": "5", "y-z": "q"}},
    });
    let now = "2026-11-23T18:00:00Z".parse().expect("a timestamp");
    let env = Env::new(&vars).with_functions().with_now(now);
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("../expr-vectors.tsv").lines().filter(|line| !line.starts_with("# ")) {
        let (text, want) = line.split_once('\t').expect("a line is an expression, a tab and a result");
        let want: Value = serde_json::from_str(want).expect("a result is JSON");
        let got = match Program::compile(text).and_then(|program| program.run(&env)) {
            Err(e @ Error::Run { .. }) => Value::String(format!("RERR {e}")),
            Err(e) => Value::String(format!("CERR {e}")),
            Ok(value) => value
                .to_json(true)
                .and_then(|json| serde_json::from_str(&json).ok())
                .unwrap_or_else(|| Value::String(format!("NOJSON {}", value.display()))),
        };
        count += 1;
        if got != want {
            wrong.push(format!("{text}\n  got  {got}\n  want {want}"));
        }
    }
    assert!(count > 800, "only {count} vectors");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
