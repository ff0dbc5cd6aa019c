//! What steps said last, shown when a run has ended: steps that failed, and the only step of a run that has but one.

use std::{collections::HashSet, io::IsTerminal, time::Duration};

use argosy_api::{
    executor::INIT,
    v1alpha1::{NodePhase, NodeStatus, NodeType, Workflow, WorkflowPhase},
};
use argosy_client::{
    order::Order,
    pods::{self, LogOf, LogRequest, PodOf},
    read,
};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::{Api, Client};
use serde_json::Value;

use crate::{channel, colors, terminal};

/// Steps whose logs are shown; of more, those that ended first, as the others often follow from them.
const STEPS_MAX: usize = 5;
/// Lines that are shown of each log.
const LINES_MAX: usize = 20;
/// Characters that are shown of each line.
const LINE_CHARS_MAX: usize = 2000;
/// How long all logs together may take.
const READ: Duration = Duration::from_secs(5);

/// The ends of the logs of one workflow.
pub struct Tails {
    tails: Vec<Tail>,
    /// Steps that failed besides.
    left_out: usize,
    /// How the user sees more.
    more: String,
}

struct Tail {
    /// The step, and how it ended.
    step: String,
    lines: Vec<String>,
    is_whole: bool,
}

/// Those of finished workflows; `more` says how the user sees more of one.
pub async fn of(client: &Client, finals: &[Value], more: impl Fn(&str) -> String) -> Vec<Tails> {
    let mut all = Vec::new();
    for workflow in finals.iter().filter_map(|value| read::readable_value(value).ok()) {
        all.push(Tails::read(client, &workflow, &more(&workflow.metadata.name)).await);
    }
    all
}

impl Tails {
    /// Reads them; `more` says how the user sees more. Logs that cannot be read are left out.
    async fn read(client: &Client, workflow: &Workflow, more: &str) -> Self {
        let chosen = chosen(workflow);
        let left_out = chosen.len().saturating_sub(STEPS_MAX);
        let mut tails = Vec::new();
        let reading = async {
            for pod in chosen.iter().take(STEPS_MAX) {
                tails.extend(read_log(client, workflow, pod).await);
            }
        };
        if tokio::time::timeout(READ, reading).await.is_err() {
            tracing::debug!("the logs of the steps take too long");
        }
        Self { tails, left_out, more: more.to_owned() }
    }

    /// Prints them, on standard error where standard output is for the objects; how many lines they have.
    pub fn print(&self, to_stderr: bool) -> usize {
        let is_terminal = if to_stderr { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let text = self.text(is_terminal && colors::are_wanted(false));
        if to_stderr {
            channel::err(&text)
        } else {
            channel::out(&text)
        }
        text.lines().count()
    }

    /// As text, with the colours of the logs where they may stay.
    fn text(&self, colors: bool) -> String {
        let mut text = String::new();
        for tail in &self.tails {
            let what = match (tail.lines.len(), tail.is_whole) {
                (0, _) => "wrote nothing".to_owned(),
                (_, true) => "wrote:".to_owned(),
                (count, false) => format!("wrote, in its last {count} lines ({}):", self.more),
            };
            text.push_str(&format!("\n{} {what}\n", terminal::line(&tail.step)));
            for line in &tail.lines {
                let shown = if colors { terminal::colored(line) } else { terminal::line(line) };
                // A colour that the line began ends with it.
                let end = if colors && shown.contains('\u{1b}') { "\u{1b}[0m" } else { "" };
                text.push_str(&format!("  {shown}{end}\n"));
            }
        }
        if self.left_out > 0 {
            text.push_str(&format!("\n{} more failed ({})\n", self.left_out, self.more));
        }
        text
    }
}

/// The logs of a pod, of those containers that say something.
async fn read_log(client: &Client, workflow: &Workflow, pod: &PodOf) -> Vec<Tail> {
    let (mut tails, mut silent) = (Vec::new(), None);
    for (log, name, has_failed) in containers(client, workflow, pod).await {
        let request = LogRequest { tail: i64::try_from(LINES_MAX + 1).ok(), ..LogRequest::default() };
        let lines: Vec<String> = match pods::lines(client, &workflow.metadata.namespace, &log, &request).await {
            Ok(lines) => lines.try_collect().await.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, pod = log.pod, "read the end of a log");
                continue;
            }
        };
        let ending = if has_failed { ", which failed," } else { "" };
        let tail = tail(format!("{}{name}{ending}", pod.step), lines);
        // Of several that wrote nothing, the one that failed is told.
        match tail.lines.is_empty() {
            true if silent.is_none() || has_failed => silent = Some(tail),
            true => {}
            false => tails.push(tail),
        }
    }
    if tails.is_empty() {
        tails.extend(silent.filter(|_| pod.phase != NodePhase::Succeeded));
    }
    tails
}

