//! Chores of the project: `cargo xtask tidy`, `cargo xtask test`.

mod bans;
mod contract;
mod crates;
mod imports;
mod lines;
mod metrics;
mod suite;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Chores of the project")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Checks what the compiler does not: who depends on whom, circles of imports, texts that crates agree on, sizes of files, words that must not stay, names of metrics
    Tidy,
    /// Runs all tests of the workspace, one program per processor
    Test,
}

fn main() -> Result<ExitCode> {
    match Cli::parse().chore {
        Chore::Tidy => {
            let found = tidy(&root())?;
            for complaint in &found {
                eprintln!("tidy: {complaint}");
            }
            if found.is_empty() {
                println!("tidy: nothing to complain about");
                return Ok(ExitCode::SUCCESS);
            }
            Ok(ExitCode::FAILURE)
        }
        Chore::Test => Ok(if suite::run(&root())? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All complaints, in words; empty when the project is tidy.
fn tidy(root: &Path) -> Result<Vec<String>> {
    let mut found = crates::impure(root)?;
    found.extend(crates::forbidden_edges(root)?);
    found.extend(crates::apart(root)?);
    found.extend(bans::missing(root)?);
    found.extend(contract::written_out(root)?);
    found.extend(imports::circles(root)?);
    found.extend(lines::complaints(root)?);
    found.extend(metrics::unknown(root)?);
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_project_is_tidy() {
        let found = super::tidy(&super::root()).expect("the checks can be run");
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
