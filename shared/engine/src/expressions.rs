//! Expressions over the variables in scope.

use argosy_template::{
    Scope,
    expr::{self, Env, Program},
};
use jiff::Timestamp;
use serde_json::Value;

/// The environment of an expression: the variables, dotted names unfolded to maps.
pub(crate) fn environment(scope: &dyn Scope) -> Value {
    let value = |key| Some((key, scope.entry(key)?.into_json()));
    expr::expand(scope.keys().filter_map(value))
}

fn with_functions(environment: &Value, now: Timestamp) -> Env<'_> {
    Env::new(environment).with_functions().with_now(now)
}

/// The boolean that the expression gives, with Argo's functions. Errors: as text, as they stand in messages.
pub(crate) fn eval_bool(text: &str, environment: &Value, now: Timestamp) -> Result<bool, String> {
    Program::compile(text)
        .and_then(|program| program.run_bool(&with_functions(environment, now)))
        .map_err(|e| e.to_string())
}

/// The value that the expression gives, as JSON.
pub(crate) fn eval(text: &str, environment: &Value, now: Timestamp) -> Result<Value, String> {
    let value = Program::compile(text)
        .and_then(|program| program.run(&with_functions(environment, now)))
        .map_err(|e| e.to_string())?;
    let json = value.to_json(false).ok_or_else(|| format!("the result of expression {text} has no JSON form"))?;
    serde_json::from_str(&json).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn now_is_the_moment_of_the_event() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        assert_eq!(eval("sprig.date('2006', 'no date')", &json!({}), at), Ok(json!("2026")));
        assert_eq!(eval_bool("now().Year() == 2026", &json!({}), at), Ok(true));
    }
}
