//! What a host counts. The service that runs it gives the names.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

/// Where the figures of a kind of entities are counted.
#[derive(Clone, Copy)]
pub struct Meters {
    /// Events stepped.
    pub events: &'static IntCounter,
    /// Events stepped again to recover an entity.
    pub replayed: &'static IntCounter,
    /// Entities loaded and recovered.
    pub rebuilds: &'static IntCounter,
    /// Entities that went on from what is stored because the bus was lost.
    pub bus_loss: &'static IntCounter,
    /// Entities without an actor that were taken up though no message led to them.
    pub adopted: &'static IntCounter,
    /// Events that named another entity than the one whose log they stand in.
    pub foreign: &'static IntCounter,
    /// Messages of a bus that was lost, which came after that.
    pub strays: &'static IntCounter,
    /// Messages of a log that names more entities than are looked for.
    pub places_dropped: &'static IntCounter,
    /// What checks found, by what it was: bugs.
    pub reminder_found: &'static IntCounterVec,
    /// Entities put out of service.
    pub quarantined: &'static IntCounter,
    /// Messages that the bus refuses for good.
    pub poison: &'static IntCounter,
    /// Writes refused because another owner wrote.
    pub fenced: &'static IntCounter,
    /// From a step to the bus having what it asks for.
    pub publish_seconds: &'static Histogram,
    /// Timers that are armed, of all shards that the process owns.
    pub timers: &'static IntGauge,
}

#[cfg(test)]
impl Meters {
    /// For a test that looks at none of them.
    pub fn for_tests() -> Self {
        fn of<T>(made: prometheus::Result<T>) -> &'static T {
            Box::leak(Box::new(made.expect("a name")))
        }
        let counter = || of(IntCounter::new("counter", "help"));
        Self {
            events: counter(),
            replayed: counter(),
            rebuilds: counter(),
            bus_loss: counter(),
            adopted: counter(),
            foreign: counter(),
            strays: counter(),
            places_dropped: counter(),
            reminder_found: of(IntCounterVec::new(prometheus::Opts::new("counters", "help"), &["what"])),
            quarantined: counter(),
            poison: counter(),
            fenced: counter(),
            publish_seconds: of(Histogram::with_opts(prometheus::HistogramOpts::new("seconds", "help"))),
            timers: of(IntGauge::new("gauge", "help")),
        }
    }
}
