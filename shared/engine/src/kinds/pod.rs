//! Pod nodes: the pod to be created, and what its changes mean.
//! Source of the rules: Argo `assessNodeStatus`, `inferFailedReason`.

use std::{borrow::Cow, sync::Arc};

use arcstr::ArcStr;
use argosy_api::{
    message::{ClusterCommand, ContainerSummary, Manifest, PodSummary},
    v1alpha1::{self as api, NodePhase, NodeType, Outputs, Template, WorkflowSpec},
};
use argosy_template::{
    Scope, duration,
    tags::{self, Layered},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    Workflow,
    json::json,
    pod::{self, Limit, PodInput, Shape},
    size,
    state::{
        Body, Call, FrameId, NewNode, Timer, Work, bug, completed, enter,
        library::{Compiled, Likeness},
        set, set_text,
    },
    values::args::{input_variables, pod_variables},
};

impl Workflow {
    pub(crate) fn begin_pod(
        &mut self,
        call: &Arc<Call>,
        template: Arc<Template>,
        compiled: &Arc<Compiled>,
    ) -> Result<(), String> {
        let known = self.book.node(&call.id).map(|n| (n.phase, n.started_at));
        let started = known.and_then(|(_, started)| started).map_or(self.clock.now(), |t| t.0);
        let deadline = self.pod_deadline(call, &template, started)?;
        // Under a shutdown a node that waits for its pod is not given one any more: it may have had one, and lost it to that.
        let needs_pod = known.is_none_or(|(phase, _)| phase == NodePhase::Pending && !self.is_stopping(call));
        let has_pod = known.is_some_and(|(phase, _)| phase == NodePhase::Running);
        let is_up = self.book.node(&call.id).is_some_and(|node| node.daemoned == Some(true) && has_pod);
        // About to be stopped, its pod may have been already, and its end be lost with the bus: it is asked after first.
        let is_asked_after = has_pod || needs_pod && known.is_some() && self.life.is_stop_ahead();
        let manifest = if needs_pod && !is_asked_after {
            Some(self.pod_manifest(call, &template, compiled, deadline)?)
        } else {
            None
        };
        let frame = self.begin(call, NodeType::Pod, NodePhase::Pending, template, Body::Leaf);
        let Some(begun) = self.frame_mut(frame) else {
            bug!(self, &call.id, "a pod node that has just begun has no frame");
            return Ok(());
        };
        let node_id = begun.call.id.clone();
        if needs_no_inputs(&compiled.template) {
            begun.template = compiled.template.clone();
        }
        self.create_container_nodes(frame);
        if let Some(due) = deadline
            && !self.ends_with_workflow(call, due)
        {
            self.arm(Timer::Deadline, &node_id, due);
        }
        if let Some(manifest) = manifest {
            self.agenda.wish_cluster(node_id, ClusterCommand::CreatePod { manifest, not_before: self.life.ended_at() });
        } else if is_asked_after {
            self.confirm_pod(&node_id, false);
        }
        if is_up {
            // Those who depend on it have begun, and what the log says of them comes before the answer about its pod.
            self.agenda.push(Work::Fulfilled(call.parent.clone()));
        }
        Ok(())
    }

    pub(crate) fn pod_manifest(
        &mut self,
        call: &Call,
        template: &Arc<Template>,
        compiled: &Arc<Compiled>,
        deadline: Option<Timestamp>,
    ) -> Result<Manifest, String> {
        let pod_name = ArcStr::from(self.pod_name(call));
        let pod = pod::Pod {
            node_id: call.id.clone(),
            node_name: call.name.clone(),
            pod_name: pod_name.clone(),
            limit: Limit::of(template, deadline, self.clock.time_of_day()),
            template: compiled.text_of(template),
            bytes_max: self.plan.config().message_bytes_max,
            scope: None,
        };
        let Some(shape) = self.shape(call, compiled, pod.limit.is_some()) else {
            let tree = self.pod_tree(call, template, pod.limit.is_some(), &pod_name)?;
            return Shape::of_substituted(tree).manifest(pod);
        };
        if shape.is_literal() {
            return shape.manifest(pod);
        }
        let locals = self.locals(call, &compiled.template, false);
        let of_inputs = input_variables(&template.inputs, template);
        let scope = Layered::new([&of_inputs as &dyn Scope, &locals, &self.globals]);
        shape.manifest(pod::Pod { scope: Some(&scope), ..pod })
    }

