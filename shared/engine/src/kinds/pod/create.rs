//! The pod of a node, as it is wished for.

use std::{borrow::Cow, sync::Arc};

use arcstr::ArcStr;
use argosy_api::{
    message::{ClusterCommand, Manifest},
    v1alpha1::{self as api, IntOrString, NodePhase, NodeType, Outputs, Template, WorkflowSpec},
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
    state::{
        Body, Call, FrameId, NewNode, Timer, Work, bug,
        library::{Compiled, Likeness},
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
        let pending_until = due_after(started, &template.pending_timeout, "pendingTimeout")?;
        if let Some(IntOrString::Text(seconds)) = &template.active_deadline_seconds
            && seconds.parse::<i32>().is_err()
        {
            return Err(format!("value '{seconds}' cannot be resolved to an int"));
        }
        if known.is_none() && deadline.is_some_and(|due| due.duration_since(self.clock.now()).as_secs() <= 1) {
            return Err(format!("{} exceeded its deadline", call.name));
        }
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
        // A pod that runs is no longer pending, and does not become so again.
        let pending_until = pending_until.filter(|_| !has_pod);
        if let Some(due) = deadline.into_iter().chain(pending_until).min()
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
        let template = &self.with_logs(template);
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
        // Which hosts have failed is each pod's own.
        let hosts = self.hosts_to_avoid(call);
        let shape = if hosts.is_empty() { self.shape(call, compiled, pod.limit.is_some()) } else { None };
        let Some(shape) = shape else {
            let prefix = self.key_format().map(|format| self.key_prefix(call, template, format)).transpose()?;
            let mut tree = self.pod_tree(call, template, pod.limit.is_some(), (&pod_name, prefix.as_deref()))?;
            pod::avoid_hosts(&mut tree, &hosts);
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
        let template = self.with_logs(&compiled.template);
        // Its tags are those of the pods.
        let tree = || self.pod_tree(call, &template, is_limited, ("", self.key_format())).ok();
        let shape = if pod::is_shapely(&compiled.template) { tree().and_then(Shape::of_tagged) } else { None };
        self.library.keep_shape(likeness, shape.clone());
        shape
    }

    /// What keys of artifacts are made of, as the configuration says.
    fn key_format(&self) -> Option<&str> {
        let repository = self.plan.config().artifact_repository.as_ref()?;
        let format = repository.s3.as_ref()?.get("keyFormat")?.as_str()?;
        Some(format).filter(|format| !format.is_empty())
    }

    fn key_prefix(&self, call: &Call, template: &Template, format: &str) -> Result<String, String> {
        let locals = self.locals(call, template, false);
        let of_inputs = input_variables(&template.inputs, template);
        let scope = Layered::new([&of_inputs as &dyn Scope, &locals, &self.globals]);
        let text = tags::render(format, &scope, &tags::Options::once()).map_err(|e| e.to_string())?;
        Ok(text.into_owned())
    }

    /// The template, which asks for the logs where the configuration or the workflow does. Source: Argo `IsArchiveLogs`: what
    /// the repository asks for, nobody takes back.
    fn with_logs(&self, template: &Arc<Template>) -> Arc<Template> {
        let repository = self.plan.config().artifact_repository.as_ref().and_then(|repository| repository.archive_logs);
        let own = template.archive_location.as_ref().and_then(|location| location.archive_logs);
        let wanted = repository == Some(true) || own.or(self.plan.spec().archive_logs) == Some(true);
        if own.unwrap_or_default() == wanted {
            return template.clone();
        }
        let mut template = Template::clone(template);
        template.archive_location.get_or_insert_default().archive_logs = Some(wanted);
        Arc::new(template)
    }

    fn pod_tree(
        &self,
        call: &Call,
        template: &Template,
        is_limited: bool,
        (pod_name, key_prefix): (&str, Option<&str>),
    ) -> Result<Value, String> {
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
            key_prefix,
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
        let own = due_after(started, &template.timeout, "timeout")?;
        let whole = if call.on_exit { None } else { self.deadline() };
        Ok(own.into_iter().chain(whole).min())
    }

    /// Whether the timer of the workflow's deadline, which is yet to come, does for this pod.
    fn ends_with_workflow(&self, call: &Call, due: Timestamp) -> bool {
        !call.on_exit && self.deadline().is_some_and(|whole| whole <= due && self.clock.now() < whole)
    }

    /// Wishes for the pod of a node that waits for it once more.
    pub(crate) fn wish_pod_anew(&mut self, frame: FrameId) {
        let Some(call) = self.frame(frame).map(|f| f.call.clone()) else {
            return bug!(self, "", "a live node has no frame");
        };
        if self.is_stopping(&call) {
            return;
        }
        let wish = self.resolve_template(&call.step, &call.scope).and_then(|(compiled, _)| {
            let template = self.instantiate(&call, &compiled, false)?;
            let started = self.book.node(&call.id).and_then(|node| node.started_at).map_or(self.clock.now(), |at| at.0);
            let deadline = self.pod_deadline(&call, &template, started)?;
            self.pod_manifest(&call, &template, &compiled, deadline)
        });
        match wish {
            Ok(manifest) => {
                let command = ClusterCommand::CreatePod { manifest, not_before: self.life.ended_at() };
                self.agenda.wish_cluster(call.id.clone(), command);
            }
            Err(message) => self.end_by_mistake(frame, &message),
        }
    }

    /// A containerSet has a node per container, below the pod's.
    fn create_container_nodes(&mut self, frame: FrameId) {
        let Some(frame) = self.frame(frame) else {
            return bug!(self, "", "a pod node that has just begun has no frame");
        };
        let Some(set) = frame.template.container_set.clone() else { return };
        let (pod_id, pod_name) = (frame.call.id.clone(), frame.call.name.clone());
        let (step, flag) = (frame.call.step.clone(), frame.call.flag.clone());
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
                step: Some(&step),
                scope: scope.clone(),
                boundary: pod_id.clone(),
                phase: NodePhase::Pending,
                flag: flag.clone(),
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
}

/// When the time in this field of a template is over; none where the field is empty.
///
/// Errors: a text that is no duration; the text is Argo's.
fn due_after(started: Timestamp, text: &str, field: &str) -> Result<Option<Timestamp>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let nanos = duration::parse(text).map_err(|e| format!("invalid {field} format {e}"))?;
    Ok(started.checked_add(SignedDuration::from_nanos(nanos)).ok())
}

/// Nothing that is looked at after the pod has begun can have inputs in it: the template need not be kept with them.
fn needs_no_inputs(template: &Template) -> bool {
    template.outputs == Outputs::default()
        && template.container_set.is_none()
        && template.memoize.is_none()
        && template.metrics.is_none()
}
