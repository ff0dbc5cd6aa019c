//! jq filters of output parameters.

use std::time::Duration;

use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{Arena, File, Loader},
};
use jaq_json::{Val, read};
use serde_json::Value;

use super::Error;

/// Results of one filter; `repeat(.)` has no end.
const RESULTS_MAX: usize = 10_000;
/// How long a filter may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Natives that are not the template author's business: the environment is the executor's.
const HIDDEN: [&str; 1] = ["env"];

/// Applies the filter. Texts without quotes, anything else as JSON, one result per line.
/// Errors: `Jq`, `JqRun`.
pub(super) async fn apply(object: &Value, filter: &str) -> Result<String, Error> {
    let failed = |what: &str| Error::JqRun { filter: filter.to_owned(), what: what.to_owned() };
    let (text, code) = (object.to_string(), filter.to_owned());
    // Its values are not for several threads, and it may run for ever.
    let run = tokio::task::spawn_blocking(move || run(&text, &code));
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(failed("it broke the interpreter")),
        Err(_) => Err(failed(&format!("it took more than {} s", PATIENCE.as_secs()))),
    }
}

fn run(object: &str, filter: &str) -> Result<String, Error> {
    let run_failed = |what: String| Error::JqRun { filter: filter.to_owned(), what };
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let funs = funs.filter(|(name, _, _)| !HIDDEN.contains(name));
    let arena = Arena::default();
    let wrong = |what: String| Error::Jq { filter: filter.to_owned(), what };
    let modules = Loader::new(defs).load(&arena, File { code: filter, path: () }).map_err(|errors| {
        let parts = errors.iter().map(|(_, error)| format!("{error:?}"));
        wrong(parts.collect::<Vec<_>>().join("; "))
    })?;
    let filter = Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
        let undefined = errors.iter().flat_map(|(_, list)| list).map(|(name, kind)| format!("{kind:?} {name}"));
        wrong(format!("undefined: {}", undefined.collect::<Vec<_>>().join(", ")))
    })?;
    let input = read::parse_single(object.as_bytes()).map_err(|error| run_failed(error.to_string()))?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let mut lines = Vec::new();
    for result in filter.id.run((context, input)) {
        match result {
            Ok(_) if lines.len() == RESULTS_MAX => {
                return Err(run_failed(format!("it has more than {RESULTS_MAX} results")));
            }
            Ok(Val::TStr(text)) => lines.push(String::from_utf8_lossy(&text).into_owned()),
            Ok(value) => lines.push(value.to_string()),
            // Anything but an error is `halt`: nothing follows.
            Err(exception) => match exception.get_err() {
                Ok(error) => return Err(run_failed(error.to_string())),
                Err(_) => break,
            },
        }
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn filters_give_what_jq_gives() {
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
        ] {
            assert_eq!(apply(&object, filter).await.map_err(|e| e.to_string()), Ok(expected.to_owned()), "{filter}");
        }
    }

    #[tokio::test]
    async fn mistakes_and_filters_without_end_are_errors() {
        let object = json!({"a": "x"});
        for (filter, part) in [
            (".a[", "jqFilter"),
            ("nope", "undefined"),
            ("env", "undefined"),
            (".a.b", "\"x\""),
            ("repeat(.)", "results"),
        ] {
            let error = apply(&object, filter).await.expect_err(filter).to_string();
            assert!(error.contains(part), "{filter}: {error}");
        }
    }
}