    /// What the pods of the template have in common, where it can be told before their inputs are known.
    fn shape(&mut self, call: &Call, compiled: &Arc<Compiled>, is_limited: bool) -> Option<Shape> {
        let likeness = Likeness {
            template: Arc::as_ptr(compiled).addr(),
            on_exit: call.on_exit,
            include_result: self.wants_result(call),
            is_limited,
        };
        let boundary = call.boundary.and_then(|b| self.frame(b));
        if call.step.inline.is_some() || self.plan.is_tagged() || boundary.is_some_and(|f| pod::places(&f.template)) {
            return None;
        }
        if let Some(known) = self.library.shape(&likeness) {
            return known.clone();
        }
        // What is wrong with the template shows when it is built with its inputs.
        let tree = || self.pod_tree(call, &compiled.template, is_limited, "").ok();
        let shape = if pod::is_shapely(&compiled.template) { tree().and_then(Shape::of_tagged) } else { None };
        self.library.keep_shape(likeness, shape.clone());
        shape
    }

    fn pod_tree(&self, call: &Call, template: &Template, is_limited: bool, pod_name: &str) -> Result<Value, String> {
        // The workflow's part of the pod may name the template's inputs. It is rendered by itself: the template is already.
        let spec = if self.plan.is_tagged() {
            Cow::Owned(self.spec_of_pod(template, pod_name)?)
        } else {
            Cow::Borrowed(self.plan.spec().as_ref())
        };
        let input = PodInput {
            config: self.plan.config(),
            workflow: self.book.object(),
            spec: &spec,
            template,
            boundary: call.boundary.and_then(|b| self.frame(b)).map(|f| f.template.as_ref()),
            on_exit: call.on_exit,
            include_result: self.wants_result(call),
            is_limited,
        };
        pod::build(&input).map_err(|e| e.to_string())
    }

    fn spec_of_pod(&self, template: &Template, pod_name: &str) -> Result<WorkflowSpec, String> {
        let spec = WorkflowSpec {
            templates: Vec::new(),
            arguments: Default::default(),
            ..WorkflowSpec::clone(self.plan.spec())
        };
        let mut value = json(&spec);
        tags::render_value(&mut value, &pod_variables(template, pod_name), &tags::Options::once())
            .map_err(|e| e.to_string())?;
        api::from_value(value).map_err(|e| e.to_string())
    }

    /// When the pod of a call must have ended: the earlier of its template's timeout and the workflow's deadline,
    /// which does not bind exit handlers.
    pub(crate) fn pod_deadline(
        &self,
        call: &Call,
        template: &Template,
        started: Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        let own = if template.timeout.is_empty() {
            None
        } else {
            let nanos = duration::parse(&template.timeout).map_err(|e| e.to_string())?;
            started.checked_add(SignedDuration::from_nanos(nanos)).ok()
        };
        let whole = if call.on_exit { None } else { self.deadline() };
        Ok(own.into_iter().chain(whole).min())
    }

    /// Whether the timer of the workflow's deadline, which is yet to come, does for this pod.
    fn ends_with_workflow(&self, call: &Call, due: Timestamp) -> bool {
        !call.on_exit && self.deadline().is_some_and(|whole| whole <= due && self.clock.now() < whole)
    }

    /// A containerSet has a node per container, below the pod's.
    fn create_container_nodes(&mut self, frame: FrameId) {
        let Some(frame) = self.frame(frame) else {
            return bug!(self, "", "a pod node that has just begun has no frame");
        };
        let Some(set) = frame.template.container_set.clone() else { return };
        let (pod_id, pod_name) = (frame.call.id.clone(), frame.call.name.clone());
        let scope = frame.call.scope.clone();
        let scope = self.scope_label(&scope);
        for container in &set.containers {
            let name = arcstr::format!("{pod_name}.{}", container.container.name);
            let id = self.book.id_of(&name);
            if self.book.node(&id).is_some() {
                continue;
            }
            self.create_node(NewNode {
                id: id.clone(),
                name,
                step_name: None,
                kind: NodeType::Container,
                step: None,
                scope: scope.clone(),
                boundary: pod_id.clone(),
                phase: NodePhase::Pending,
                flag: Default::default(),
                message: "",
            });
            let parents: Vec<ArcStr> = match container.dependencies.as_slice() {
                [] => vec![pod_id.clone()],
                names => names.iter().map(|name| self.book.id_of(&format!("{pod_name}.{name}"))).collect(),
            };
            let places: Vec<usize> = self.book.places_of(&parents).collect();
            places.into_iter().for_each(|parent| self.book.link(parent, &id));
        }
    }

