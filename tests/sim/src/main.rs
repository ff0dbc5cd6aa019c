//! Runs the seeded world and says how to replay what failed.

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, bail};
use argosy_sim::{Crash, Excused, Outcome, Plan, Plant, Role, When, Writes, corpus, run};
use clap::{Parser, ValueEnum};

#[derive(Parser)]
#[command(about = "All services in one process, in virtual time, under faults that come out of a seed")]
struct Cli {
    /// Run this many seeds, from --first on
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// The first seed follows from this commit hash, so that each commit is tried with seeds of its own
    #[arg(long, value_name = "HASH", conflicts_with = "first")]
    from_commit: Option<String>,
    /// Failures are printed, with how to replay them, and are no error
    #[arg(long)]
    report_only: bool,
    /// Run these seeds, each told with its workflows
    #[arg(long, value_name = "SEED", value_delimiter = ',')]
    seed: Vec<u64>,
    /// Every workflow of the corpus with a crash before and after each write of each service, and the bus lost there
    #[arg(long)]
    exhaustive: bool,
    /// Only this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// One crash, or loss of the bus: SERVICE:WRITE:before, SERVICE:WRITE:after or SERVICE:WRITE:bus-lost
    #[arg(long, value_name = "WHERE")]
    crash: Option<String>,
    /// Which world
    #[arg(long, value_enum, default_value_t = World::First)]
    world: World,
    /// Put a bug in, to see it found
    #[arg(long)]
    plant: Option<PlantName>,
    /// Tell of every write and every fault
    #[arg(long)]
    trace: bool,
}

/// Which world the seeds stand for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum World {
    /// Up to three of ten workflows in one namespace
    First,
    /// Dozens of workflows in two namespaces, with quotas, edits, retries, sick neighbours, fights for leases
    Grown,
    /// Workflows in two namespaces that want the same locks
    Locked,
}

impl World {
    fn plan(self, seed: u64) -> Plan {
        match self {
            Self::First => Plan::of_seed(seed),
            Self::Grown => Plan::grown(seed),
            Self::Locked => Plan::locked(seed),
        }
    }

