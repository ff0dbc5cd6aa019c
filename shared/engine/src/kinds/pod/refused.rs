//! Pods that the API refuses for now, as a quota is full: which of them are wished for again, and when.
//!
//! Thousands may wait for a quota of a few. All of them together wish at a steady rate, so that what they ask of the API does
//! not grow with their number. As soon as one gets its pod, or a pod of the workflow ends, more of them wish without waiting for
//! their time: the room that one found is likely not the last.

use arcstr::ArcStr;
use argosy_api::v1alpha1::NodePhase;
use jiff::SignedDuration;

use crate::{
    Workflow,
    state::{FrameId, Timer},
};

/// A pod is wished for again after as long as its node has waited, within these bounds.
const PAUSE_MIN: SignedDuration = SignedDuration::from_secs(2);
const PAUSE_MAX: SignedDuration = SignedDuration::from_secs(30);
/// All refused pods of a workflow together are wished for about so often in a second.
const WISHES_PER_SEC: u64 = 20;

/// A pod that ends leaves room for one.
pub(super) const ROOM_OF_AN_ENDED_POD: usize = 1;
/// Behind a pod that was refused and has been created there is more room than was known: each such pod finds out twice as much.
pub(super) const ROOM_BEHIND_A_NEW_POD: usize = 2;

impl Workflow {
    /// The node waits before it wishes for its pod again, and says why.
    pub(super) fn pause(&mut self, frame: FrameId, node_id: &str, message: &str) {
        self.mark(node_id, NodePhase::Pending, Some(message));
        if let Some(frame) = self.frame_mut(frame) {
            frame.was_refused = true;
        }
        let now = self.clock.now();
        let started = self.book.node(node_id).and_then(|node| node.started_at);
        let waited = started.map(|at| now.duration_since(at.0)).unwrap_or_default();
        let pause = waited.clamp(PAUSE_MIN, PAUSE_MAX).max(turn_of(self.timers.refused()));
        let due = now.checked_add(pause).unwrap_or(now);
        self.arm(Timer::Refused, &ArcStr::from(node_id), due);
    }

    /// Of the nodes whose pods were refused, the one whose turn comes first: it waits no longer.
    pub(super) fn take_refused(&mut self) -> Option<ArcStr> {
        let (node_id, disarm) = self.timers.take_first_refused()?;
        self.agenda.wish(disarm);
        Some(node_id)
    }
}

/// When so many wait, each has its turn after this.
fn turn_of(waiting: usize) -> SignedDuration {
    let millis = u64::try_from(waiting).unwrap_or(u64::MAX).saturating_mul(1000 / WISHES_PER_SEC);
    SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
