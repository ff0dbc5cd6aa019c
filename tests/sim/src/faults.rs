//! Which faults happen, and when they end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use argosy_apiserver::Fault;
use argosy_bus::{
    Message, Publish,
    memory::{AckFault, Chaos, DeliverFault, Memory, PublishFault},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{gate::FREEZE_MAX, random::Random};

/// What goes wrong with a request to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    None,
    /// Not done; 503.
    Refused,
    /// Not done; 409.
    Conflict,
    /// Done; 500.
    LostAnswer,
    /// The watch ends where it began.
    DroppedWatch,
}

/// Names a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    pub namespace: String,
    pub name: String,
}

/// A pod's creation that came later than it was decided: its sender froze between, or died with the request on the wire.
/// Kubernetes has no fence for creations, so nobody can recall it.
#[derive(Clone, Debug)]
pub struct Delayed {
    pub pod: PodName,
    pub carried_out: Instant,
}

/// The faults of one world.
pub struct Faults {
    random: Random,
    /// From here on nothing goes wrong. `None`: nothing ever does.
    until: Option<Instant>,
    started: Instant,
    trace: bool,
    happened: AtomicU64,
    notes: Mutex<Vec<String>>,
    /// What can be lost; taken away at the end, as it holds these faults.
    bus: Mutex<Option<Memory>>,
    losses: Mutex<Vec<Instant>>,
    /// Out of which come the faults that the first world has not; its own must stay as they are.
    grown: Option<Random>,
    delayed: Mutex<Vec<Delayed>>,
    foreign: AtomicU64,
}

/// The longest that a request is under way.
const WIRE_MAX: Duration = Duration::from_secs(8);
/// Notes kept for the report of a failure.
const NOTES_MAX: usize = 400;

impl Faults {
    /// Faults out of `seed` for so long; of more kinds in the grown world.
    pub fn new(seed: u64, last: Option<Duration>, is_grown: bool, trace: bool) -> Arc<Self> {
        let started = Instant::now();
        Arc::new(Self {
            random: Random::new(seed),
            until: last.map(|last| started + last),
            started,
            trace,
            happened: AtomicU64::new(0),
            notes: Mutex::default(),
            bus: Mutex::default(),
            losses: Mutex::default(),
            grown: is_grown.then(|| Random::new(seed ^ 0x960e)),
            delayed: Mutex::default(),
            foreign: AtomicU64::new(0),
        })
    }

    /// The bus that may be lost; `None` at the end.
    pub fn set_bus(&self, bus: Option<Memory>) {
        *self.bus.lock() = bus;
    }

    /// Everything on the bus is gone, now.
    pub fn lose_bus(&self) {
        self.note("the bus is lost");
        self.losses.lock().push(Instant::now());
        let bus = self.bus.lock().clone();
        if let Some(bus) = bus {
            // Past everything that can have been given out, as `argosy_bus::origin_of_now` is.
            bus.lose((self.started.elapsed().as_millis() as u64 + 1) << 20);
        }
    }

    /// When the bus was lost.
    pub fn losses(&self) -> Vec<Instant> {
        self.losses.lock().clone()
    }

    /// Whether faults still happen.
    pub fn are_on(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// How many faults there were.
    pub fn happened(&self) -> u64 {
        self.happened.load(Ordering::Relaxed)
    }

    /// What happened, the last of it.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().clone()
    }

    /// Notes a fault.
    pub fn note(&self, text: &str) {
        let line = format!("{:9.3} s  {text}", self.started.elapsed().as_secs_f64());
        if self.trace {
            eprintln!("{line}");
        }
        let mut notes = self.notes.lock();
        if notes.len() == NOTES_MAX {
            notes.remove(0);
        }
        notes.push(line);
    }

    /// Tells of a write, when asked to.
    pub fn trace(&self, who: &str, number: u64, what: &str) {
        if self.trace {
            eprintln!("{:9.3} s  {who} write {number}: {what}", self.started.elapsed().as_secs_f64());
        }
    }

    fn happens(&self, permille: u64) -> bool {
        let happens = self.are_on() && self.random.chance(permille);
        if happens {
            self.happened.fetch_add(1, Ordering::Relaxed);
        }
        happens
    }

    /// A fault of the grown world.
    fn grows(&self, permille: u64) -> Option<&Random> {
        let random = self.grown.as_ref().filter(|random| self.are_on() && random.chance(permille))?;
        self.happened.fetch_add(1, Ordering::Relaxed);
        Some(random)
    }

