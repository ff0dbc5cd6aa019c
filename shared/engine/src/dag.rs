//! DAGs: a task begins when all it depends on has settled; the end of one wakes its dependents and nothing else.

use std::{collections::HashMap, sync::Arc};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeFlag, NodePhase, NodeStatus, NodeType, Template, WorkflowStep};
use foldhash::fast::RandomState;

use crate::{
    Workflow,
    call::Call,
    children::EMPTY_LOOP,
    dag_steps::{is_step_of, step_of},
    depends::{Condition, Depends, TaskResult},
    expand::Item,
    frame::{Body, Children, FrameId, Parent},
    library::TemplateScope,
    outputs::results_wanted,
    size,
    state::{NewNode, Work, bug, set_text},
};

/// Indices of tasks.
type ByName = HashMap<ArcStr, usize, RandomState>;

/// A DAG node that runs.
#[derive(Debug)]
pub(crate) struct Dag {
    /// Where the tasks' templates are looked up.
    pub scope: TemplateScope,
    pub tasks: Vec<Task>,
    pub by_name: ByName,
    pub targets: Vec<usize>,
    pub children: Children,
    /// Tasks whose result the template mentions.
    pub results_wanted: Vec<String>,
    /// Some condition asks how the items of a loop ended.
    about_items: bool,
    /// Tasks queued or begun, and not settled.
    open: usize,
}

/// A task, and how far it is. Small, as there may be very many.
#[derive(Debug)]
pub(crate) struct Task {
    pub name: ArcStr,
    /// Without the name, so that tasks that differ in nothing else share one.
    pub step: Arc<WorkflowStep>,
    /// Id of the task's node; empty until the task begins.
    node_id: ArcStr,
    /// On the results of `dependencies`, by their place there.
    condition: Condition,
    /// Indices of tasks.
    pub dependencies: Box<[usize]>,
    dependents: Vec<usize>,
    /// It is a loop: this child of the frame is its own node, a TaskGroup.
    group: Option<usize>,
    /// Items, or the task itself, that have not settled.
    items_open: usize,
    /// Dependencies that have not settled.
    waits_for: usize,
    /// Where its node is in the status, once it has settled.
    place: Option<u32>,
    /// Once its node is fulfilled, which is for good.
    result: Option<TaskResult>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Begun,
    Settled,
}

impl Dag {
    fn new(template: &Template, scope: TemplateScope) -> Result<Self, String> {
        let spec = template.dag.as_ref().ok_or("the template has no dag")?;
        let by_name: ByName = spec.tasks.iter().enumerate().map(|(i, t)| (t.name.as_str().into(), i)).collect();
        let tolerated = |name: &str| {
            let on = by_name.get(name).and_then(|i| spec.tasks[*i].continue_on.as_ref());
            on.map_or((false, false), |on| (on.error, on.failed))
        };
        let mut tasks: Vec<Task> = Vec::with_capacity(spec.tasks.len());
        let mut about_items = false;
        for task in &spec.tasks {
            let depends = Depends::of_task(task, &tolerated).map_err(|e| e.to_string())?;
            about_items |= depends.about_items().next().is_some();
            let dependencies = depends.names.iter().map(|name| {
                let known = by_name.get(name.as_ref()).copied();
                known.ok_or_else(|| format!("task '{}' depends on '{name}', which is no task of the dag", task.name))
            });
            let dependencies: Box<[usize]> = dependencies.collect::<Result<_, _>>()?;
            tasks.push(Task {
                name: by_name.get_key_value(task.name.as_str()).map(|(name, _)| name.clone()).unwrap_or_default(),
                step: match tasks.last() {
                    Some(last) if is_step_of(&last.step, task) => last.step.clone(),
                    Some(_) | None => Arc::new(step_of(task)),
                },
                node_id: ArcStr::new(),
                condition: depends.condition,
                waits_for: dependencies.len(),
                dependencies,
                dependents: Vec::new(),
                group: None,
                items_open: 0,
                place: None,
                result: None,
                state: State::Waiting,
            });
        }
        for index in 0..tasks.len() {
            for dependency in tasks[index].dependencies.clone() {
                tasks[dependency].dependents.push(index);
            }
        }
        let targets = targets(&spec.target, &tasks, &by_name)?;
        Ok(Self {
            scope,
            tasks,
            by_name,
            targets,
            children: Children::default(),
            results_wanted: Vec::new(),
            about_items,
            open: 0,
        })
    }

