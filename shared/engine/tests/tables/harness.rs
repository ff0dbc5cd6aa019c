//! Reading tables and judging their cases.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::recorded;

const KNOWN: &str = include_str!("../known-differences.txt");

/// A file beside the checkout.
pub fn read(path: &str) -> String {
    let path = recorded::beside().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

/// The recorded runs of both sets, carried or beside the checkout, by id.
pub fn runs() -> BTreeMap<String, Value> {
    let folders = [recorded::carried().join("goldens-edge"), recorded::beside().join("goldens")];
    let mut found = BTreeMap::new();
    for path in folders.iter().flat_map(fs::read_dir).flatten().map(|entry| entry.expect("an entry").path()) {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
        let run: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        found.insert(self::text(&run, "id").to_owned(), run);
    }
    found
}

pub fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Why a listed case differs.
pub fn known() -> BTreeMap<&'static str, &'static str> {
    let lines = KNOWN.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines.map(|l| l.split_once(" — ").unwrap_or_else(|| panic!("`{l}` is not `id — reason`"))).collect()
}

/// Runs each case of `table` for which `judge` gives an answer; the answer is what is wrong, if anything.
pub fn run(table: &str, judge: impl Fn(&Value) -> Option<Result<(), String>>) {
    let cases = recorded::table(table);
    let answers = cases.iter().filter_map(|case| judge(case).map(|answer| (text(case, "id").to_owned(), answer)));
    report(table, answers);
}

/// Prints the counts and fails on a difference that is not known, and on a known one that is gone.
pub fn report(table: &str, answers: impl Iterator<Item = (String, Result<(), String>)>) {
    let known = known();
    let (mut passed, mut differ) = (0, 0);
    let mut wrong = Vec::new();
    for (id, answer) in answers {
        match (answer, known.get(id.as_str())) {
            (Ok(()), None) => passed += 1,
            (Err(_), Some(_)) => differ += 1,
            (Err(difference), None) => wrong.push(format!("{id}: {difference}")),
            (Ok(()), Some(reason)) => wrong.push(format!("{id} passes, yet is listed as known ({reason})")),
        }
    }
    println!("{table}: {passed} passed, {differ} known differences, {} wrong", wrong.len());
    assert!(passed > 0, "{table}: no case was judged");
    assert!(wrong.is_empty(), "{table}:\n{}", wrong.join("\n"));
}

/// Two values that should be equal.
pub fn same(what: &str, got: &Value, expected: &Value) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got}, expected {expected}")) }
}

/// An error that should be there, or should not, and its text.
pub fn check_error<T>(case: &Value, got: Result<T, String>) -> Result<Option<T>, String> {
    let fails = case.get("isError") == Some(&Value::Bool(true)) || case.get("error").is_some();
    match (got, fails) {
        (Ok(value), false) => Ok(Some(value)),
        (Ok(_), true) => Err(format!("no error, expected {}", text(case, "observedError"))),
        (Err(error), false) => Err(format!("unexpected error: {error}")),
        (Err(error), true) => {
            let expected = text(case, "observedError");
            if expected.is_empty() || expected == error {
                Ok(None)
            } else {
                Err(format!("error {error:?}, expected {expected:?}"))
            }
        }
    }
}
