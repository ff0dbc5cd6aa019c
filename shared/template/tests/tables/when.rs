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