/// The containers whose logs are shown: each with what its name adds to the step's, and whether it is one that failed.
async fn containers(client: &Client, workflow: &Workflow, pod: &PodOf) -> Vec<(LogOf, String, bool)> {
    let has_failed = pod.phase != NodePhase::Succeeded;
    if has_failed {
        let failed = failed_inits(client, workflow, pod).await;
        if !failed.is_empty() {
            // What comes behind them never ran.
            let logs = failed
                .into_iter()
                .flat_map(|name| pod.logs(Some(&name)).into_iter().map(move |log| (log, name.clone())));
            return logs.map(|(log, name)| (log, format!("/{name}"), true)).collect();
        }
    }
    let of_set = |name: &str| {
        let nodes = workflow.status.nodes.values().filter(|node| node.r#type == NodeType::Container);
        let mut own = nodes.filter(|node| node.boundary_id == pod.id && node.display_name.as_str() == name);
        own.any(|node| node.phase.is_failed_or_error())
    };
    let each = |log: LogOf| match pod.containers.is_empty() {
        true => (log, String::new(), has_failed),
        false => {
            let (name, has_failed) = (format!("/{}", log.container), has_failed && of_set(&log.container));
            (log, name, has_failed)
        }
    };
    pod.logs(None).into_iter().map(each).collect()
}

/// The user's init containers that failed, as far as the pod is still there to tell.
async fn failed_inits(client: &Client, workflow: &Workflow, pod: &PodOf) -> Vec<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &workflow.metadata.namespace);
    let found = match pods.get_opt(&pod.name).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                pod = pod.name,
                "look for containers that failed"
            );
            None
        }
    };
    let statuses = found.and_then(|pod| pod.status?.init_container_statuses).unwrap_or_default();
    let has_failed = |status: &ContainerStatus| {
        let ended = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        status.name != INIT && ended.is_some_and(|ended| ended.exit_code != 0)
    };
    statuses.into_iter().filter(has_failed).map(|status| status.name).collect()
}

fn tail(step: String, mut lines: Vec<String>) -> Tail {
    let is_whole = lines.len() <= LINES_MAX;
    lines.drain(..lines.len().saturating_sub(LINES_MAX));
    for line in &mut lines {
        if let Some((at, _)) = line.char_indices().nth(LINE_CHARS_MAX) {
            line.truncate(at);
            line.push('…');
        }
    }
    Tail { step, lines, is_whole }
}

