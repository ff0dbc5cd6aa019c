//! Verdicts: printed as they come, summed up at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result};
use argosy_testkit::compare::Difference;
use serde_json::json;

use crate::cases::Common;

/// How many differences of a case are printed.
const PRINTED: usize = 2;

/// All verdicts of a run.
pub struct Report {
    known: BTreeMap<String, String>,
    /// The cases that must agree; none where all must.
    agreeing: Option<BTreeSet<String>>,
    verdicts: BTreeMap<String, Verdict>,
}

enum Verdict {
    Passed,
    Failed(Vec<Difference>),
    /// Differs as it is known to.
    Known(Vec<Difference>),
    /// Listed as different, but it passes: the list is wrong.
    Unlisted,
    /// Differs, and nothing says that it must not.
    Differs(Vec<Difference>),
    /// Agrees, and the list of those that do lacks it.
    Agrees,
}

impl Report {
    /// `known`: reasons by case. `agreeing`: the cases that must agree, none where all must.
    pub fn new(known: BTreeMap<String, String>, agreeing: Option<BTreeSet<String>>) -> Self {
        Self { known, agreeing, verdicts: BTreeMap::new() }
    }

    /// Takes in and prints one case's differences.
    pub fn add(&mut self, id: &str, differences: Vec<Difference>, seconds: f64, all: bool) {
        let may_differ = self.agreeing.as_ref().is_some_and(|agreeing| !agreeing.contains(id));
        let verdict = match (differences.is_empty(), self.known.contains_key(id)) {
            (true, false) if may_differ => Verdict::Agrees,
            (false, _) if may_differ => Verdict::Differs(differences),
            (true, false) => Verdict::Passed,
            (true, true) => Verdict::Unlisted,
            (false, true) => Verdict::Known(differences),
            (false, false) => Verdict::Failed(differences),
        };
        match &verdict {
            Verdict::Passed => println!("ok    {id}  {seconds:.1} s"),
            Verdict::Unlisted => {
                println!("FAIL  {id}  passes, but known-differences/{id}.txt lists it: remove the file")
            }
            Verdict::Known(d) => {
                println!("known {id}  {} ({})", d.len(), self.known[id].lines().next().unwrap_or_default());
            }
            Verdict::Agrees => println!("agree {id}  and is not among those in recorded/"),
            Verdict::Differs(d) | Verdict::Failed(d) => {
                let word = if matches!(verdict, Verdict::Failed(_)) { "FAIL " } else { "differ" };
                let shown: Vec<String> =
                    d.iter().take(if all { d.len() } else { PRINTED }).map(Difference::short).collect();
                println!("{word} {id}  {}: {}", d.len(), shown.join(if all { "\n        " } else { "; " }));
            }
        }
        self.verdicts.insert(id.to_owned(), verdict);
    }

    /// Prints the sums and writes the file that was asked for.
    pub fn finish(&self, common: &Common) -> Result<()> {
        let mut by_field: BTreeMap<&str, usize> = BTreeMap::new();
        let mut counts = (0, 0, 0);
        let mut unlisted = (0, 0);
        for verdict in self.verdicts.values() {
            match verdict {
                Verdict::Passed => counts.0 += 1,
                Verdict::Unlisted => counts.1 += 1,
                Verdict::Known(_) => counts.2 += 1,
                Verdict::Agrees => unlisted.0 += 1,
                Verdict::Differs(_) => unlisted.1 += 1,
                Verdict::Failed(d) => {
                    counts.1 += 1;
                    let fields: std::collections::BTreeSet<&str> = d.iter().map(|d| d.field.as_str()).collect();
                    fields.into_iter().for_each(|f| *by_field.entry(f).or_default() += 1);
                }
            }
        }
        if let Some(path) = &common.report {
            let text = serde_json::to_vec_pretty(&self.json())?;
            fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        }
        let sums: Vec<String> = by_field.iter().map(|(field, n)| format!("{field} {n}")).collect();
        println!("cases that differ, by field: {}", if sums.is_empty() { "none".to_owned() } else { sums.join(", ") });
        if counts.2 > 0 {
            println!("{} differ as known-differences/ says (not counted below)", counts.2);
        }
        if self.agreeing.is_some() {
            let (agree, differ) = unlisted;
            println!(
                "{} of {} agree; of those not in recorded/ {agree} agree and {differ} differ",
                counts.0 + agree,
                self.verdicts.len()
            );
        }
        println!("{} passed, {} failed", counts.0, counts.1);
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let list = |d: &[Difference]| -> Vec<serde_json::Value> {
            d.iter().map(|d| json!({"node": d.node, "field": d.field, "argo": d.argo, "actual": d.actual})).collect()
        };
        let cases = self.verdicts.iter().map(|(id, verdict)| {
            let value = match verdict {
                Verdict::Passed => json!({"verdict": "passed"}),
                Verdict::Unlisted => json!({"verdict": "passes though listed"}),
                Verdict::Agrees => json!({"verdict": "agrees though not listed"}),
                Verdict::Differs(d) => json!({"verdict": "differs", "differences": list(d)}),
                Verdict::Known(d) => json!({"verdict": "known", "reason": self.known.get(id), "differences": list(d)}),
                Verdict::Failed(d) => json!({"verdict": "failed", "differences": list(d)}),
            };
            (id.clone(), value)
        });
        serde_json::Value::Object(cases.collect())
    }

    /// True when nothing failed that is not known to.
    pub fn is_good(&self) -> bool {
        self.verdicts.values().all(|v| !matches!(v, Verdict::Failed(_) | Verdict::Unlisted))
    }
}
