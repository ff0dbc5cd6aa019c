//! Only the comparison: objects that are there already, as the recordings' own `compare.py --dir` does it.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use argosy_testkit::compare;
use serde_json::Value;

use crate::{cases::Selection, report::Report};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Directory with the final objects, as ID.json
    actuals: PathBuf,
}

/// Compares all cases.
pub fn run(args: &Args) -> Result<Report> {
    let mut report = Report::new(Default::default(), args.selection.agreeing()?);
    for golden in args.selection.goldens()? {
        let path = args.actuals.join(format!("{}.json", golden.id));
        let found = match fs::read(&path) {
            Ok(text) => {
                let actual: Value =
                    serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))?;
                let bare = actual.get("status").is_some() || actual.get("workflow").is_none();
                compare::diff(&golden.workflow, if bare { &actual } else { &actual["workflow"] })
            }
            Err(_) => vec![compare::no_result("no result")],
        };
        report.add(&golden.id, found, 0.0, args.selection.common.all);
    }
    report.finish(&args.selection.common)?;
    Ok(report)
}
