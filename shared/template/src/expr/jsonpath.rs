//! The `jsonpath()` function: one value for a path that names one place, a list for any other.

use serde_json::Value as Json;
use serde_json_path::JsonPath;

/// Looks `path` up in `json`. Errors: a bad path, or a definite path that leads nowhere.
/// Source: Argo docs/variables.md; the library it uses is github.com/evilmonkeyinc/jsonpath.
pub(crate) fn query(json: &Json, path: &str) -> Result<Json, String> {
    let parsed =
        JsonPath::parse(path).map_err(|e| format!("invalid JSONPath query '{path}' {e}"))?;
    let found = parsed.query(json);
    if is_definite(path) {
        return match found.first() {
            Some(value) => Ok(value.clone()),
            None => Err(format!("key: invalid token key not found in '{path}'")),
        };
    }
    Ok(Json::Array(found.iter().map(|v| (*v).clone()).collect()))
}

/// Can the path match more than one place?
fn is_definite(path: &str) -> bool {
    let mut quote = None;
    let mut previous = ' ';
    for c in path.chars() {
        match quote {
            Some(q) if c == q && previous != '\\' => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' => quote = Some(c),
                '*' | '?' | ':' | ',' => return false,
                '.' if previous == '.' => return false,
                _ => {}
            },
        }
        previous = c;
    }
    true
}
