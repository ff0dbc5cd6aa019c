use serde_json::Value;

use crate::support::{check, same};

#[test]
fn sequence_table() {
    check("sequence.json", |case| Some(run(case)));
}

fn run(case: &Value) -> Result<(), String> {
    let Some(sequence) = case["sequence"].as_object() else {
        return Err("the case does not give the sequence".into());
    };
    let field = |name: &str| sequence.get(name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let (start, end, count, format) = (field("start"), field("end"), field("count"), field("format"));
    let got = argosy_template::sequence::expand(start.as_deref(), end.as_deref(), count.as_deref(), format.as_deref());
    match (got, case["error"].as_str()) {
        (Ok(items), None) => same(Value::from(items), case["items"].clone()),
        (Err(e), Some(want)) => same(e.to_string().as_str(), want),
        (got, want) => Err(format!("got {got:?}, want {want:?} {}", case["items"])),
    }
}
