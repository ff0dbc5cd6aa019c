//! Measures Argosy and prints the figures. Build with `--release`; nothing here passes or fails.

mod driver;
mod embedded;
mod engine;
mod isolation;
mod memory;
mod shapes;

use std::{os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};
use shapes::Shape;

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures Argosy and prints the figures")]
struct Cli {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// The largest workflow of the engine's figures, in nodes
    #[arg(long, default_value_t = 100_000)]
    nodes: usize,
    /// Only these shapes of workflow, of the engine's figures
    #[arg(long, value_enum)]
    shape: Vec<Shape>,
    /// The program to be measured [default: `argosy` next to this program]
    #[arg(long, value_name = "PATH")]
    argosy: Option<PathBuf>,
    /// How often to measure, of the figures of isolation
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only on these buses, of the figures of isolation [default: memory, and nats where a nats-server is found]
    #[arg(long, value_enum)]
    bus: Vec<isolation::Bus>,
    /// Only beside these sick workflows, of the figures of isolation
    #[arg(long, value_enum)]
    sick: Vec<isolation::Sick>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The pure engine: transitions per second, cost per node by size
    Engine,
    /// A chain of 100 steps of `true` in embedded mode
    Chain,
    /// A 1,000-way fan-out in embedded mode
    Fanout,
    /// 50 healthy workflows alone, and beside a sick one of each kind: minutes, so it is not among `all`
    Isolation,
    /// The engine, the chain and the fan-out
    All,
}

/// Keeps memory that one run has freed at hand for the next, as it is in a service that has run for a while: what a fresh
/// page costs the kernel is not the engine's doing. The allocator reads this when a program starts, so it starts anew.
const WARM_HEAP: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "-1");

fn main() -> Result<()> {
    let cli = Cli::parse();
    if std::env::var_os(WARM_HEAP.0).is_none() {
        let mut again = Command::new(std::env::current_exe()?);
        again.args(std::env::args_os().skip(1)).env(WARM_HEAP.0, WARM_HEAP.1);
        return Err(again.exec()).context("start with a warm heap");
    }
    let wants = |what: What| cli.what == what || cli.what == What::All;
    let mut figures = Map::new();
    let mut say = |name: &str, text: String, value: Value| {
        if !cli.json {
            println!("{text}");
        }
        figures.insert(name.to_owned(), value);
    };
    if wants(What::Engine) {
        let found = engine::measure(cli.nodes, &cli.shape)?;
        say("engine", engine::table(&found), json!(found.iter().map(engine::Figure::json).collect::<Vec<_>>()));
    }
    if wants(What::Chain) {
        let found = embedded::chain(cli.argosy.as_deref())?;
        say("chain", found.text(), found.json());
    }
    if wants(What::Fanout) {
        let found = embedded::fanout(cli.argosy.as_deref())?;
        say("fanout", found.text(), found.json());
    }
    if cli.what == What::Isolation {
        let found = isolation::measure(&isolation::Options { buses: cli.bus, kinds: cli.sick, rounds: cli.rounds })?;
        let texts: Vec<String> = found.iter().map(isolation::Table::text).collect();
        say("isolation", texts.join("\n\n"), json!(found.iter().map(isolation::Table::json).collect::<Vec<_>>()));
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    }
    Ok(())
}
