//! Texts that stand for something: durations, quantities, counts.
//!
//! Argo's objects take no quantity that is none, so it is a mistake. Durations and counts it reads only when it
//! comes to them, so they are warnings: the step that has them will end with Error.

use argosy_template::duration;

use super::walk::{self, Step};
use crate::{diagnostic::Diagnostic, load::Document};

/// What a text must be.
#[derive(Clone, Copy)]
enum Meaning {
    /// `30s`, or seconds.
    Duration,
    /// As Go has it: with units.
    GoDuration,
    Quantity,
    Count,
}

/// What may stand behind the number of a quantity, and what it multiplies it by.
const SUFFIXES: [(&str, f64); 16] = [
    ("", 1.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
];

/// What the texts of the document cannot mean.
pub fn check(document: &Document) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    walk::each(document, &mut |way, value, place| {
        let Some(text) = value.as_str().filter(|text| !text.is_empty() && !text.contains("{{")) else { return };
        let Some((message, help, is_mistake)) = meaning(way).and_then(|meaning| wrong(meaning, text)) else { return };
        found.push(Diagnostic {
            span: place.map(|place| place.value.clone()),
            path: walk::path(way),
            help: Some(help),
            warning: !is_mistake,
            ..Diagnostic::of_source(&document.source, message)
        });
    });
    found
}

/// What the value at the end of `way` must be, by the fields that it stands in.
fn meaning(way: &[Step<'_>]) -> Option<Meaning> {
    let key = |from_end: usize| walk::key(way, from_end);
    let is_of_template = way.split_last().is_some_and(|(_, holder)| walk::is_template(holder));
    Some(match (key(3), key(2), key(1)) {
        (_, "backoff", "duration" | "maxDuration" | "cap") | (_, "suspend", "duration") => Meaning::Duration,
        (_, "podGC", "deleteDelayDuration") => Meaning::Duration,
        (_, _, "timeout") if is_of_template => Meaning::Duration,
        (_, "memoize", "maxAge") => Meaning::GoDuration,
        ("resources" | "podResources", "limits" | "requests", _) | (_, "emptyDir", "sizeLimit") => Meaning::Quantity,
        (_, "retryStrategy", "limit") | (_, "backoff", "factor") => Meaning::Count,
        _ => return None,
    })
}

/// What is wrong, what to do, and whether Argo would not take it.
fn wrong(meaning: Meaning, text: &str) -> Option<(String, String, bool)> {
    let durations = "write it as 30s, 5m or 1h30m".to_owned();
    match meaning {
        Meaning::Duration if duration::parse(text).is_err() => {
            Some((format!("`{text}` is no duration"), durations, false))
        }
        Meaning::GoDuration if duration::parse_go(text).is_err() => {
            Some((format!("`{text}` is no duration with units"), durations, false))
        }
        Meaning::Quantity if !is_quantity(text) => {
            let help = "write it as 500m or 2 (processors), 64Mi or 1Gi (bytes)".to_owned();
            Some((format!("`{text}` is no quantity"), help, true))
        }
        Meaning::Count if text.parse::<i32>().is_err() => {
            Some((format!("`{text}` is no whole number"), "write it as 3".to_owned(), false))
        }
        Meaning::Duration | Meaning::GoDuration | Meaning::Quantity | Meaning::Count => None,
    }
}

/// A number with a suffix or an exponent, as Kubernetes' `resource.Quantity` reads it.
fn is_quantity(text: &str) -> bool {
    amount(text).is_some()
}

/// About how much a quantity is: good for comparisons of those that differ.
pub fn amount(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 || number.len() - digits > 1 {
        return None;
    }
    let number: f64 = format!("0{number}").parse().ok()?;
    let factor = match SUFFIXES.iter().find(|(known, _)| *known == suffix) {
        Some((_, factor)) => *factor,
        None => 10_f64.powi(suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?),
    };
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    Some(sign * number * factor)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::load::{self, Source};

    fn said(template: &str) -> Vec<String> {
        let text = format!("kind: Workflow\nspec:\n  templates:\n  - {template}\n");
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        load::text(&Arc::new(Source::new("f", text)), &mut documents, &mut problems);
        assert!(problems.is_empty(), "{template}");
        check(&documents[0]).iter().map(Diagnostic::line).collect()
    }

    #[test]
    fn what_is_no_duration_quantity_or_count_is_told_at_its_place() {
        for (template, words) in [
            (
                "{retryStrategy: {backoff: {duration: 1x}}}",
                "4:42: spec.templates[0].retryStrategy.backoff.duration: `1x`",
            ),
            ("{retryStrategy: {backoff: {duration: 1d, maxDuration: '5'}}}", "`1d` is no duration"),
            ("{retryStrategy: {limit: three}}", "`three` is no whole number"),
            ("{suspend: {duration: soon}}", "suspend.duration: `soon`"),
            ("{timeout: soon}", "spec.templates[0].timeout: `soon`"),
            ("{memoize: {maxAge: '10'}}", "with units"),
            (
                "{container: {resources: {limits: {cpu: lots}}}}",
                "container.resources.limits.cpu: `lots` is no quantity",
            ),
            ("{script: {resources: {requests: {memory: 1GB}}}}", "requests.memory: `1GB`"),
            ("{sidecars: [{resources: {limits: {cpu: 1 2}}}]}", "sidecars[0].resources.limits.cpu"),
            ("{volumes: [{emptyDir: {sizeLimit: big}}]}", "sizeLimit: `big`"),
        ] {
            let found = said(template);
            assert!(found.len() == 1 && found[0].contains(words), "{template}: {found:?}");
        }
    }

    #[test]
    fn what_is_well_written_or_not_known_yet_is_not_told() {
        for template in [
            "{retryStrategy: {limit: '3', backoff: {duration: '5', factor: '2', maxDuration: 1h30m, cap: 1.5s}}}",
            "{retryStrategy: {limit: '{{inputs.parameters.n}}', backoff: {duration: '{{inputs.parameters.d}}'}}}",
            "{container: {resources: {limits: {cpu: 0.5, memory: 64Mi, a/b: '1e3'}, requests: {cpu: 500m, memory: 1E}}}}",
            "{container: {resources: {limits: {cpu: '.5', memory: +1.Gi}}}, timeout: 10s, http: {timeoutSeconds: 3}}",
            "{inputs: {parameters: [{name: duration, value: 1x}, {name: limit, value: lots}]}}",
        ] {
            assert_eq!(said(template), [""; 0], "{template}");
        }
    }
}