    /// Tasks that have not begun, although nothing that they depend on is left.
    pub fn overlooked_tasks(&self) -> impl Iterator<Item = ArcStr> {
        let is_ready = |task: &&Task| task.state == State::Waiting && task.waits_for == 0;
        self.tasks.iter().filter(is_ready).map(|task| task.name.clone())
    }

    /// No task is open: the DAG should have ended.
    pub fn is_over(&self) -> bool {
        self.open == 0
    }

    /// Tasks that the targets need, themselves included.
    fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.tasks.len()];
        let mut stack = self.targets.clone();
        while let Some(task) = stack.pop() {
            if !std::mem::replace(&mut needed[task], true) {
                stack.extend(&self.tasks[task].dependencies);
            }
        }
        needed
    }
}

/// A message about a reference, which Argo introduces in steps only.
fn plain(message: String) -> String {
    message.strip_prefix("unable to resolve references: ").map(str::to_owned).unwrap_or(message)
}

/// The named targets; without, all tasks that nothing depends on, by name.
fn targets(text: &str, tasks: &[Task], by_name: &ByName) -> Result<Vec<usize>, String> {
    if !text.trim().is_empty() {
        let named = text
            .split_whitespace()
            .map(|name| by_name.get(name).copied().ok_or_else(|| format!("target '{name}' is not defined")));
        return named.collect();
    }
    let mut ends: Vec<usize> = (0..tasks.len()).filter(|i| tasks[*i].dependents.is_empty()).collect();
    ends.sort_by(|a, b| tasks[*a].name.cmp(&tasks[*b].name));
    Ok(ends)
}

impl Workflow {
    pub(crate) fn begin_dag(
        &mut self,
        call: &Arc<Call>,
        template: Arc<Template>,
        scope: TemplateScope,
        may_want_results: bool,
    ) -> Result<(), String> {
        let mut dag = Dag::new(&template, scope)?;
        if may_want_results {
            dag.results_wanted = results_wanted(&template);
        }
        let needed = dag.needed();
        let is_ready = |i: &usize| needed[*i] && dag.tasks[*i].waits_for == 0;
        let ready: Vec<usize> = (0..dag.tasks.len()).filter(is_ready).collect();
        for (task, is_needed) in dag.tasks.iter_mut().zip(&needed) {
            task.dependents.retain(|d| needed[*d]);
            if !is_needed {
                task.state = State::Settled;
            }
        }
        if ready.is_empty() && !dag.tasks.is_empty() {
            return Err("the tasks of the dag wait for each other".to_owned());
        }
        dag.open = ready.len();
        let frame = self.begin(call, NodeType::Dag, NodePhase::Running, template, Body::Dag(Box::new(dag)));
        if ready.is_empty() {
            // A DAG without tasks has nothing to wait for, and succeeds, as in Argo.
            self.finish_dag(frame);
        }
        self.agenda.extend(ready.into_iter().map(|task| Work::Task { frame, task }));
        Ok(())
    }

    pub(crate) fn dag(&self, frame: FrameId) -> Option<&Dag> {
        match &self.frame(frame)?.body {
            Body::Dag(dag) => Some(dag),
            Body::Leaf | Body::Steps(_) | Body::Retry(_) => None,
        }
    }

    fn dag_mut(&mut self, frame: FrameId) -> Option<&mut Dag> {
        match &mut self.frame_mut(frame)?.body {
            Body::Dag(dag) => Some(dag),
            Body::Leaf | Body::Steps(_) | Body::Retry(_) => None,
        }
    }

