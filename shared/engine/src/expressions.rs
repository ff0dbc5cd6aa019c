//! Expressions over the variables in scope.

use argosy_template::{
    Scope,
    expr::{self, Env, Program},
};
use serde_json::Value;

/// The environment of an expression: the variables, dotted names unfolded to maps.
pub(crate) fn environment(scope: &dyn Scope) -> Value {
    let value = |key| Some((key, scope.entry(key)?.into_json()));
    expr::expand(scope.keys().filter_map(value))
}

/// The boolean that the expression gives, with Argo's functions. Errors: as text, as they stand in messages.
pub(crate) fn eval_bool(text: &str, environment: &Value) -> Result<bool, String> {
    Program::compile(text)
        .and_then(|program| program.run_bool(&Env::new(environment).with_functions()))
        .map_err(|e| e.to_string())
}

/// The value that the expression gives, as JSON.
pub(crate) fn eval(text: &str, environment: &Value) -> Result<Value, String> {
    let value = Program::compile(text).and_then(|program| program.eval(environment)).map_err(|e| e.to_string())?;
    let json = value.to_json(false).ok_or_else(|| format!("the result of expression {text} has no JSON form"))?;
    serde_json::from_str(&json).map_err(|e| e.to_string())
}
