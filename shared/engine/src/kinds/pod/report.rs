//! What a pod node becomes by the report about its pod.
//! Source of the rules: Argo `assessNodeStatus`, `inferFailedReason`.

use argosy_api::{
    executor,
    message::{ContainerSummary, PodPhase, PodSummary},
    v1alpha1::{NodePhase, Outputs, Template},
};

use crate::{
    Workflow, pod, size,
    state::{Call, FrameId, Work, bug, completed, enter, parse_progress, set, set_text},
};

impl Workflow {
    /// The node becomes what its pod is.
    pub(super) fn follow_pod(&mut self, frame: FrameId, pod: &PodSummary) {
        let Some((call, template)) = self.frame(frame).map(|f| (f.call.clone(), f.template.clone())) else {
            return bug!(self, &pod.node_id, "a live node has no frame");
        };
        let id = call.id.clone();
        let (phase, message, daemoned) = self.assess(pod, &template, &call);
        let outputs = pod.outputs.as_ref().filter(|_| phase.is_fulfilled());
        let too_large = self.outputs_problem(&id, outputs);
        let (phase, message) = match &too_large {
            Some(problem) => (NodePhase::Error, problem.clone()),
            None => (phase, message),
        };
        let now = self.time();
        let host = self.book.shared_text(&pod.host_node_name);
        self.book.update_pod(&id, |node, resources| {
            let mut changed = false;
            if !host.is_empty() {
                changed |= set(&mut node.host_node_name, host);
            }
            if template.daemon == Some(true) && !pod.pod_ip.is_empty() {
                changed |= set_text(&mut node.pod_ip, &pod.pod_ip);
            }
            if let Some(progress) = &pod.progress
                && parse_progress(progress).is_some()
            {
                changed |= set_text(&mut node.progress, progress);
            }
            if !pod.resources_duration.is_empty() {
                resources.change(&node.resources_duration, &pod.resources_duration);
                changed |= set(&mut node.resources_duration, pod.resources_duration.clone());
            }
            if phase.is_fulfilled() {
                changed |= set(&mut node.task_result_synced, Some(true)) | set(&mut node.daemoned, None);
                if too_large.is_none() {
                    changed |= set_outputs(&mut node.outputs, pod, &template);
                }
                if phase == NodePhase::Succeeded {
                    let progress = completed(&node.progress);
                    changed |= set(&mut node.progress, progress);
                }
            } else if daemoned {
                changed |= set(&mut node.daemoned, Some(true));
            }
            changed | enter(node, phase, Some(&message), now)
        });
        self.follow_containers(pod, phase, &template);
        self.book.set_condition("PodRunning", if self.book.has_running_pods() { "True" } else { "False" });
        if phase.is_fulfilled() {
            self.lift_outputs(&id, &template);
            if !pod.deleted && pod.has_ended() {
                self.let_go(id, pod.name.clone(), pod.phase);
            } else if !pod.deleted {
                // The executor waits for a container that will never run.
                self.stop_pod(&id);
            }
            self.end_frame(frame);
        } else if let Some(parent) = self.frame(frame).map(|f| f.call.parent.clone()) {
            self.agenda.push(if daemoned { Work::Fulfilled(parent) } else { Work::Changed(parent) });
        }
    }

    /// Why a node cannot have these outputs: it would not fit into a message of the bus, or they are too much for the
    /// workflow. Counts them.
    pub(crate) fn outputs_problem(&mut self, id: &str, outputs: Option<&Outputs>) -> Option<String> {
        let (outputs, node) = (outputs?, self.book.node(id)?);
        let whole = self.room_for_values(&node.name);
        let inputs = node.inputs.as_deref();
        let fits = size::outputs_fit_beside(outputs, inputs, whole);
        let room = whole.saturating_sub(if fits { 0 } else { inputs.map_or(0, size::of) });
        if !fits && !size::outputs_fit(outputs, room) {
            let bytes = size::of(outputs);
            return Some(format!("the outputs take {bytes} bytes, of {room} at most. {}", size::ADVICE));
        }
        self.count_values(size::of_outputs(outputs)).err()
    }

    /// Phase, message and whether it is a daemon that is up.
    fn assess(&self, pod: &PodSummary, template: &Template, call: &Call) -> (NodePhase, String, bool) {
        let daemon = template.daemon == Some(true);
        if !pod.report_error.is_empty() {
            return (NodePhase::Error, pod.report_error.clone(), false);
        }
        match pod.phase {
            PodPhase::Succeeded if daemon => (NodePhase::Failed, String::new(), false),
            PodPhase::Succeeded => (NodePhase::Succeeded, String::new(), false),
            PodPhase::Failed => {
                let (phase, message) = failure(pod, template);
                (phase, message, false)
            }
            // Nobody has seen how it ended, as who watches it was away just then; but it was asked to.
            _ if pod.deleted && self.is_stopping(call) => (NodePhase::Failed, self.shutdown_of_pod(), false),
            _ if pod.deleted => (NodePhase::Error, "pod deleted".to_owned(), false),
            PodPhase::Running | PodPhase::Pending if let Some(text) = never_started(pod, template) => {
                (NodePhase::Failed, text, false)
            }
            PodPhase::Running if daemon && !pod.ready => (self.book.phase_of(&pod.node_id), String::new(), false),
            PodPhase::Running => (NodePhase::Running, String::new(), daemon),
            PodPhase::Unset | PodPhase::Pending | PodPhase::Unknown => (NodePhase::Pending, pending_reason(pod), false),
        }
    }

