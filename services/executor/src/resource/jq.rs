//! jq filters of output parameters. They have no budget of their own: see [`filter`](super::filter).

use jaq_core::{
    Compiler, Ctx, Vars,
    compile::Undefined,
    data,
    load::{self, Arena, File, Loader},
};
use jaq_json::{Val, read};
use serde_json::Value;

/// Results of one filter; `repeat(.)` has no end.
const RESULTS_MAX: usize = 10_000;

/// Natives that are not the template author's business: the environment is the executor's.
const HIDDEN: [&str; 1] = ["env"];

/// Why a filter gives nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// It cannot be read.
    Mistake(String),
    /// It does not fit the object, or gives too much.
    Run(String),
}

/// Applies the filter to an object in JSON. Texts without quotes, anything else as JSON, one result per line, at most so
/// many bytes together.
/// Errors: see [`Failed`].
pub(super) fn run(object: &str, filter: &str, bytes_max: u64) -> Result<String, Failed> {
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let funs = funs.filter(|(name, _, _)| !HIDDEN.contains(name));
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(&arena, File { code: filter, path: () })
        .map_err(|errors| Failed::Mistake(errors.first().map(|(_, error)| mistake(error)).unwrap_or_default()))?;
    let filter = Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
        let undefined = errors.iter().flat_map(|(_, list)| list).next();
        Failed::Mistake(undefined.map(|(name, kind)| undefined_name(name, kind)).unwrap_or_default())
    })?;
    let input = read::parse_single(object.as_bytes()).map_err(|error| Failed::Run(error.to_string()))?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for result in filter.id.run((context, input)) {
        let line = match result {
            Ok(_) if lines.len() == RESULTS_MAX => {
                return Err(Failed::Run(format!("it has more than {RESULTS_MAX} results")));
            }
            Ok(Val::TStr(text)) => String::from_utf8_lossy(&text).into_owned(),
            Ok(value) => plain(value.to_string()),
            // Anything but an error is `halt`: nothing follows.
            Err(exception) => match exception.get_err() {
                Ok(error) => return Err(Failed::Run(error.to_string())),
                Err(_) => break,
            },
        };
        bytes += line.len() as u64 + 1;
        if bytes > bytes_max.saturating_add(1) {
            return Err(Failed::Run(format!("it gives more than {bytes_max} bytes")));
        }
        lines.push(line);
    }
    Ok(lines.join("\n"))
}

/// What cannot be read, as the reader in Argo's executor tells it.
fn mistake(error: &load::Error<&str>) -> String {
    let rest = match error {
        load::Error::Lex(list) => list.first().map(|(_, rest)| *rest),
        load::Error::Parse(list) => list.first().map(|(_, rest)| *rest),
        load::Error::Io(list) => return list.first().map(|(_, what)| what.clone()).unwrap_or_default(),
    };
    match rest.unwrap_or_default().split_whitespace().next() {
        None => "unexpected EOF".to_owned(),
        Some(token) => format!("unexpected token {token:?}"),
    }
}

fn undefined_name(name: &str, kind: &Undefined) -> String {
    match kind {
        Undefined::Var => format!("variable not defined: {name}"),
        Undefined::Filter(arity) => format!("function not defined: {name}/{arity}"),
        Undefined::Label => format!("label not defined: {name}"),
        Undefined::Mod => format!("module not found: {name}"),
        other => format!("{other:?} {name}"),
    }
}

/// Numbers without the `.0` that whole ones have here and not in jq.
fn plain(json: String) -> String {
    fn settle(value: &mut Value) {
        match value {
            Value::Number(number) => {
                if let Some(whole) = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < 1e15) {
                    // As many as have no fraction are exact.
                    *number = (whole as i64).into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(settle),
            Value::Object(members) => members.values_mut().for_each(settle),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    if !json.contains(".0") {
        return json;
    }
    let Ok(mut value) = serde_json::from_str(&json) else { return json };
    settle(&mut value);
    value.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(object: &Value, filter: &str) -> Result<String, String> {
        run(&object.to_string(), filter, 100_000).map_err(|failed| format!("{failed:?}"))
    }

    #[test]
    fn filters_give_what_jq_gives() {
        let object = json!({"a": {"b": [{"c": "x"}, {"c": 2}], "d-e": null}, "n": [1, 2, 3]});
        for (filter, expected) in [
            (".a.b[0].c", "x"),
            (".a.b[].c", "x\n2"),
            (".a[\"b\"][-1]", "{\"c\":2}"),
            (".a.\"d-e\".f", "null"),
            (".n | map(select(. > 1)) | add", "5"),
            ("[.a | keys[]] | join(\",\")", "b,d-e"),
            (".n[0], halt, .n[1]", "1"),
            ("empty", ""),
            (".n[0] * 1.5 * 2", "3"),
            ("[.n[1] / 2, .n[1] / 4]", "[1,0.5]"),
        ] {
            assert_eq!(apply(&object, filter), Ok(expected.to_owned()), "{filter}");
        }
    }

    #[test]
    fn mistakes_and_filters_without_end_are_errors() {
        let object = json!({"a": "x"});
        for (filter, part) in [
            (".a[", "unexpected EOF"),
            ("nope", "function not defined: nope/0"),
            ("env", "function not defined: env/0"),
            (".a.b", "cannot index"),
            ("repeat(.)", "results"),
            ("\"x\" * 200000", "bytes"),
        ] {
            let error = apply(&object, filter).expect_err(filter);
            assert!(error.contains(part), "{filter}: {error}");
        }
    }
}
