//! SARIF 2.1.0, as code scanning reads it. Source: OASIS, Static Analysis Results Interchange Format 2.1.0.

use argosy_engine::advise::Rule;
use serde_json::{Value, json};

use super::Diagnostic;

/// The id of whatever no rule of its own gives: a mistake.
const MISTAKE: &str = "mistake";

/// The log of one run of `argosy lint`.
pub fn log(diagnostics: &[Diagnostic]) -> Value {
    let rule = |id: &str, text: &str| json!({ "id": id, "shortDescription": { "text": text } });
    let mut rules = vec![rule(MISTAKE, "what cannot be read or cannot run")];
    rules.extend(Rule::ALL.iter().map(|known| rule(known.name(), known.summary())));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "argosy lint", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": diagnostics.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(diagnostic: &Diagnostic) -> Value {
    let mut place = json!({ "artifactLocation": { "uri": diagnostic.file } });
    if let Some((line, column)) = diagnostic.position() {
        place["region"] = json!({ "startLine": line, "startColumn": column });
    }
    json!({
        "ruleId": diagnostic.rule.unwrap_or(MISTAKE),
        "level": diagnostic.severity(),
        "message": { "text": diagnostic.words() },
        "locations": [{ "physicalLocation": place }],
    })
}
