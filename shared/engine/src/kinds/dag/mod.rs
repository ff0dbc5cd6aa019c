//! DAGs: a task begins when all it depends on has settled; the end of one wakes its dependents and nothing else.

mod assess;

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeFlag, NodePhase, NodeStatus, NodeType, Template};

use crate::{
    Workflow,
    depends::TaskResult,
    kinds::children::EMPTY_LOOP,
    state::{Body, Call, CountedOff, Dag, FrameId, NewNode, Parent, Settled, Task, TemplateScope, Work, bug},
    values::{expand::Item, outputs::results_wanted},
};

/// A message about a reference, which Argo introduces in steps only.
fn plain(message: String) -> String {
    message.strip_prefix("unable to resolve references: ").map(str::to_owned).unwrap_or(message)
}

/// Message of a task that does not run.
const OMITTED: &str = "omitted: depends condition not met";

/// What comes of a task whose turn it is.
enum Turn {
    /// It did not run when it was its turn before.
    Settled,
    /// It does not run.
    Omit,
    Begin,
}

/// `known`: the phase of its node, if it had its turn before. `may_run`: whether its condition holds, which is asked but once.
fn turn(known: NodePhase, may_run: impl FnOnce() -> bool) -> Turn {
    match known {
        NodePhase::Skipped | NodePhase::Omitted => Turn::Settled,
        NodePhase::Unknown if !may_run() => Turn::Omit,
        NodePhase::Unknown
        | NodePhase::Pending
        | NodePhase::Running
        | NodePhase::Succeeded
        | NodePhase::Failed
        | NodePhase::Error => Turn::Begin,
    }
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
            dag.set_results_wanted(results_wanted(&template));
        }
        let ready = dag.begin()?;
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
        match self.dag(frame).and_then(|dag| dag.task_named(name)) {
            Some(task) if !task.node_id().is_empty() => task.node_id().clone(),
            Some(_) | None => self.book.id_of(&self.task_name(frame, name)),
        }
    }

    /// All that the task depends on has settled: it runs, or is omitted.
    pub(crate) fn start_task(&mut self, frame: FrameId, task: usize) {
        // The node may have ended in the same step (`failFast`).
        let Some((task_name, step)) = self.dag_mut(frame).and_then(|dag| dag.start(task)) else { return };
        let name = self.task_name(frame, &task_name);
        let id = self.book.claim_id(&name);
        let known = self.book.phase_of(&id);
        if let Some(dag) = self.dag_mut(frame) {
            dag.set_node(task, id);
        }
        let broken = self.dag_mut(frame).and_then(|dag| dag.inherit_broken(task));
        match turn(known, || self.task_may_run(frame, task)) {
            Turn::Settled if known == NodePhase::Omitted => {
                return self.end_task(frame, task, &name, NodePhase::Omitted, OMITTED);
            }
            Turn::Settled => return self.task_settled(frame, task),
            Turn::Omit => return self.end_task(frame, task, &name, NodePhase::Omitted, OMITTED),
            Turn::Begin => {}
        }
        if let Some(why) = broken {
            return self.break_dag(frame, task, &name, &why);
        }
        let expanded = self.resolve(frame, &task_name, &step, 0).map_err(|failure| plain(failure.into_message()));
        match expanded {
            Err(message) => self.end_task(frame, task, &name, NodePhase::Error, &message),
            Ok((true, items)) if items.is_empty() => self.end_task(frame, task, &name, NodePhase::Skipped, EMPTY_LOOP),
            Ok((looped, items)) => {
                let group =
                    if looped { self.begin_group(frame, task, Item { name: task_name, step }, &name) } else { None };
                if let Some(dag) = self.dag_mut(frame) {
                    dag.set_items(task, group, items.len());
                }
                self.begin_items(frame, task, looped.then_some(&name), items);
            }
        }
    }

    /// Begins the task, or the items of its loop, whose node is `group`. The first that cannot begin ends the loop: those that
    /// have not begun do not begin.
    fn begin_items(&mut self, frame: FrameId, task: usize, group: Option<&ArcStr>, items: Vec<Item>) {
        let group = group.map(|name| self.book.id_of(name));
        let is_over = |workflow: &Self| group.as_ref().is_some_and(|id| workflow.book.phase_of(id) == NodePhase::Error);
        let mut left = items.len();
        for item in items {
            let name = self.task_name(frame, &item.name);
            if is_over(self) && !self.book.has_node(&name) {
                continue;
            }
            left -= 1;
            // A `when` that cannot be evaluated is in the item's node; the others go on. A call is made at once, while all
            // about it is at hand.
            if let Ok(Some(call)) = self.add_child(frame, item, name, task) {
                self.call(call);
            }
        }
        if left > 0
            && let Some(dag) = self.dag_mut(frame)
        {
            dag.forget_items(task, left);
        }
    }

    /// The node of a loop, which is a child with hooks of its own.
    fn begin_group(&mut self, frame: FrameId, task: usize, item: Item, name: &ArcStr) -> Option<usize> {
        self.create_task_node(frame, task, name, NodeType::TaskGroup, NodePhase::Running, "");
        let (id, now) = (self.book.id_of(name), self.time());
        self.book.wake(&id, now);
        let call = self.enlist(frame, item, name.clone(), task)?;
        let Parent::Child { child, .. } = call.parent else {
            bug!(self, &call.id, "the group of a loop is no child");
            return None;
        };
        self.agenda.push(Work::Changed(call.parent.clone()));
        Some(child)
    }

    /// The shutdown comes before the child of a DAG: nothing behind it is looked at.
    pub(crate) fn end_branch(&mut self, frame: FrameId, child: usize) {
        let Some(dag) = self.dag_mut(frame) else { return };
        if let Some(task) = dag.children().get(child).map(|child| child.task) {
            dag.set_dead_end(task);
        }
    }

    /// The node of the loop that a child is an item of.
    pub(crate) fn group_of_item(&self, frame: FrameId, child: usize) -> Option<ArcStr> {
        if !self.is_item_of_task(frame, child) {
            return None;
        }
        let dag = self.dag(frame)?;
        let task = dag.task(dag.children().get(child)?.task)?;
        Some(self.task_id(frame, task.name()))
    }

    /// True for an item of a loop: only its exit hook is its own, the others are the loop's.
    pub(crate) fn is_item_of_task(&self, frame: FrameId, child: usize) -> bool {
        // In Steps there are no groups of items.
        let Some(dag) = self.dag(frame) else { return false };
        let task = dag.children().get(child).and_then(|c| dag.task(c.task));
        task.and_then(Task::group).is_some_and(|group| group != child)
    }

    fn task_may_run(&self, frame: FrameId, task: usize) -> bool {
        let Some((dag, task)) = self.dag(frame).and_then(|dag| Some((dag, dag.task(task)?))) else {
            bug!(self, "", "task {task} begins in a node that has no such task");
            return false;
        };
        dag.holds(task, |dependency| {
            let node = self.book.node(dependency.node_id())?;
            Some(self.task_result(node, dag.asks_about_items()))
        })
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
        if phase == NodePhase::Omitted && self.follow_hooks_of_omitted(frame, task, name) {
            return;
        }
        self.task_settled(frame, task);
    }

    /// Hooks with an expression may fire for a task that is omitted. Answers whether it has any, and settles once they have.
    fn follow_hooks_of_omitted(&mut self, frame: FrameId, task: usize, name: &ArcStr) -> bool {
        let state =
            self.dag(frame).and_then(|dag| dag.task(task)).map(|task| (task.name().clone(), task.step().clone()));
        let Some((task_name, step)) = state else { return false };
        if step.hooks.keys().all(|key| key == "exit") {
            return false;
        }
        if let Some(dag) = self.dag_mut(frame) {
            dag.set_items(task, None, 1);
        }
        let call = self.enlist(frame, Item { name: task_name, step }, name.clone(), task);
        self.agenda.extend(call.map(|call| Work::Fulfilled(call.parent.clone())));
        true
    }

    /// Nothing can be resolved in a task: it is in error, and so is the next one that waited for it, and then the DAG.
    fn break_dag(&mut self, frame: FrameId, task: usize, name: &ArcStr, why: &str) {
        self.create_task_node(frame, task, name, NodeType::Skipped, NodePhase::Error, why);
        let mut ready = self.settle_task(frame, task);
        ready.sort_by_key(|task| self.dag(frame).and_then(|dag| dag.task(*task)).map(|task| task.name().clone()));
        if let Some(next) = ready.first() {
            self.start_task(frame, *next);
        }
        if self.dag(frame).is_some() {
            self.outputs_failed(frame, why, Vec::new());
        }
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
        let found = self.frame(frame).zip(self.dag(frame));
        let Some((owner, dag, state)) = found.and_then(|(owner, dag)| Some((owner, dag, dag.task(task)?))) else {
            return bug!(self, &id, "a task's node is created in a node that has no frame");
        };
        let (boundary, scope) = (owner.call.id.clone(), dag.scope().clone());
        let (task_name, step) = (state.name().clone(), state.step().clone());
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
        let found = self.frame(frame).zip(self.dag(frame)).and_then(|(owner, dag)| Some((owner, dag, dag.task(task)?)));
        let Some((owner, dag, task)) = found else {
            bug!(self, "", "task {task} hangs below a node that has no such task");
            return Vec::new();
        };
        if task.group().is_some() {
            return self.book.places_of([&self.task_id(frame, task.name())]).collect();
        }
        if task.depends_on_nothing() {
            return self.book.places_of([&owner.call.id]).collect();
        }
        let place = |task: &Task| task.place().or_else(|| self.book.place_of(task.node_id()));
        dag.dependencies(task).filter_map(place).flat_map(|place| self.book.outbound_of_task(place)).collect()
    }

    /// An item of the task, or the task itself, has settled.
    pub(crate) fn task_child_settled(&mut self, frame: FrameId, task: usize, child: usize) {
        let Some(counted) = self.dag_mut(frame).and_then(|dag| dag.count_off(task, child)) else {
            return bug!(self, "", "a child of task {task} settles, which is not there");
        };
        match counted {
            CountedOff::Others => {}
            CountedOff::Task => self.task_settled(frame, task),
            CountedOff::None(name) => bug!(self, "", "a child of task '{name}' settles, which has none open"),
            CountedOff::Items { name, group: child } => {
                let id = self.task_id(frame, &name);
                let children = self.book.node(&id).map(|n| n.children.as_slice()).unwrap_or_default();
                let hooked = |n: &NodeStatus| n.node_flag.as_ref().is_some_and(|f| f.hooked);
                let items = children.iter().filter_map(|id| self.book.node(id)).filter(|n| !hooked(n));
                let failed = items.map(|n| n.phase).rev().find(|p| p.is_failed_or_error());
                self.mark(&id, failed.unwrap_or(NodePhase::Succeeded), None);
                if let Some(why) = self.results_problem(&id, &name)
                    && let Some(dag) = self.dag_mut(frame)
                {
                    dag.set_broken(task, why);
                }
                self.agenda.push(Work::Fulfilled(Parent::Child { frame, child }));
            }
        }
    }

    fn task_settled(&mut self, frame: FrameId, task: usize) {
        let mut ready = self.settle_task(frame, task);
        let Some(dag) = self.dag_mut(frame) else { return };
        if dag.is_dead_end(task) {
            dag.give_up(ready.len());
            ready.clear();
        }
        let over = dag.is_over();
        self.agenda.extend(ready.into_iter().map(|task| Work::Task { frame, task }));
        if over {
            self.finish_dag(frame);
        }
    }

    /// The task has settled. Answers those that waited for it alone.
    fn settle_task(&mut self, frame: FrameId, task: usize) -> Vec<usize> {
        let Some((dag, settled)) = self.dag(frame).and_then(|dag| Some((dag, dag.task(task)?))) else {
            bug!(self, "", "a task settles in a node that has no frame");
            return Vec::new();
        };
        let place = self.book.place_of(settled.node_id());
        let node = place.and_then(|place| self.book.node_at(place)).filter(|node| node.phase.is_fulfilled());
        let result = node.map(|node| self.task_result(node, dag.asks_about_items()));
        let Some(dag) = self.dag_mut(frame) else {
            bug!(self, "", "a task settles in a node that has no frame");
            return Vec::new();
        };
        let Settled { ready, is_sound } = dag.settle(task, place, result);
        if !is_sound {
            bug!(self, "", "task {task} settled twice, or had not begun");
        }
        ready
    }

    fn finish_dag(&mut self, frame: FrameId) {
        if let Some(why) = self.dag(frame).and_then(Dag::broken).cloned() {
            return self.outputs_failed(frame, &why, Vec::new());
        }
        let phase = self.assess_dag(frame);
        if phase == NodePhase::Succeeded
            && let Err(message) = self.outputs_of_frame(frame)
        {
            return self.outputs_failed(frame, &plain(message), Vec::new());
        }
        let Some(dag) = self.dag(frame) else { return bug!(self, "", "a DAG ends that has no frame") };
        let targets: Vec<ArcStr> = dag.targets().map(|task| self.task_id(frame, task.name())).collect();
        let outbound = self.book.ids_at(&self.book.outbound(self.book.places_of(&targets)));
        self.end_composite(frame, phase, "", outbound);
    }
}
