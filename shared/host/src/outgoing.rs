//! What steps ask for, gathered until it is sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use argosy_bus::Publish;
use jiff::Timestamp;

/// What one or more steps ask for.
#[derive(Debug)]
pub struct Outgoing<Q> {
    /// In the order in which they were asked for.
    pub messages: Vec<Publish>,
    /// Ids of the messages that wish for a thing, by the thing's name.
    wishes: HashMap<String, String>,
    /// Ids of those that were taken back.
    taken_back: HashSet<String>,
    /// Latest due of each timer.
    pub(crate) timers: BTreeMap<String, Timestamp>,
    /// Timers that are not wanted any more.
    pub(crate) disarmed: BTreeSet<String>,
    /// With the id of the answer.
    pub(crate) questions: BTreeMap<Q, String>,
}

impl<Q> Default for Outgoing<Q> {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            wishes: HashMap::new(),
            taken_back: HashSet::new(),
            timers: BTreeMap::new(),
            disarmed: BTreeSet::new(),
            questions: BTreeMap::new(),
        }
    }
}

impl<Q: Ord> Outgoing<Q> {
    /// The message with this id wishes for the thing of this name.
    pub fn wished(&mut self, name: String, id: String) {
        self.wishes.insert(name, id);
    }

    /// The thing of this name is not wished for any more: a wish that was not sent yet is left out.
    pub fn take_back(&mut self, name: &str) {
        self.taken_back.extend(self.wishes.remove(name));
    }

    /// Arms, or moves, a timer.
    pub fn arm(&mut self, timer: String, due: Timestamp) {
        self.disarmed.remove(&timer);
        self.timers.insert(timer, due);
    }

    /// Disarms a timer.
    pub fn disarm(&mut self, timer: String) {
        self.timers.remove(&timer);
        self.disarmed.insert(timer);
    }

    /// The timer has fired.
    pub fn fired(&mut self, timer: &str) {
        self.timers.remove(timer);
    }

    /// Asks; the answer is to have this id.
    pub fn ask(&mut self, question: Q, id: String) {
        self.questions.insert(question, id);
    }

    /// The question is answered.
    pub fn answered(&mut self, question: &Q) {
        self.questions.remove(question);
    }

    /// Leaves out the wishes that were taken back before they were sent.
    pub fn settle(&mut self) {
        let taken_back = std::mem::take(&mut self.taken_back);
        if !taken_back.is_empty() {
            self.messages.retain(|message| !taken_back.contains(&message.id));
        }
    }
}
