use argosy_template::{Layered, Options, Scope, render, render_value};
use serde_json::Value;

use crate::support::{check, same};

#[test]
fn template_table() {
    check("template.json", |case| Some(run(case)));
}

fn run(case: &Value) -> Result<(), String> {
    let text = case["template"].as_str().expect("a template is text");
    let vars = case["env"].as_object().expect("an environment is an object");
    let opts = match case["strictPrefixes"].as_array() {
        Some(prefixes) => Options {
            allow_unresolved: true,
            strict_prefixes: prefixes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            ..Options::default()
        },
        None => Options { allow_unresolved: case["allowUnresolved"] == true, ..Options::default() },
    };
    let now = "2026-11-23T18:00:00Z".parse().expect("a timestamp");
    let layer: &dyn Scope = vars;
    let scope = Layered::new([layer]).with_now(now);
    let got = match case["format"].as_str() {
        Some("json") => {
            let mut tree: Value = serde_json::from_str(text).map_err(|e| format!("the template is not JSON: {e}"))?;
            render_value(&mut tree, &scope, &opts).map(|_| tree)
        }
        _ => render(text, &scope, &opts).map(|text| Value::String(text.into_owned())),
    };
    let expected = case["expected"].as_str();
    match (got, expected) {
        (Ok(got), Some(want)) => {
            let want = match case["format"].as_str() {
                Some("json") => serde_json::from_str(want).map_err(|e| e.to_string())?,
                _ => Value::String(want.to_owned()),
            };
            same(got, want)
        }
        (Ok(got), None) => Err(format!("got {got}, want an error like {}", case["observedError"])),
        (Err(e), Some(want)) => Err(format!("got error {e}, want {want}")),
        (Err(e), None) => {
            if let Some(part) = case["errorContains"].as_str()
                && !e.to_string().contains(part)
            {
                return Err(format!("got error {e}, want one with {part}"));
            }
            same(e.is_missing_variable(), case["missingVariable"] == true)?;
            same(e.to_string().as_str(), case["observedError"].as_str().unwrap_or_default())
        }
    }
}