    fn task_name(&self, frame: FrameId, name: &str) -> ArcStr {
        let Some(owner) = self.frame(frame) else {
            bug!(self, "", "task '{name}' is named of a node that has no frame");
            return ArcStr::new();
        };
        arcstr::format!("{}.{name}", owner.call.name)
    }

    /// Node id of a task of the frame.
    pub(crate) fn task_id(&self, frame: FrameId, name: &str) -> ArcStr {
        let task = self.dag(frame).and_then(|dag| dag.tasks.get(*dag.by_name.get(name)?));
        match task {
            Some(task) if !task.node_id.is_empty() => task.node_id.clone(),
            Some(_) | None => self.book.id_of(&self.task_name(frame, name)),
        }
    }

    /// All that the task depends on has settled: it runs, or is omitted.
    pub(crate) fn start_task(&mut self, frame: FrameId, task: usize) {
        // The node may have ended in the same step (`failFast`).
        let Some(state) = self.dag_mut(frame).and_then(|d| d.tasks.get_mut(task)) else { return };
        if state.state != State::Waiting {
            return;
        }
        state.state = State::Begun;
        let (task_name, step) = (state.name.clone(), state.step.clone());
        let name = self.task_name(frame, &task_name);
        let id = self.book.claim_id(&name);
        let known = self.book.phase_of(&id);
        if let Some(state) = self.dag_mut(frame).and_then(|d| d.tasks.get_mut(task)) {
            state.node_id = id;
        }
        if matches!(known, NodePhase::Skipped | NodePhase::Omitted) {
            return self.task_settled(frame, task);
        }
        if known == NodePhase::Unknown && !self.task_may_run(frame, task) {
            return self.end_task(frame, task, &name, NodePhase::Omitted, "omitted: depends condition not met");
        }
        let expanded = self.resolve(frame, &task_name, &step, 0).map_err(|failure| plain(failure.into_message()));
        match expanded {
            Err(message) => self.end_task(frame, task, &name, NodePhase::Error, &message),
            Ok((true, items)) if items.is_empty() => self.end_task(frame, task, &name, NodePhase::Skipped, EMPTY_LOOP),
            Ok((looped, items)) => {
                let group =
                    if looped { self.begin_group(frame, task, Item { name: task_name, step }, &name) } else { None };
                if let Some(state) = self.dag_mut(frame).and_then(|d| d.tasks.get_mut(task)) {
                    state.group = group;
                    state.items_open = items.len();
                }
                for item in items {
                    let name = self.task_name(frame, &item.name);
                    // A `when` that cannot be evaluated is in the item's node; the others go on. A call is made at once,
                    // while all about it is at hand.
                    if let Ok(Some(call)) = self.add_child(frame, item, name, task) {
                        self.call(call);
                    }
                }
            }
        }
    }

    /// The node of a loop, which is a child with hooks of its own.
    fn begin_group(&mut self, frame: FrameId, task: usize, item: Item, name: &ArcStr) -> Option<usize> {
        self.create_task_node(frame, task, name, NodeType::TaskGroup, NodePhase::Running, "");
        let call = self.enlist(frame, item, name.clone(), task)?;
        let Parent::Child { child, .. } = call.parent else {
            bug!(self, &call.id, "the group of a loop is no child");
            return None;
        };
        self.agenda.push(Work::Changed(call.parent.clone()));
        Some(child)
    }

    /// True for an item of a loop: only its exit hook is its own, the others are the loop's.
    pub(crate) fn is_item_of_task(&self, frame: FrameId, child: usize) -> bool {
        // In Steps there are no groups of items.
        let Some(dag) = self.dag(frame) else { return false };
        let task = dag.children.get(child).and_then(|c| dag.tasks.get(c.task));
        task.and_then(|t| t.group).is_some_and(|group| group != child)
    }

    fn task_may_run(&self, frame: FrameId, task: usize) -> bool {
        let Some((dag, task)) = self.dag(frame).and_then(|dag| Some((dag, dag.tasks.get(task)?))) else {
            bug!(self, "", "task {task} begins in a node that has no such task");
            return false;
        };
        let result = |index: usize| {
            let dependency = &dag.tasks[task.dependencies[index]];
            let node = || self.book.node(&dependency.node_id).map(|node| self.task_result(node, dag.about_items));
            dependency.result.or_else(node).unwrap_or_default()
        };
        task.condition.holds(&result)
    }