    pub(crate) fn on_pod_rejected(&mut self, node_id: &str, message: &str) {
        if let Some(frame) = self.live(node_id) {
            self.mark(node_id, NodePhase::Error, Some(message));
            self.end_frame(frame);
        }
    }

    pub(crate) fn on_pod(&mut self, pod: &PodSummary) {
        // The node may have ended while the report was under way.
        let Some(frame) = self.live(&pod.node_id) else { return self.on_stray_pod(pod) };
        if !self.is_pod_of(&pod.node_id, &pod.name) {
            // Somebody's pod that carries our node's name.
            return;
        }
        if self.is_of_before(pod) {
            return self.on_earlier_pod(frame, pod);
        }
        if pod.deleted && pod.uid.is_empty() && self.book.phase_of(&pod.node_id) == NodePhase::Pending {
            // There is no such pod, and nobody has ever seen one.
            return self.wish_pod_anew(frame);
        }
        if let Some(state) = self.frame_mut(frame) {
            state.is_seen = true;
        }
        let Some((call, template)) = self.frame(frame).map(|f| (f.call.clone(), f.template.clone())) else {
            return bug!(self, &pod.node_id, "a live node has no frame");
        };
        let id = call.id.clone();
        if pod.phase == "Pending" && !pod.deleted && self.book.phase_of(&id) == NodePhase::Running {
            // A look that a newer one overtook: pods do not go back.
            return;
        }
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
                && crate::state::parse_progress(progress).is_some()
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
                    changed |= set_outputs(&mut node.outputs, pod);
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
            let name = pod.name.clone();
            self.agenda.wish_cluster(id, ClusterCommand::LabelPodCompleted { name });
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
        match pod.phase.as_str() {
            "Succeeded" if daemon => (NodePhase::Failed, String::new(), false),
            "Succeeded" => (NodePhase::Succeeded, String::new(), false),
            "Failed" => {
                let (phase, message) = failure(pod, template);
                (phase, message, false)
            }
            // Nobody has seen how it ended, as who watches it was away just then; but it was asked to.
            _ if pod.deleted && self.is_stopping(call) => (NodePhase::Failed, self.shutdown_message(), false),
            _ if pod.deleted => (NodePhase::Error, "pod deleted".to_owned(), false),
            "Running" if daemon && !pod.ready => (self.book.phase_of(&pod.node_id), String::new(), false),
            "Running" => (NodePhase::Running, String::new(), daemon),
            _ => (NodePhase::Pending, pending_reason(pod), false),
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
                (NodePhase::Succeeded | NodePhase::Failed, _) => container.phase,
                (_, true) => pod_phase,
                (phase, false) => phase,
            };
            let message = if phase == NodePhase::Failed { container_text(container) } else { String::new() };
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

/// Nothing that is looked at after the pod has begun can have inputs in it: the template need not be kept with them.
fn needs_no_inputs(template: &Template) -> bool {
    template.outputs == Outputs::default() && template.container_set.is_none() && template.memoize.is_none()
}

/// What the pod reported, with the exit code of `main`.
fn set_outputs(outputs: &mut Option<Box<Outputs>>, pod: &PodSummary) -> bool {
    let mut new = pod.outputs.clone().map(Box::new).or_else(|| outputs.clone());
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
    containers.sort_by_key(|c| rank(c));
    for container in pod.init_containers.iter().chain(containers) {
        let Some(code) = container.exit_code else {
            if !container.message.is_empty() {
                let text = format!(
                    "Pod failed before {} container starts due to {}: {}",
                    container.name, container.reason, container.message
                );
                return (NodePhase::Error, text);
            }
            continue;
        };
        if code == 0 {
            continue;
        }
        let text = container_text(container);
        match container.name.as_str() {
            "init" => return (NodePhase::Error, text),
            name if is_main(template, name) => {
                let phase =
                    if template.container_set.is_some() && code == 64 { NodePhase::Error } else { NodePhase::Failed };
                return (phase, text);
            }
            "wait" => return (NodePhase::Error, text),
            // A sidecar that was killed with the pod.
            _ if code == 137 || code == 143 => {}
            _ => return (NodePhase::Failed, text),
        }
    }
    (NodePhase::Succeeded, String::new())
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