/// The pods whose logs are shown, in the order in which they ended.
fn chosen(workflow: &Workflow) -> Vec<PodOf> {
    let nodes = &workflow.status.nodes;
    // Of a step's attempts the last one counts.
    let retries = nodes.values().filter(|node| node.r#type == NodeType::Retry);
    let earlier: HashSet<&str> = retries.flat_map(|retry| earlier_attempts(workflow, retry)).collect();
    let pods = pods::of(workflow);
    let steps: Vec<&PodOf> = pods.iter().filter(|pod| !earlier.contains(pod.id.as_str())).collect();
    let failed = |pod: &PodOf| matches!(pod.phase, NodePhase::Failed | NodePhase::Error);
    let has_failed = !matches!(workflow.status.phase, WorkflowPhase::Succeeded);
    let mut chosen: Vec<PodOf> = match steps.as_slice() {
        [only] if only.phase == NodePhase::Succeeded || failed(only) => vec![(*only).clone()],
        _ if has_failed => steps.into_iter().filter(|pod| failed(pod)).cloned().collect(),
        _ => Vec::new(),
    };
    let order = Order::new(workflow);
    chosen.sort_by_key(|pod| nodes.get(pod.id.as_str()).map(|node| order.last(node)));
    chosen
}

fn earlier_attempts<'a>(workflow: &'a Workflow, retry: &NodeStatus) -> Vec<&'a str> {
    let prefix = format!("{}(", retry.name);
    let nodes = retry.children.iter().filter_map(|id| workflow.status.nodes.get(id));
    let mut attempts: Vec<&str> =
        nodes.filter(|node| node.name.starts_with(&prefix)).map(|node| node.id.as_str()).collect();
    attempts.pop();
    attempts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(phase: &str, nodes: &[(&str, &str, &str, u32, &[&str])]) -> Vec<String> {
        let node = |(id, kind, phase, second, children): &(&str, &str, &str, u32, &[&str])| {
            let at = format!("2026-01-01T00:00:{second:02}Z");
            let node = json!({ "id": id, "name": id, "displayName": id, "type": kind, "phase": phase, "startedAt": at,
                "finishedAt": at, "children": children });
            ((*id).to_owned(), node)
        };
        let nodes: serde_json::Map<_, _> = nodes.iter().map(node).collect();
        let value = json!({ "metadata": { "name": "w" }, "spec": {}, "status": { "phase": phase, "nodes": nodes } });
        let workflow = argosy_api::v1alpha1::from_value(value).expect("a workflow");
        chosen(&workflow).into_iter().map(|pod| pod.display).collect()
    }

    #[test]
    fn failed_steps_are_chosen_in_the_order_of_their_end_and_a_step_that_is_alone() {
        let both =
            [("b", "Pod", "Failed", 2, &[][..]), ("a", "Pod", "Error", 3, &[]), ("c", "Pod", "Succeeded", 1, &[])];
        assert_eq!(names("Failed", &both), ["b", "a"]);
        assert_eq!(names("Succeeded", &both), [""; 0], "it went on after their failure");
        assert_eq!(names("Succeeded", &[("a", "Pod", "Succeeded", 1, &[])]), ["a"]);
        assert_eq!(names("Failed", &[("a", "Pod", "Pending", 1, &[])]), [""; 0]);
    }

    #[test]
    fn of_attempts_the_last_one_counts() {
        let attempts = |phase, last| {
            let retry = ("r", "Retry", phase, 3, &["r(0)", "r(1)", "next"][..]);
            [retry, ("r(0)", "Pod", "Failed", 1, &[]), ("r(1)", "Pod", last, 2, &[]), ("next", "Pod", "Failed", 4, &[])]
        };
        assert_eq!(names("Failed", &attempts("Failed", "Failed")), ["r(1)", "next"]);
        assert_eq!(names("Failed", &attempts("Succeeded", "Succeeded")), ["next"]);
    }

    #[test]
    fn what_a_step_wrote_moves_no_cursor() {
        let mut lines: Vec<_> = (0..30).map(|n| n.to_string()).collect();
        lines.push("\u{1b}[31mred\u{1b}[2J".to_owned());
        let tails = Tails { tails: vec![tail("s".to_owned(), lines)], left_out: 2, more: "all: m".to_owned() };
        let piped = tails.text(false);
        assert!(piped.starts_with("\ns wrote, in its last 20 lines (all: m):\n  11\n"), "{piped}");
        assert!(piped.ends_with("\n  ^[[31mred^[[2J\n\n2 more failed (all: m)\n"), "{piped}");
        assert!(tails.text(true).contains("  \u{1b}[31mred^[[2J\u{1b}[0m\n"));
    }
}
