//! Reading tables and judging their cases.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

const KNOWN: &str = include_str!("../known-differences.txt");

fn directory() -> PathBuf {
    match std::env::var_os("ARGOSY_CONFORMANCE") {
        Some(set) => set.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    }
}

/// A file of the conformance directory, or nothing when there is no such directory.
pub fn read(path: &str) -> Option<String> {
    let directory = directory();
    if !directory.is_dir() {
        eprintln!("{} is missing: nothing compared", directory.display());
        return None;
    }
    let path = directory.join(path);
    Some(fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display())))
}

/// The files of a folder of the conformance directory, by name without ending.
pub fn folder(name: &str) -> Vec<(String, Value)> {
    if read("TABLES.md").is_none() {
        return Vec::new();
    }
    let entries = fs::read_dir(directory().join(name)).unwrap_or_else(|e| panic!("read {name}: {e}"));
    let mut files: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    let load = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
        let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), value)
    };
    files.iter().map(load).collect()
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
    let Some(text) = read(table) else { return };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{table}: {e}"));
    let answers =
        cases.iter().filter_map(|case| judge(case).map(|answer| (super::harness::text(case, "id").to_owned(), answer)));
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
