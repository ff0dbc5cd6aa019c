//! Expressions over the variables in scope.

use argosy_template::{
    Scope,
    expr::{self, Program},
};
use serde_json::Value;

use crate::state::Globals;

/// The environment of an expression: the variables, dotted names unfolded to maps.
pub(crate) fn environment(scope: &dyn Scope) -> Value {
    let value = |key| Some((key, scope.entry(key)?.into_json()));
    expr::expand(scope.keys().filter_map(value))
}

/// The boolean that the expression gives, with Argo's functions. Errors: as text, as they stand in messages; those of
/// the evaluation name the expression, as in Argo's.
pub(crate) fn eval_bool(text: &str, environment: &Value, globals: &Globals) -> Result<bool, String> {
    let result = Program::compile(text).and_then(|program| program.run_bool(&globals.env(environment)));
    result.map_err(|error| match error {
        expr::Error::Run { .. } | expr::Error::Limit { .. } => {
            format!("unable to evaluate expression '{text}': {error}")
        }
        _ => error.to_string(),
    })
}

/// The value that the expression gives, as JSON. Errors: also when that is nil, which is no value.
pub(crate) fn eval(text: &str, environment: &Value, globals: &Globals) -> Result<Value, String> {
    let value = run(text, environment, globals)?;
    let json = value.to_json(false).ok_or_else(|| format!("the result of expression {text} has no JSON form"))?;
    serde_json::from_str(&json).map_err(|e| e.to_string())
}

/// The value that the expression gives, as Go writes it. Errors: as for [`eval`].
pub(crate) fn eval_text(text: &str, environment: &Value, globals: &Globals) -> Result<String, String> {
    run(text, environment, globals).map(|value| value.display())
}

fn run(text: &str, environment: &Value, globals: &Globals) -> Result<expr::Value, String> {
    let result = Program::compile(text).and_then(|program| program.run(&globals.env(environment)));
    let value = result.map_err(|e| e.to_string())?;
    if value.is_nil() {
        return Err(format!("failed to evaluate expression {}", Value::from(text)));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn now_is_the_moment_of_the_event() {
        let mut at = Globals::default();
        at.set_now("2026-01-02T03:04:05Z".parse().expect("a time"));
        assert_eq!(eval("sprig.date('2006', 'no date')", &json!({}), &at), Ok(json!("2026")));
        assert_eq!(eval_bool("now().Year() == 2026", &json!({}), &at), Ok(true));
    }
}
