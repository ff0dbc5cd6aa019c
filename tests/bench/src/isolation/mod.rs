//! Isolation: how much longer healthy workflows take beside a sick one, whose shard half of them share.

mod healthy;
mod nats;
mod node;
mod sick;
mod system;
mod webhook;

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Value, json};

use sick::Patient;
pub use sick::Sick;
use system::{Place, System};

/// The figure to hold: healthy workflows take no more than this many times as long.
const RATIO_MAX: f64 = 1.2;
/// Workflows that run before anything is measured, so that every shard has its owners.
const WARM_UP: usize = 8;

/// Kinds that are compared with one and the same measurement of the healthy alone.
const TURN: usize = 3;

/// Where to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bus {
    /// The bus in this process
    Memory,
    /// A NATS server
    Nats,
}

/// What to measure.
pub struct Options {
    /// Without any, the one in this process, and NATS where there is a server.
    pub buses: Vec<Bus>,
    /// Without any, all.
    pub kinds: Vec<Sick>,
    pub rounds: usize,
}

/// One kind of sickness on one bus.
pub struct Figure {
    sick: Sick,
    alone: Duration,
    beside: Duration,
}

impl Figure {
    fn ratio(&self) -> f64 {
        self.beside.as_secs_f64() / self.alone.as_secs_f64()
    }
}

/// All kinds on one bus.
pub struct Table {
    bus: &'static str,
    rounds: usize,
    figures: Vec<Figure>,
}

/// Measures each kind on each bus.
///
/// Errors: a workflow that does not end as it must; a bus that was asked for and is not there.
pub fn measure(options: &Options) -> Result<Vec<Table>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    let kinds = if options.kinds.is_empty() { Sick::value_variants() } else { &options.kinds };
    let table = |place: Place| {
        let (bus, rounds) = (place.name(), options.rounds.max(1));
        let figures = runtime.block_on(on_one_bus(&place, kinds, rounds)).with_context(|| format!("on bus {bus}"))?;
        Ok(Table { bus, rounds, figures })
    };
    places(&options.buses)?.into_iter().map(table).collect()
}

fn places(buses: &[Bus]) -> Result<Vec<Place>> {
    let nats = nats::find().map(Place::Nats);
    if buses.is_empty() {
        return Ok(std::iter::once(Place::Memory).chain(nats).collect());
    }
    let place = |bus: &Bus| match bus {
        Bus::Memory => Ok(Place::Memory),
        Bus::Nats => nats.clone().context("no nats-server on PATH: name one with ARGOSY_NATS_SERVER"),
    };
    buses.iter().map(place).collect()
}

/// Alone and beside take turns, so that what else the machine does is not blamed on one of them; the medians count.
async fn on_one_bus(place: &Place, kinds: &[Sick], rounds: usize) -> Result<Vec<Figure>> {
    let mut alone: Vec<Vec<Duration>> = vec![Vec::new(); kinds.len().div_ceil(TURN)];
    let mut beside: Vec<Vec<Duration>> = vec![Vec::new(); kinds.len()];
    for round in 0..rounds {
        for (turn, kinds) in kinds.chunks(TURN).enumerate() {
            alone[turn].push(once_alone(place).await.context("healthy workflows alone")?);
            for (sick, beside) in kinds.iter().zip(&mut beside[turn * TURN..]) {
                // That it ends as it must shows in each round, unless that takes long.
                let until_its_end = round == 0 || !sick.ends_late();
                let took = once_beside(place, *sick, until_its_end).await;
                beside.push(took.with_context(|| format!("healthy workflows beside a sick one ({})", sick.name()))?);
            }
        }
    }
    let (alone, beside) = (alone.into_iter().map(median), beside.into_iter().map(median));
    let alone = alone.flat_map(|alone| std::iter::repeat_n(alone, TURN));
    let figure = |((sick, alone), beside): ((&Sick, Duration), Duration)| Figure { sick: *sick, alone, beside };
    Ok(kinds.iter().zip(alone).zip(beside).map(figure).collect())
}

/// One measurement, in a system of its own.
async fn once_alone(place: &Place) -> Result<Duration> {
    let system = start(place).await?;
    let took = healthy::run(&system, "healthy", healthy::COUNT).await?;
    system.end().await?;
    Ok(took)
}

/// The same, beside one that falls sick while the healthy are submitted.
async fn once_beside(place: &Place, sick: Sick, until_its_end: bool) -> Result<Duration> {
    let system = start(place).await?;
    let patient = Patient::admit(sick, &system).await?;
    let (took, ()) = tokio::try_join!(healthy::run(&system, "healthy", healthy::COUNT), patient.fall_sick())?;
    if until_its_end {
        patient.end().await?;
    }
    system.end().await?;
    Ok(took)
}

async fn start(place: &Place) -> Result<System> {
    let system = System::start(place).await?;
    healthy::run(&system, "warm-up", WARM_UP).await?;
    Ok(system)
}

fn median(mut taken: Vec<Duration>) -> Duration {
    taken.sort_unstable();
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}

impl Table {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "isolation on bus {}: {} workflows of {} steps alone, and beside a sick one; medians of {}\n{:<12} {:>8} {:>8} {:>7}\n",
            self.bus,
            healthy::COUNT,
            healthy::STEPS,
            self.rounds,
            "beside",
            "alone",
            "beside",
            "ratio",
        );
        for figure in &self.figures {
            let (alone, beside) = (figure.alone.as_secs_f64(), figure.beside.as_secs_f64());
            // Writing to a text cannot fail.
            _ = writeln!(text, "{:<12} {alone:>6.2} s {beside:>6.2} s {:>5.2} ×", figure.sick.name(), figure.ratio());
        }
        if let Some(worst) = self.worst() {
            let verdict = if worst.ratio() <= RATIO_MAX { "held" } else { "not held" };
            _ = write!(text, "worst: {} {:.2} × (≤ {RATIO_MAX} ×: {verdict})", worst.sick.name(), worst.ratio());
        }
        text
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let figure = |figure: &Figure| {
            json!({
                "sick": figure.sick.name(),
                "alone_microseconds": figure.alone.as_micros() as u64,
                "beside_microseconds": figure.beside.as_micros() as u64,
                "ratio": figure.ratio(),
            })
        };
        let figures: Vec<Value> = self.figures.iter().map(figure).collect();
        let worst = self.worst().map(Figure::ratio);
        json!({"bus": self.bus, "rounds": self.rounds, "figures": figures, "worst_ratio": worst})
    }

    fn worst(&self) -> Option<&Figure> {
        self.figures.iter().max_by(|a, b| a.ratio().total_cmp(&b.ratio()))
    }
}
