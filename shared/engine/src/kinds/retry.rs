//! Retry nodes: attempts one after another. Source: Argo `processNodeRetries`; inventory §8, rows 7 to 9.

use std::{collections::BTreeMap, sync::Arc};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{Backoff, IntOrString, NodeFlag, NodePhase, NodeStatus, NodeType, RetryStrategy};
use argosy_template::duration;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Workflow,
    state::{Attempt, Body, Call, FrameId, Parent, Timer, Work, bug, set, set_text},
    values::expressions,
};

/// What happens to a retry node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RetryEvent {
    /// Its attempt is a daemon, and is up.
    AttemptUp,
    AttemptEnded,
    /// The wait before the next attempt is over. Its timer may fire twice, or after a new owner has gone on without it: then
    /// the next attempt is under way or held back.
    BackoffOver,
    /// The workflow is being shut down.
    Shutdown,
}

/// What follows for the node.
#[derive(Debug, PartialEq)]
enum Reaction {
    Nothing,
    /// The node is up, as its attempt is.
    Up,
    /// The attempt that has ended decides: again, later, or the end.
    Judge,
}

/// `waits`: the last attempt has ended, and the next one is yet to come.
fn react(waits: bool, event: RetryEvent) -> Reaction {
    match (waits, event) {
        (_, RetryEvent::AttemptUp) => Reaction::Up,
        (_, RetryEvent::AttemptEnded) => Reaction::Judge,
        (true, RetryEvent::BackoffOver | RetryEvent::Shutdown) => Reaction::Judge,
        (false, RetryEvent::BackoffOver | RetryEvent::Shutdown) => Reaction::Nothing,
    }
}

/// What follows an attempt that has ended.
enum Verdict {
    Again,
    Wait(Timestamp, String),
    End(NodePhase, String),
    /// The strategy itself is wrong.
    Mistake(String),
}

impl Workflow {
    /// Whether an attempt that came to a mistake may be followed by another one; else the mistake is the node's.
    pub(super) fn retries_errors(&self, frame: FrameId) -> bool {
        self.strategy(frame).is_some_and(|strategy| policy_of(&strategy) != "OnFailure")
    }

    /// Whether pods of an attempt are to run on other hosts than those of attempts that have failed.
    pub(super) fn avoids_hosts(&self, frame: FrameId) -> bool {
        let affinity = self.strategy(frame).and_then(|strategy| strategy.affinity);
        affinity.is_some_and(|affinity| affinity.node_anti_affinity.is_some())
    }

    fn strategy(&self, frame: FrameId) -> Option<RetryStrategy> {
        let template = &self.frame(frame)?.template;
        template.retry_strategy.as_deref().or(self.plan.spec().retry_strategy.as_ref()).cloned()
    }

    /// Begins the next attempt, or takes up the last one of a rebuilt workflow.
    pub(crate) fn next_attempt(&mut self, frame: FrameId) {
        let Some(retry) = self.frame(frame) else {
            return bug!(self, "", "an attempt begins of a node that has no frame");
        };
        let (node_id, mut call) = (retry.call.id.clone(), Call::clone(&retry.call));
        let attempts = self.attempts_of(&node_id);
        let Some(Body::Retry(state)) = self.frame_mut(frame).map(|f| &mut f.body) else {
            return bug!(self, &node_id, "an attempt begins of a node that is no retry");
        };
        let rebuilt = state.attempts == 0 && !attempts.is_empty();
        let number = if rebuilt { attempts.len() - 1 } else { attempts.len() };
        state.attempts = number + 1;
        let variables = self.attempt_variables(&attempts[..number], number);
        call.name = arcstr::format!("{}({number})", call.name);
        call.id = self.book.claim_id(&call.name);
        call.flag = NodeFlag { retried: true, ..Default::default() };
        call.parent = Parent::Attempt { frame };
        call.attempt = Some(Box::new(Attempt { variables }));
        // Without the message whoever takes the workflow up knows that the wait is over, also while the attempt is held back.
        if !rebuilt {
            self.book.update_node(&node_id, |n| set_text(&mut n.message, ""));
        }
        self.agenda.push(Work::Call(Arc::new(call)));
    }

