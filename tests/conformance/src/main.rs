//! Runs what was recorded from Argo through Argosy and compares.
//!
//! `goldens` runs every recorded workflow with `argosy run`, that is through all services; `engine` runs it through the
//! engine alone, with pods that do what the recorded ones did; `ops` does to workflows of `argosy dev` what was done to the
//! recorded ones while they ran, and after.

mod cases;
mod cluster;
mod engine;
mod facts;
mod goldens;
mod judge;
mod operate;
mod ops;
mod program;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Compares Argosy with runs recorded from Argo Workflows")]
struct Cli {
    #[command(subcommand)]
    level: Level,
}

#[derive(Subcommand)]
enum Level {
    /// Every recorded workflow through `argosy run`.
    Goldens(goldens::Args),
    /// Every recorded workflow through the engine alone, in virtual time.
    Engine(engine::Args),
    /// The table of steps and facts, through the engine alone.
    Operate(operate::Args),
    /// Operations on live and ended workflows: the command line and `argosy dev`.
    Ops(ops::Args),
    /// Only compares: final objects that are there already.
    Judge(judge::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    let report = match Cli::parse().level {
        Level::Goldens(args) => goldens::run(&args)?,
        Level::Engine(args) => engine::run(&args)?,
        Level::Operate(args) => {
            return Ok(if operate::run(&args)? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Level::Ops(args) => ops::run(&args)?,
        Level::Judge(args) => judge::run(&args)?,
    };
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