    /// `about_items`: also what some conditions say of the items of a loop.
    fn task_result(&self, node: &NodeStatus, about_items: bool) -> TaskResult {
        let items: Vec<NodePhase> = match node.r#type {
            NodeType::TaskGroup if about_items => node.children.iter().map(|c| self.book.phase_of(c)).collect(),
            _ => Vec::new(),
        };
        TaskResult {
            succeeded: node.phase == NodePhase::Succeeded,
            failed: node.phase == NodePhase::Failed,
            errored: node.phase == NodePhase::Error,
            skipped: node.phase == NodePhase::Skipped,
            omitted: node.phase == NodePhase::Omitted,
            daemoned: node.daemoned == Some(true) && node.phase != NodePhase::Pending,
            any_succeeded: items.contains(&NodePhase::Succeeded),
            all_failed: !items.is_empty() && items.iter().all(|p| *p == NodePhase::Failed),
        }
    }

    /// Gives a task a node that says why it does not run.
    fn end_task(&mut self, frame: FrameId, task: usize, name: &ArcStr, phase: NodePhase, message: &str) {
        self.create_task_node(frame, task, name, NodeType::Skipped, phase, message);
        self.task_settled(frame, task);
    }

    fn create_task_node(
        &mut self,
        frame: FrameId,
        task: usize,
        name: &ArcStr,
        kind: NodeType,
        phase: NodePhase,
        message: &str,
    ) {
        let id = self.book.id_of(name);
        if self.book.node(&id).is_some() {
            return;
        }
        let Some((owner, dag)) = self.frame(frame).zip(self.dag(frame)) else {
            return bug!(self, &id, "a task's node is created in a node that has no frame");
        };
        let (boundary, scope) = (owner.call.id.clone(), dag.scope.clone());
        let (task_name, step) = (dag.tasks[task].name.clone(), dag.tasks[task].step.clone());
        let parents = self.task_parents(frame, task);
        let scope = self.scope_label(&scope);
        self.create_node(NewNode {
            id: id.clone(),
            name: name.clone(),
            step_name: Some(&task_name),
            kind,
            step: Some(&step),
            scope,
            boundary,
            phase,
            flag: NodeFlag::default(),
            message,
        });
        for parent in parents {
            self.book.link(parent, &id);
        }
    }

    /// The places of what a task's node hangs below: its group, the ends of what it depends on, or the DAG itself. May have
    /// one twice.
    pub(crate) fn task_parents(&self, frame: FrameId, task: usize) -> Vec<usize> {
        let found =
            self.frame(frame).zip(self.dag(frame)).and_then(|(owner, dag)| Some((owner, dag, dag.tasks.get(task)?)));
        let Some((owner, dag, task)) = found else {
            bug!(self, "", "task {task} hangs below a node that has no such task");
            return Vec::new();
        };
        if task.group.is_some() {
            return self.book.places_of([&self.task_id(frame, &task.name)]).collect();
        }
        if task.dependencies.is_empty() {
            return self.book.places_of([&owner.call.id]).collect();
        }
        let place = |task: &Task| task.place.map(|place| place as usize).or_else(|| self.book.place_of(&task.node_id));
        self.book.outbound(task.dependencies.iter().filter_map(|d| place(&dag.tasks[*d])))
    }

    /// An item of the task, or the task itself, has settled.
    pub(crate) fn task_child_settled(&mut self, frame: FrameId, task: usize, child: usize) {
        let Some(state) = self.dag_mut(frame).and_then(|d| d.tasks.get_mut(task)) else {
            return bug!(self, "", "a child of task {task} settles, which is not there");
        };
        if state.state != State::Begun {
            return;
        }
        if state.group == Some(child) {
            return self.task_settled(frame, task);
        }
        let open = state.items_open.checked_sub(1);
        state.items_open = open.unwrap_or_default();
        let (name, group) = (state.name.clone(), state.group);
        match open {
            None => return bug!(self, "", "a child of task '{name}' settles, which has none open"),
            Some(0) => {}
            Some(_) => return,
        }
        if let Some(child) = group {
            let id = self.task_id(frame, &name);
            let children = self.book.node(&id).map(|n| n.children.as_slice()).unwrap_or_default();
            let hooked = |n: &NodeStatus| n.node_flag.as_ref().is_some_and(|f| f.hooked);
            let items = children.iter().filter_map(|id| self.book.node(id)).filter(|n| !hooked(n)).map(|n| n.phase);
            let failed = items.rev().find(|p| p.is_failed_or_error());
            self.mark(&id, failed.unwrap_or(NodePhase::Succeeded), None);
            return self.agenda.push(Work::Fulfilled(Parent::Child { frame, child }));
        }
        self.task_settled(frame, task);
    }

    fn task_settled(&mut self, frame: FrameId, task: usize) {
        let Some(dag) = self.dag(frame) else { return bug!(self, "", "a task settles in a node that has no frame") };
        let place = self.book.place_of(&dag.tasks[task].node_id);
        let node = place.and_then(|place| self.book.node_at(place)).filter(|node| node.phase.is_fulfilled());
        let result = node.map(|node| self.task_result(node, dag.about_items));
        let Some(dag) = self.dag_mut(frame) else {
            return bug!(self, "", "a task settles in a node that has no frame");
        };
        dag.tasks[task].place = place.and_then(|place| u32::try_from(place).ok());
        dag.tasks[task].result = result;
        dag.tasks[task].state = State::Settled;
        let mut is_sound = dag.open > 0;
        dag.open = dag.open.saturating_sub(1);
        let mut ready = Vec::new();
        for dependent in std::mem::take(&mut dag.tasks[task].dependents) {
            let waiting = &mut dag.tasks[dependent];
            is_sound &= waiting.waits_for > 0;
            waiting.waits_for = waiting.waits_for.saturating_sub(1);
            if waiting.waits_for == 0 && waiting.state == State::Waiting {
                ready.push(dependent);
            }
        }
        dag.open += ready.len();
        let over = dag.open == 0;
        if !is_sound {
            bug!(self, "", "task {task} settled twice, or had not begun");
        }
        self.agenda.extend(ready.into_iter().map(|task| Work::Task { frame, task }));
        if over {
            self.finish_dag(frame);
        }
    }

    fn finish_dag(&mut self, frame: FrameId) {
        let phase = self.assess_dag(frame);
        if phase == NodePhase::Succeeded
            && let Err(message) = self.outputs_of_frame(frame)
        {
            return self.outputs_failed(frame, &plain(message), Vec::new());
        }
        let Some(dag) = self.dag(frame) else { return bug!(self, "", "a DAG ends that has no frame") };
        let targets: Vec<ArcStr> = dag.targets.iter().map(|t| self.task_id(frame, &dag.tasks[*t].name)).collect();
        let outbound = self.book.ids_at(&self.book.outbound(self.book.places_of(&targets)));
        self.end_composite(frame, phase, "", outbound);
    }

    /// A task could not be begun: its node says why.
    pub(crate) fn child_errored(&mut self, frame: FrameId, child: usize, message: &str) {
        let found = self.frame(frame).and_then(|owner| Some((owner, owner.children()?.get(child)?.call.as_ref()?)));
        let Some((owner, call)) = found else {
            return bug!(self, "", "a child could not begin that is not there: {message}");
        };
        let (id, name) = (call.id.clone(), call.name.clone());
        match &owner.body {
            Body::Steps(_) => {
                self.group_errored(frame, &format!("step group deemed errored due to child {name} error: {message}"))
            }
            Body::Dag(_) => {
                let message = format!("task '{name}' errored: {message}");
                self.book.update_node(&id, |n| set_text(&mut n.message, &size::cut(&message)));
                self.agenda.push(Work::Fulfilled(Parent::Child { frame, child }));
            }
            Body::Leaf | Body::Retry(_) => {}
        }
    }
}
