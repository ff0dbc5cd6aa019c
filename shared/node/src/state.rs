//! What the containers of a pod are doing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a container waits that the node gave up, as its own code failed over it.
pub const GIVEN_UP: &str = "NodePanicked";

/// Why a container ended that could not be started.
pub const START_ERROR: &str = "StartError";

/// The end of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code; 128 + signal when it died of one.
    pub exit_code: i32,
    /// One word, as the kubelet has it: `Completed`, `Error`, `StartError`, …
    pub reason: String,
    /// The termination message; empty when there is none.
    pub message: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl Ended {
    /// An end whose reason follows from the code.
    pub fn with_code(exit_code: i32, message: String, started_at: Timestamp, finished_at: Timestamp) -> Self {
        let reason = if exit_code == 0 { "Completed" } else { "Error" };
        Self { exit_code, reason: reason.into(), message, started_at, finished_at }
    }
}

/// What a container is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started.
    Waiting {
        /// One word, as the kubelet has it.
        reason: &'static str,
        /// For the user; may be empty.
        message: String,
    },
    /// Started and not ended.
    Running {
        /// When it started.
        started_at: Timestamp,
    },
    /// Ended.
    Ended(Ended),
}

/// A container and its readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What it is doing.
    pub state: State,
    /// Whether its readiness probe succeeds; true without one.
    pub ready: bool,
}

/// All containers of a pod, and what holds for the pod as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By container name, init containers included.
    pub containers: BTreeMap<String, Observed>,
    /// Why the pod was ended as a whole, as (reason, message).
    pub failure: Option<(String, String)>,
}

impl Snapshot {
    /// The end of a container, when it has ended.
    pub fn ended(&self, container: &str) -> Option<&Ended> {
        match self.containers.get(container).map(|c| &c.state) {
            Some(State::Ended(ended)) => Some(ended),
            Some(State::Waiting { .. } | State::Running { .. }) | None => None,
        }
    }

    /// Whether the node gave a container up: it will not end any more.
    pub fn is_given_up(&self, container: &str) -> bool {
        let state = self.containers.get(container).map(|c| &c.state);
        matches!(state, Some(State::Waiting { reason: GIVEN_UP, .. }))
    }

    /// Whether a container has started.
    pub fn started(&self, container: &str) -> bool {
        match self.containers.get(container).map(|c| &c.state) {
            Some(State::Running { .. } | State::Ended(_)) => true,
            Some(State::Waiting { .. }) | None => false,
        }
    }
}
