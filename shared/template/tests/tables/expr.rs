use argosy_template::expr::{Env, Program, has_variable, identifiers, missing_variables};
use argosy_template::resolve_variable;
use serde_json::{Value, json};

use crate::support::{check, same};

#[test]
fn expr_table() {
    check("expr.json", |case| Some(run(case)));
}

fn run(case: &Value) -> Result<(), String> {
    let text = case["expression"].as_str().unwrap_or_default();
    let vars = &case["env"];
    let got: Result<Value, String> = match case["op"].as_str() {
        Some("evalBool") => {
            let env = Env::new(vars).with_now("2026-11-23T18:00:00Z".parse().expect("a timestamp"));
            let env = if case["functions"] == true { env.with_functions() } else { env };
            let answer = Program::compile(text).and_then(|program| program.run_bool(&env));
            answer.map(Value::Bool).map_err(|e| e.to_string())
        }
        Some("hasVariable") => Ok(Value::Bool(has_variable(case["name"].as_str().unwrap_or_default(), vars))),
        Some("identifiers") => identifiers(text).map(|names| json!(names)).map_err(|e| e.to_string()),
        Some("missingVariables") => missing_variables(text, vars).map(|n| json!(n)).map_err(|e| e.to_string()),
        Some("anyMissingVariable") => Program::compile(text)
            .map(|program| Value::Bool(program.waits_for_late_variable(vars)))
            .map_err(|e| e.to_string()),
        Some("resolveVariable") => {
            let scope = vars.as_object().expect("an environment is an object");
            match resolve_variable(case["template"].as_str().unwrap_or_default(), scope) {
                Some(Ok((tag, value))) => {
                    same(Some(tag.as_str()), case["tag"].as_str())?;
                    Ok(Value::String(value))
                }
                Some(Err(e)) => Err(e.to_string()),
                None => Err("not one tag".into()),
            }
        }
        op => return Err(format!("unknown op {op:?}")),
    };
    let want_error = case["isError"] == true || case["error"].is_string();
    match got {
        Ok(got) if !want_error => same(&got, &case["result"]),
        Ok(got) => Err(format!("got {got}, want an error like {}", case["observedError"])),
        Err(e) if !want_error => Err(format!("got error {e}, want {}", case["result"])),
        Err(e) => match case["observedError"].as_str().or(case["error"].as_str()) {
            Some(want) => same(e.as_str(), want),
            None => Ok(()),
        },
    }
}