    /// Whether what the dying had just sent arrives nevertheless, and when.
    pub fn on_the_wire(&self) -> Option<Duration> {
        self.grows(300).map(|random| random.millis(1, WIRE_MAX.as_millis() as u64))
    }

    /// Whether a lease that was just renewed is lost at once, without its holder knowing.
    pub fn loses_lease(&self, lease: &str, holder: &str) -> bool {
        let loses = self.grows(15).is_some();
        if loses {
            self.note(&format!("the lease {lease} of {holder} is lost"));
        }
        loses
    }

    /// Notes the creation of `pod`, if it is one, as late.
    pub fn delay_create(&self, pod: Option<PodName>, carried_out: Instant) {
        if let Some(pod) = pod {
            self.note(&format!("the creation of {}/{} is late", pod.namespace, pod.name));
            self.delayed.lock().push(Delayed { pod, carried_out });
        }
    }

    /// Notes that there is a foreign pod more.
    pub fn add_foreign(&self) {
        self.foreign.fetch_add(1, Ordering::Relaxed);
    }

    /// How many foreign pods there are.
    pub fn foreign(&self) -> u64 {
        self.foreign.load(Ordering::Relaxed)
    }

    /// Creations that were late.
    pub fn delayed(&self) -> Vec<Delayed> {
        self.delayed.lock().clone()
    }

    /// Whether this incarnation dies here.
    pub fn crash(&self, _who: &str) -> bool {
        self.happens(12)
    }

    /// Whether this incarnation stops for a while, and for how long.
    pub fn freeze(&self, _who: &str) -> Option<Duration> {
        self.happens(6).then(|| self.random.millis(200, FREEZE_MAX.as_millis() as u64))
    }

    /// What becomes of a request.
    pub fn request(&self, who: &str, method: &str, path: &str, is_watch: bool) -> RequestFault {
        let fault = match (is_watch, method) {
            (true, _) if self.happens(100) => RequestFault::DroppedWatch,
            (true, _) => RequestFault::None,
            (false, _) if self.happens(30) => RequestFault::Refused,
            (false, "GET") => RequestFault::None,
            (false, "PUT" | "PATCH") if self.happens(40) => RequestFault::Conflict,
            (false, _) if self.happens(40) => RequestFault::LostAnswer,
            (false, _) => RequestFault::None,
        };
        if fault != RequestFault::None {
            self.note(&format!("{fault:?}: {method} {path} of {who}"));
        }
        fault
    }
}

/// The bus's faults.
pub struct BusFaults(pub Arc<Faults>);

impl Chaos for BusFaults {
    fn on_deliver(&self, message: &Message) -> DeliverFault {
        let faults = &self.0;
        let fault = if faults.happens(40) {
            DeliverFault::Twice
        } else if faults.happens(40) {
            DeliverFault::DelayMs(1 + faults.random.below(4000))
        } else if faults.happens(15) {
            DeliverFault::DropThenRedeliver
        } else {
            return DeliverFault::Once;
        };
        faults.note(&format!("{fault:?}: {} {}", message.stream, message.id));
        fault
    }

    fn on_publish(&self, message: &Publish) -> PublishFault {
        let faults = &self.0;
        let fault = if faults.happens(20) {
            PublishFault::LostAnswer
        } else if faults.happens(20) {
            PublishFault::Refused
        } else {
            return PublishFault::None;
        };
        faults.note(&format!("{fault:?}: {} {}", message.stream, message.id));
        fault
    }

    fn on_ack(&self, message: &Message) -> AckFault {
        if self.0.happens(30) {
            self.0.note(&format!("ack lost: {} {}", message.stream, message.id));
            AckFault::Lost
        } else {
            AckFault::None
        }
    }
}

/// The API's faults that its clients cannot have by themselves.
pub struct ApiFaults(pub Arc<Faults>);

impl argosy_apiserver::Faults for ApiFaults {
    fn on_request(&self, verb: &str, path: &str) -> Fault {
        let is_pod = verb == "create" && path.ends_with("/pods");
        if is_pod && self.0.grows(60).is_some() {
            self.0.note(&format!("quota conflict: {path}"));
            return Fault::QuotaConflict;
        }
        Fault::None
    }

    fn stale_list(&self) -> bool {
        self.0.happens(100)
    }
}