    fn follow_containers(&mut self, pod: &PodSummary, pod_phase: NodePhase, template: &Template) {
        if template.container_set.is_none() {
            return;
        }
        let Some(name) = self.book.node(&pod.node_id).map(|n| n.name.clone()) else {
            return bug!(self, &pod.node_id, "a live node is not in the status");
        };
        for container in &pod.containers {
            let id = self.book.id_of(&format!("{name}.{}", container.name));
            let Some(node) = self.book.node(&id) else { continue };
            if node.phase.is_fulfilled() {
                continue;
            }
            let phase = match (container.phase, pod_phase.is_fulfilled()) {
                (NodePhase::Failed, _) if container.exit_code == Some(executor::FAILED) => NodePhase::Error,
                (NodePhase::Succeeded | NodePhase::Failed, _) => container.phase,
                (_, true) => pod_phase,
                (phase, false) => phase,
            };
            let message = match (phase.is_failed_or_error(), container.message.is_empty()) {
                (false, _) => String::new(),
                (true, true) => format!("{}: ", container_text(container)),
                (true, false) => container_text(container),
            };
            if phase == NodePhase::Succeeded {
                self.book.update_node(&id, |n| {
                    let progress = completed(&n.progress);
                    set(&mut n.progress, progress)
                });
            }
            self.mark(&id, phase, Some(&message));
        }
    }
}

/// What the pod reported, with the exit code of `main`. Where the executor told only what is missing, parameters are there
/// without values.
fn set_outputs(outputs: &mut Option<Box<Outputs>>, pod: &PodSummary, template: &Template) -> bool {
    let mut new = pod.outputs.clone().map(Box::new).or_else(|| outputs.clone());
    if new.is_none()
        && template.resource.is_none()
        && pod.containers.iter().any(|c| c.name == executor::WAIT && c.exit_code == Some(executor::FAILED))
    {
        let parameters = template.outputs.parameters.iter().filter(|p| p.value_from.is_some());
        let parameters: Vec<_> = parameters.cloned().collect();
        if !parameters.is_empty() {
            new = Some(Box::new(Outputs { parameters, ..Outputs::default() }));
        }
    }
    if let Some(code) = pod.containers.iter().find(|c| c.name == pod::MAIN).and_then(|c| c.exit_code) {
        new.get_or_insert_default().exit_code = Some(code.to_string());
    }
    set(outputs, new)
}

fn is_main(template: &Template, name: &str) -> bool {
    match &template.container_set {
        Some(set) => set.containers.iter().any(|c| c.container.name == name),
        None => name == "main",
    }
}

fn container_text(container: &ContainerSummary) -> String {
    let code = container.exit_code.unwrap_or_default();
    let mut text = format!("{}: {} (exit code {code})", container.name, container.reason);
    if !container.message.is_empty() {
        text.push_str(": ");
        text.push_str(&container.message);
    }
    text
}

/// Why a main container never ran, of a pod that goes on: its process could not be started, so nobody tells the executor that
/// it has ended.
fn never_started(pod: &PodSummary, template: &Template) -> Option<String> {
    const REASONS: [&str; 2] = ["StartError", "ContainerCannotRun"];
    let is_dead = |c: &&ContainerSummary| c.exit_code.is_some() && REASONS.contains(&c.reason.as_str());
    let dead = pod.containers.iter().filter(|c| is_main(template, &c.name)).find(is_dead)?;
    Some(container_text(dead))
}

/// Why a failed pod failed: its own message, else its containers in the order init, main, wait, others.
fn failure(pod: &PodSummary, template: &Template) -> (NodePhase, String) {
    if !pod.message.is_empty() {
        return (NodePhase::Failed, pod.message.clone());
    }
    let rank = |c: &ContainerSummary| match c.name.as_str() {
        "main" => 1,
        "wait" => 2,
        _ => 3,
    };
    let mut containers: Vec<&ContainerSummary> = pod.containers.iter().collect();
    // Kubernetes tells of them by their names.
    containers.sort_by_key(|c| (rank(c), &c.name));
    let (mut main_succeeded, mut wait_succeeded) = (false, false);
    for container in pod.init_containers.iter().chain(containers) {
        let Some(code) = container.exit_code else {
            if container.phase == NodePhase::Pending && !(container.reason.is_empty() && container.message.is_empty()) {
                let text = format!(
                    "Pod failed before {} container starts due to {}: {}",
                    container.name, container.reason, container.message
                );
                return (NodePhase::Error, text);
            }
            continue;
        };
        if code == 0 {
            main_succeeded |= is_main(template, &container.name);
            wait_succeeded |= container.name == executor::WAIT;
            continue;
        }
        let text = container_text(container);
        match container.name.as_str() {
            "init" => return (NodePhase::Error, text),
            name if is_main(template, name) => {
                return (NodePhase::Failed, text);
            }
            "wait" => return (NodePhase::Error, text),
            // A sidecar that was killed with the pod.
            _ if code == 137 || code == 143 => {}
            _ => return (NodePhase::Failed, text),
        }
    }
    let missing = match (main_succeeded, wait_succeeded) {
        // Sidecars that were killed with the pod.
        (true, true) => return (NodePhase::Succeeded, String::new()),
        (true, false) => "wait container did not complete successfully",
        (false, true) => "main container did not complete successfully",
        (false, false) => "neither main nor wait container completed successfully",
    };
    (NodePhase::Failed, format!("pod failed: {missing}"))
}

fn pending_reason(pod: &PodSummary) -> String {
    let waiting = pod
        .init_containers
        .iter()
        .chain(&pod.containers)
        .find(|c| c.phase == NodePhase::Pending && !c.reason.is_empty());
    match waiting {
        Some(c) if c.message.is_empty() => c.reason.clone(),
        Some(c) => format!("{}: {}", c.reason, c.message),
        None => pod.unschedulable.clone(),
    }
}