    /// As it stands in a command line.
    fn option(self) -> &'static str {
        match self {
            Self::First => "",
            Self::Grown => "--world grown ",
            Self::Locked => "--world locked ",
        }
    }

    fn names(self) -> Vec<&'static str> {
        match self {
            Self::First => corpus::names(),
            Self::Grown => corpus::grown_names(),
            Self::Locked => corpus::locked_names(),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum PlantName {
    /// The scheduler acknowledges before it publishes (does no harm: the log is replayed)
    AckBeforePublish,
    /// The status service acknowledges before it writes
    AckBeforeWrite,
    /// Pods are not deleted, though the answer says so
    KeepsPods,
    /// Pods get a finalizer that nobody takes away
    LeavesFinalizer,
    /// Each write of the API is made twice
    WritesTwice,
    /// Somebody writes although nothing changes
    Restless,
    /// The node leaves pods alone
    IdleNode,
    /// The end of pods is not reported
    LosesReports,
    /// A pod that was deleted is created again
    RecreatesPods,
    /// Pods run under another service account
    WrongAccount,
}

impl PlantName {
    fn plant(self) -> Plant {
        match self {
            Self::AckBeforePublish => Plant::AckBeforePublish,
            Self::AckBeforeWrite => Plant::AckBeforeWrite,
            Self::KeepsPods => Plant::KeepsPods,
            Self::LeavesFinalizer => Plant::LeavesFinalizer,
            Self::WritesTwice => Plant::WritesTwice,
            Self::Restless => Plant::Restless,
            Self::IdleNode => Plant::IdleNode,
            Self::LosesReports => Plant::LosesReports,
            Self::RecreatesPods => Plant::RecreatesPods,
            Self::WrongAccount => Plant::WrongAccount,
        }
    }
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let world = cli.world.option();
    let plant = cli.plant.map(PlantName::plant);
    let mut tally = Tally { passed: 0, failed: 0, faults: 0, excused: Excused::default(), started: Instant::now() };
    let names: Vec<&'static str> =
        cli.world.names().into_iter().filter(|n| cli.workflow.as_ref().is_none_or(|w| w == n)).collect();
    if names.is_empty() {
        bail!("there is no such workflow; there are {}", cli.world.names().join(", "));
    }
    let planted = cli
        .plant
        .and_then(|p| p.to_possible_value())
        .map_or_else(String::new, |p| format!(" --plant {}", p.get_name()));
    if let Some(place) = &cli.crash {
        for name in &names {
            let plan = Plan { crash: Some(parse(place)?), plant, trace: cli.trace, ..Plan::calm(name) };
            tally.take(&plan, &format!("{world}--workflow {name} --crash {place}{planted}"), true)?;
        }
    } else if cli.exhaustive {
        for name in &names {
            exhaustive(name, plant, &mut tally, world, &planted)?;
        }
    } else if !cli.seed.is_empty() {
        for seed in cli.seed {
            let plan = Plan { plant, trace: cli.trace, ..cli.world.plan(seed) };
            tally.take(&plan, &format!("{world}--seed {seed}{planted}"), true)?;
        }
    } else if let Some(seeds) = cli.seeds {
        let first = cli.from_commit.as_deref().map_or(Ok(cli.first), seed_of_commit)?;
        println!("seeds {first} to {}", first + seeds.saturating_sub(1));
        for seed in first..first + seeds {
            let plan = Plan { plant, ..cli.world.plan(seed) };
            tally.take(&plan, &format!("{world}--seed {seed}{planted}"), false)?;
        }
    } else {
        for name in &names {
            let plan = Plan { plant, trace: cli.trace, ..Plan::calm(name) };
            tally.take(&plan, &format!("{world}--workflow {name}{planted}"), true)?;
        }
    }
    println!("{} faults in {:.1} s", tally.faults, tally.started.elapsed().as_secs_f64());
    let Excused { late, again, forgotten, lent } = tally.excused;
    if late > 0 {
        println!("{late} pods came late and went again, which Kubernetes cannot prevent");
    }
    if again > 0 {
        println!("{again} nodes ran again after the loss of a bus that alone knew of their pods");
    }
    if forgotten > 0 {
        println!(
            "{forgotten} daemons were taken for lost after the loss of a bus that alone knew that they had been stopped"
        );
    }
    if lent > 0 {
        println!("{lent} locks were given away after the loss of a bus that alone knew who had them");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 || cli.report_only { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first seed of a commit: far from those that have names, and as good as any other.
fn seed_of_commit(hash: &str) -> Result<u64> {
    let digits = hash.get(..8).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let Some(digits) = digits else {
        bail!("--from-commit wants a commit hash of at least 8 hexadecimal digits, not `{hash}`")
    };
    Ok(1_000_000 + u64::from_str_radix(digits, 16)?)
}

struct Tally {
    passed: u64,
    failed: u64,
    faults: u64,
    excused: Excused,
    started: Instant,
}

impl Tally {
    fn take(&mut self, plan: &Plan, replay: &str, tell: bool) -> Result<Outcome> {
        let outcome = run(plan)?;
        self.faults += outcome.faults;
        self.excused.late += outcome.excused.late;
        self.excused.again += outcome.excused.again;
        self.excused.forgotten += outcome.excused.forgotten;
        self.excused.lent += outcome.excused.lent;
        if outcome.broken.is_empty() {
            self.passed += 1;
            if tell {
                println!(
                    "ok    {replay}  {:?}, {:.1} s of virtual time, {} faults, {} writes to the API",
                    plan.workflows,
                    outcome.took.as_secs_f64(),
                    outcome.faults,
                    outcome.writes.iter().map(|writes| writes.to_api).sum::<u64>()
                );
            }
        } else {
            self.failed += 1;
            println!("FAIL  {:?}: {}", plan.workflows, outcome.broken.join("\n      "));
            println!("      replay: cargo run -p argosy-sim -- {replay} --trace");
        }
        Ok(outcome)
    }
}

const SIDES: [(When, &str); 3] = [(When::Before, "before"), (When::After, "after"), (When::BusLost, "bus-lost")];

/// Crashes each service before and after each of the writes that it makes when nothing goes wrong, and loses the bus there.
fn exhaustive(name: &'static str, plant: Option<Plant>, tally: &mut Tally, world: &str, planted: &str) -> Result<()> {
    let calm = tally.take(&Plan { plant, ..Plan::calm(name) }, &format!("{world}--workflow {name}{planted}"), false)?;
    let (before, since) = (tally.failed, Instant::now());
    let mut runs = 0;
    for Writes { role, all, .. } in calm.writes {
        for at in 0..all {
            for (when, side) in SIDES {
                let plan = Plan { crash: Some((role, Crash { at, when })), plant, ..Plan::calm(name) };
                tally.take(
                    &plan,
                    &format!("{world}--workflow {name} --crash {}:{at}:{side}{planted}", role.name()),
                    false,
                )?;
                runs += 1;
            }
        }
    }
    let failed = tally.failed - before;
    let word = if failed == 0 { "ok  " } else { "FAIL" };
    println!("{word}  {name}: {runs} crashes and losses, {failed} failed, {:.1} s", since.elapsed().as_secs_f64());
    Ok(())
}

fn parse(place: &str) -> Result<(Role, Crash)> {
    let parts: Vec<&str> = place.split(':').collect();
    let [role, at, when] = parts[..] else { bail!("--crash wants SERVICE:WRITE:before, :after or :bus-lost") };
    let Some(role) = Role::ALL.into_iter().find(|r| r.name() == role) else { bail!("there is no service `{role}`") };
    let Some((when, _)) = SIDES.into_iter().find(|(_, side)| *side == when) else {
        bail!("`{when}` is neither `before` nor `after` nor `bus-lost`")
    };
    Ok((role, Crash { at: at.parse()?, when }))
}