    /// Ids of the attempts of a retry node, in order; hooks are left out. Told by their names `node(k)`, as not every
    /// version of Argo flagged them.
    pub(crate) fn attempts_of(&self, retry: &str) -> Vec<ArcStr> {
        // Of a workflow that was edited, or retried by another version, the node may be of another kind than its template.
        let Some(node) = self.book.node(retry).filter(|n| n.r#type == NodeType::Retry) else { return Vec::new() };
        let number = |name: &str| {
            name.strip_prefix(node.name.as_str())?.strip_prefix('(')?.strip_suffix(')')?.parse::<usize>().ok()
        };
        node.children
            .iter()
            .filter(|id| self.book.node(id).is_some_and(|n| number(&n.name).is_some()))
            .cloned()
            .collect()
    }

    fn attempt_variables(&self, before: &[ArcStr], number: usize) -> BTreeMap<String, String> {
        let last = before.last().and_then(|id| self.book.node(id));
        let mut variables = last_retry(last, ("0", "0", ""));
        variables.insert("retries".to_owned(), number.to_string());
        variables
    }

    /// An attempt is fulfilled.
    pub(crate) fn attempt_fulfilled(&mut self, frame: FrameId) {
        // A daemon ends with its boundary, maybe in the step in which its pod does.
        let Some(node_id) = self.frame(frame).map(|f| f.call.id.clone()) else { return };
        let Some(last) = self.last_attempt(&node_id) else {
            return bug!(self, &node_id, "an attempt ends of a node that has none");
        };
        let is_up = last.daemoned == Some(true) && !last.phase.is_fulfilled();
        let event = if is_up { RetryEvent::AttemptUp } else { RetryEvent::AttemptEnded };
        self.follow_attempt(frame, &node_id, &last, event);
    }

    /// What is told of the node, not of its attempt.
    pub(crate) fn on_retry_event(&mut self, node_id: &str, event: RetryEvent) {
        // The node may have ended meanwhile.
        let Some(frame) = self.live(node_id) else { return };
        if let Some(Body::Retry(_)) = self.frame(frame).map(|f| &f.body)
            && let Some(last) = self.last_attempt(node_id)
        {
            self.follow_attempt(frame, node_id, &last, event);
        }
    }

    fn last_attempt(&self, node_id: &str) -> Option<NodeStatus> {
        self.attempts_of(node_id).last().and_then(|id| self.book.node(id)).cloned()
    }

    fn follow_attempt(&mut self, frame: FrameId, node_id: &str, last: &NodeStatus, event: RetryEvent) {
        let waits = last.phase.is_fulfilled() && self.book.node(node_id).is_some_and(|node| !node.message.is_empty());
        match react(waits, event) {
            Reaction::Nothing => {}
            Reaction::Up => self.retry_is_up(frame, node_id, last),
            Reaction::Judge => self.judge_attempt(frame, node_id, last),
        }
    }

    fn retry_is_up(&mut self, frame: FrameId, node_id: &str, last: &NodeStatus) {
        self.book.update_node(node_id, |n| {
            set(&mut n.daemoned, Some(true))
                | set_text(&mut n.pod_ip, &last.pod_ip)
                | set(&mut n.phase, NodePhase::Running)
        });
        if let Some(parent) = self.frame(frame).map(|f| f.call.parent.clone()) {
            self.agenda.push(Work::Fulfilled(parent));
        }
    }

    fn judge_attempt(&mut self, frame: FrameId, node_id: &str, last: &NodeStatus) {
        match self.judge(frame, node_id, last) {
            Verdict::Again => {
                self.book.update_node(node_id, |n| set(&mut n.daemoned, None));
                if let Some(template) = self.frame(frame).map(|retry| retry.template.clone()) {
                    self.measure_end(&last.id, &template);
                }
                self.next_attempt(frame);
            }
            Verdict::Wait(due, message) => {
                self.book.update_node(node_id, |n| set_text(&mut n.message, &message));
                self.arm(Timer::Retry, &ArcStr::from(node_id), due);
            }
            Verdict::Mistake(message) => self.end_by_mistake(frame, &message),
            Verdict::End(phase, message) => {
                self.book
                    .update_node(node_id, |n| set(&mut n.outputs, last.outputs.clone()) | set(&mut n.daemoned, None));
                self.mark(node_id, phase, Some(&message));
                self.end_frame(frame);
            }
        }
    }

    fn judge(&self, frame: FrameId, node_id: &str, last: &NodeStatus) -> Verdict {
        if !last.phase.is_failed_or_error() {
            return Verdict::End(NodePhase::Succeeded, String::new());
        }
        let Some((strategy, call)) = self.strategy(frame).zip(self.frame(frame).map(|f| &f.call)) else {
            bug!(self, node_id, "a node with attempts has no retry strategy");
            return Verdict::End(last.phase, last.message.to_string());
        };
        if self.is_stopping(call) {
            return Verdict::End(last.phase, format!("Stopped with strategy '{}'", self.book.spec().shutdown));
        }
        if let Some(deadline) = self.deadline()
            && self.clock.now() > deadline
            && !self.life.is_rebuilding()
            && !call.on_exit
        {
            return Verdict::End(last.phase, format!("retry exceeded workflow deadline {deadline}"));
        }
        let attempts = self.attempts_of(node_id);
        if let Some(backoff) = &strategy.backoff
            && let Some(verdict) = self.backoff(node_id, &strategy, backoff, &attempts, last)
        {
            return verdict;
        }
        if !policy_allows(&strategy, last) {
            return Verdict::End(last.phase, last.message.to_string());
        }
        match retry_limit(&strategy) {
            Ok(limit) if limit.is_some_and(|limit| attempts.len() as i64 > i64::from(limit)) => {
                return Verdict::End(last.phase, "No more retries left".to_owned());
            }
            Ok(_) => {}
            Err(message) => return Verdict::Mistake(message),
        }
        if !strategy.expression.is_empty() {
            match self.evaluate_retry(&strategy.expression, last, attempts.len()) {
                Ok(true) => {}
                Ok(false) => return Verdict::End(last.phase, "retryStrategy.expression evaluated to false".to_owned()),
                Err(error) => return Verdict::Mistake(error),
            }
        }
        Verdict::Again
    }

    /// Only what is known of the last attempt can be named: what else the expression speaks of was put in before.
    fn evaluate_retry(&self, expression: &str, last: &NodeStatus, attempts: usize) -> Result<bool, String> {
        let mut variables = last_retry(Some(last), ("-1", "0", ""));
        variables.insert("retries".to_owned(), (attempts - 1).to_string());
        expressions::eval_bool(expression, &expressions::environment(&variables), &self.globals)
    }

    /// The wait before the next attempt, or why there is none; nothing when it is over.
    fn backoff(
        &self,
        node_id: &str,
        strategy: &RetryStrategy,
        backoff: &Backoff,
        attempts: &[ArcStr],
        last: &NodeStatus,
    ) -> Option<Verdict> {
        let first_start = attempts.first().and_then(|id| self.book.node(id)?.started_at)?;
        let limit = match backoff.max_duration.as_str() {
            "" => None,
            text => match duration::parse(text) {
                Ok(nanos) => first_start.0.checked_add(SignedDuration::from_nanos(nanos)).ok(),
                Err(error) => return Some(Verdict::Mistake(error.to_string())),
            },
        };
        if limit.is_some_and(|limit| self.clock.now() > limit) && !self.life.is_rebuilding() {
            return Some(Verdict::End(last.phase, "Max duration limit exceeded".to_owned()));
        }
        let wait = match backoff_wait(backoff, attempts.len()) {
            Ok(wait) => wait,
            Err(error) => return Some(Verdict::Mistake(error)),
        };
        let due = last.finished_at.map_or(self.clock.now(), |t| t.0).checked_add(wait).unwrap_or(self.clock.now());
        if limit.is_some_and(|limit| due > limit) {
            return Some(Verdict::End(last.phase, "Backoff would exceed max duration limit".to_owned()));
        }
        let message = format!("Backoff for {}", duration::human(wait.as_secs()));
        // Who takes the workflow up decides nothing by the time at which it does: its timer brings the decision into the log,
        // unless it did before.
        let waits = match self.life.is_rebuilding() {
            true => self.book.node(node_id).is_some_and(|node| node.message == message),
            // Nothing follows the last attempt that there may be, so nothing is waited for.
            false => self.clock.now() < due && !is_exhausted(strategy, attempts.len()),
        };
        waits.then_some(Verdict::Wait(due, message))
    }
}

/// The limit; none when there is no limit.
///
/// Errors: a text that is no number of 32 bits.
fn retry_limit(strategy: &RetryStrategy) -> Result<Option<i32>, String> {
    strategy.limit.as_ref().map(int32).transpose()
}

/// Source: Argo `intstr.Int32`.
fn int32(number: &IntOrString) -> Result<i32, String> {
    let parsed = match number {
        IntOrString::Int(number) => i32::try_from(*number).ok(),
        IntOrString::Text(text) => text.parse().ok(),
    };
    parsed.ok_or_else(|| format!("value '{number}' cannot be resolved to an int"))
}

/// There are as many attempts as there may be.
fn is_exhausted(strategy: &RetryStrategy, attempts: usize) -> bool {
    matches!(retry_limit(strategy), Ok(Some(limit)) if attempts as i64 > i64::from(limit))
}

/// `duration × factor^(attempts − 1)`, at most `cap`.
fn backoff_wait(backoff: &Backoff, attempts: usize) -> Result<SignedDuration, String> {
    if backoff.duration.is_empty() {
        return Err("no base duration specified for retryStrategy".to_owned());
    }
    let base = duration::parse(&backoff.duration).map_err(|e| e.to_string())?;
    let factor = backoff.factor.as_ref().map(int32).transpose()?.map(i64::from).filter(|factor| *factor > 0);
    let mut nanos = base;
    if let Some(factor) = factor {
        for _ in 1..attempts {
            nanos = nanos.saturating_mul(factor);
        }
    }
    if !backoff.cap.is_empty() {
        nanos = nanos.min(duration::parse(&backoff.cap).map_err(|e| e.to_string())?);
    }
    Ok(SignedDuration::from_nanos(nanos))
}

/// OnFailure by default, but Always with an expression.
fn policy_of(strategy: &RetryStrategy) -> &str {
    match strategy.retry_policy.as_str() {
        "" if strategy.expression.is_empty() => "OnFailure",
        "" => "Always",
        policy => policy,
    }
}

/// Which ends may be retried.
fn policy_allows(strategy: &RetryStrategy, last: &NodeStatus) -> bool {
    match policy_of(strategy) {
        "Always" => true,
        "OnError" => last.phase == NodePhase::Error,
        "OnTransientError" => is_transient(&last.message),
        _ => last.phase == NodePhase::Failed,
    }
}

/// Texts of failures that pass by themselves. Source: Argo `util/errors`.
fn is_transient(message: &str) -> bool {
    const TEXTS: [&str; 8] = [
        "i/o timeout",
        "connection reset by peer",
        "TLS handshake timeout",
        "connection refused",
        "server unavailable",
        "exceeded quota",
        "the object has been modified",
        "Too many requests",
    ];
    TEXTS.iter().any(|text| message.contains(text))
}

/// `lastRetry.*`; `missing` stands for exit code, duration and status when there is no last attempt.
fn last_retry(last: Option<&NodeStatus>, missing: (&str, &str, &str)) -> BTreeMap<String, String> {
    let exit_code = last.and_then(|n| n.outputs.as_ref()?.exit_code.clone());
    let seconds = last.and_then(|n| Some(n.finished_at?.0.as_second() - n.started_at?.0.as_second()));
    let pairs = [
        ("lastRetry.exitCode", exit_code.unwrap_or_else(|| missing.0.to_owned())),
        ("lastRetry.status", last.map_or(missing.2.to_owned(), |n| n.phase.to_string())),
        ("lastRetry.duration", seconds.map_or(missing.1.to_owned(), |s| s.to_string())),
        ("lastRetry.message", last.map(|n| n.message.to_string()).unwrap_or_default()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_tells_its_mistakes() {
        let wait = |backoff: serde_json::Value, attempts| {
            let backoff: Backoff = serde_json::from_value(backoff).expect("a backoff");
            backoff_wait(&backoff, attempts).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(serde_json::json!({"duration": "2", "factor": "3", "cap": "10s"}), 3), Ok(10));
        let word = wait(serde_json::json!({"duration": "2", "factor": "two"}), 1);
        assert_eq!(word, Err("value 'two' cannot be resolved to an int".to_owned()));
    }

    #[test]
    fn nothing_follows_the_last_attempt() {
        let strategy: RetryStrategy = serde_json::from_value(serde_json::json!({"limit": "1"})).expect("a strategy");
        assert!(!is_exhausted(&strategy, 1) && is_exhausted(&strategy, 2));
        assert!(!is_exhausted(&RetryStrategy::default(), 9));
    }
}
