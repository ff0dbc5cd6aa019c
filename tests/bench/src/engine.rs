//! The pure engine: only the time of this thread inside `step` counts.
//!
//! A workflow of 1,000 nodes alone on a machine lies in the processor's cache, one of 100,000 does not: the cost per node
//! of the latter has the waits for memory in it, which are no work of the engine's. In a scheduler the small one is not
//! alone. So each size is measured both ways: alone, and in company, that is one of so many workflows of its size,
//! taking turns, that all have as many nodes as the largest.

use std::{collections::HashMap, time::Duration};

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::{driver::Driver, shapes::Shape};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// Of so many runs the fastest counts, as the others were disturbed: as many for each size, or the smallest would have the
/// best luck.
const REPEATS: u32 = 5;

/// A workflow of a shape and size.
pub struct Figure {
    shape: Shape,
    pods: usize,
    /// Phases that nodes went into.
    transitions: u64,
    /// Time inside `step`.
    alone: Duration,
    longest: Duration,
    /// Time inside `step` per workflow, of many.
    in_company: Duration,
}

impl Figure {
    fn nanos_per_node(&self, inside: Duration) -> f64 {
        inside.as_nanos() as f64 / self.pods as f64
    }

    fn per_second(&self) -> f64 {
        self.transitions as f64 / self.alone.as_secs_f64()
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "shape": self.shape.name(),
            "pods": self.pods,
            "transitions": self.transitions,
            "transitions_per_second": self.per_second().round(),
            "nanoseconds_per_node": self.nanos_per_node(self.alone).round(),
            "nanoseconds_per_node_in_company": self.nanos_per_node(self.in_company).round(),
            "longest_step_microseconds": self.longest.as_micros() as u64,
        })
    }
}

/// Shapes at 1,000, 10,000 and 100,000 nodes, as far as `nodes_max` goes; all of them when none is named.
pub fn measure(nodes_max: usize, shapes: &[Shape]) -> Result<Vec<Figure>> {
    let sizes: Vec<usize> = SIZES.into_iter().filter(|pods| *pods <= nodes_max).collect();
    let largest = sizes.last().copied().unwrap_or_default();
    let mut found = Vec::new();
    for shape in Shape::value_variants().iter().filter(|s| shapes.is_empty() || shapes.contains(s)).copied() {
        for pods in &sizes {
            found.push(figure(shape, *pods, largest / pods)?);
        }
    }
    Ok(found)
}

fn figure(shape: Shape, pods: usize, company: usize) -> Result<Figure> {
    let mut alone: Option<Driver> = None;
    for _ in 0..REPEATS {
        let driver = run(shape, pods, 1)?.remove(0);
        if alone.as_ref().is_none_or(|best| driver.inside < best.inside) {
            alone = Some(driver);
        }
    }
    let Driver { transitions, inside, longest, .. } = alone.expect("there was a run");
    let mut in_company = inside;
    if company > 1 {
        let totals: Result<Vec<Duration>> =
            (0..REPEATS).map(|_| Ok(run(shape, pods, company)?.iter().map(|driver| driver.inside).sum())).collect();
        in_company = totals?.into_iter().min().unwrap_or_default() / u32::try_from(company)?;
    }
    Ok(Figure { shape, pods, transitions, alone: inside, longest, in_company })
}

/// Runs so many workflows at a time to their ends.
fn run(shape: Shape, pods: usize, count: usize) -> Result<Vec<Driver>> {
    let mut drivers = Vec::with_capacity(count);
    for _ in 0..count {
        drivers.push(Driver::new(shape, pods)?);
    }
    let mut is_over = false;
    while !is_over {
        is_over = true;
        for driver in &mut drivers {
            is_over &= !driver.advance()?;
        }
    }
    drivers.iter().try_for_each(Driver::check)?;
    Ok(drivers)
}

/// As text. A ratio is the cost per node over that of the shape's smallest workflow.
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "pure engine: time inside `step`                    alone         in company\n\
         shape      nodes  transitions/s  longest step    ns/node  ratio  ns/node  ratio\n",
    );
    let mut bases: HashMap<&str, (f64, f64)> = HashMap::new();
    for figure in figures {
        let (alone, company) = (figure.nanos_per_node(figure.alone), figure.nanos_per_node(figure.in_company));
        let base = *bases.entry(figure.shape.name()).or_insert((alone, company));
        text.push_str(&format!(
            "{:<8} {:>7}  {:>13.0}  {:>9.1} ms  {alone:>9.0}  {:>5.2}  {company:>7.0}  {:>5.2}\n",
            figure.shape.name(),
            figure.pods,
            figure.per_second(),
            figure.longest.as_secs_f64() * 1e3,
            alone / base.0,
            company / base.1,
        ));
    }
    text
}
