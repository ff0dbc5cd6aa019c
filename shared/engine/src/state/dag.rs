//! A DAG node that runs: its tasks, and what waits for what.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{Template, WorkflowStep};
use foldhash::fast::RandomState;

use super::{
    Children, TemplateScope,
    dag_steps::{is_step_of, step_of},
};
use crate::depends::{Condition, Depends, TaskResult};

/// Indices of tasks.
type ByName = HashMap<ArcStr, usize, RandomState>;

/// A DAG node that runs. Each task waits until all that it depends on has settled, then begins once, and settles once; as many
/// are open as are queued or begun and not settled, and the DAG is over when none is.
#[derive(Debug)]
pub(crate) struct Dag {
    /// Where the tasks' templates are looked up.
    scope: TemplateScope,
    tasks: Vec<Task>,
    by_name: ByName,
    targets: Vec<usize>,
    children: Children,
    /// Tasks whose result the template mentions.
    results_wanted: Vec<String>,
    /// Some condition asks how the items of a loop ended.
    about_items: bool,
    /// Tasks queued or begun, and not settled.
    open: usize,
    /// Why nothing can be resolved behind these tasks: the outputs of a loop are no list.
    broken: HashMap<usize, String, RandomState>,
    /// Tasks that a shutdown came before: nothing behind them begins.
    dead_ends: BTreeSet<usize>,
}

/// A task, and how far it is. Small, as there may be very many.
#[derive(Debug)]
pub(crate) struct Task {
    name: ArcStr,
    /// Without the name, so that tasks that differ in nothing else share one.
    step: Arc<WorkflowStep>,
    /// Id of the task's node; empty until the task begins.
    node_id: ArcStr,
    /// On the results of `dependencies`, by their place there.
    condition: Condition,
    /// Indices of tasks.
    dependencies: Box<[usize]>,
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

/// What it means that a child of a task has settled.
pub(crate) enum CountedOff {
    /// Others are open yet, or nothing more comes of the task.
    Others,
    /// The task itself has settled.
    Task,
    /// All items of the loop have settled; its own node, this child, has not ended yet.
    Items { name: ArcStr, group: usize },
    /// None was open: a bug.
    None(ArcStr),
}

/// What follows when a task has settled.
pub(crate) struct Settled {
    /// Tasks that begin now.
    pub ready: Vec<usize>,
    /// False when it had settled before, or had not begun: a bug.
    pub is_sound: bool,
}

impl Task {
    pub fn name(&self) -> &ArcStr {
        &self.name
    }

    /// The task as a step, without its name.
    pub fn step(&self) -> &Arc<WorkflowStep> {
        &self.step
    }

    /// Id of the task's node; empty until the task begins.
    pub fn node_id(&self) -> &ArcStr {
        &self.node_id
    }

    /// The child that is the node of the task's loop.
    pub fn group(&self) -> Option<usize> {
        self.group
    }

    pub fn depends_on_nothing(&self) -> bool {
        self.dependencies.is_empty()
    }

    /// Where its node is in the status, once it has settled.
    pub fn place(&self) -> Option<usize> {
        self.place.map(|place| place as usize)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Begun,
    Settled,
}

impl Dag {
    /// Errors: a condition that cannot be read, or that names no task.
    pub fn new(template: &Template, scope: TemplateScope) -> Result<Self, String> {
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
            broken: HashMap::default(),
            dead_ends: BTreeSet::new(),
        })
    }

    /// Queues the tasks that wait for nothing, and drops those that no target needs. Answers the former.
    ///
    /// Errors: there are tasks, and all wait.
    pub fn begin(&mut self) -> Result<Vec<usize>, String> {
        let needed = self.needed();
        let is_ready = |i: &usize| needed[*i] && self.tasks[*i].waits_for == 0;
        let ready: Vec<usize> = (0..self.tasks.len()).filter(is_ready).collect();
        for (task, is_needed) in self.tasks.iter_mut().zip(&needed) {
            task.dependents.retain(|d| needed[*d]);
            if !is_needed {
                task.state = State::Settled;
            }
        }
        if ready.is_empty() && !self.tasks.is_empty() {
            return Err("the tasks of the dag wait for each other".to_owned());
        }
        self.open = ready.len();
        Ok(ready)
    }

    /// The template mentions the results of these tasks.
    pub fn set_results_wanted(&mut self, names: Vec<String>) {
        self.results_wanted = names;
    }

    /// Whether the template mentions the task's result.
    pub fn wants_result(&self, task: &str) -> bool {
        self.results_wanted.iter().any(|wanted| wanted == task)
    }

    pub fn scope(&self) -> &TemplateScope {
        &self.scope
    }

    pub fn children(&self) -> &Children {
        &self.children
    }

    pub fn children_mut(&mut self) -> &mut Children {
        &mut self.children
    }

    pub fn task(&self, task: usize) -> Option<&Task> {
        self.tasks.get(task)
    }

    pub fn task_named(&self, name: &str) -> Option<&Task> {
        self.tasks.get(*self.by_name.get(name)?)
    }

    /// Names of all tasks, in no order.
    pub fn names(&self) -> impl Iterator<Item = &ArcStr> {
        self.by_name.keys()
    }

    /// The tasks that decide how the DAG ends.
    pub fn targets(&self) -> impl Iterator<Item = &Task> {
        self.targets.iter().map(|task| &self.tasks[*task])
    }

    /// The tasks that one depends on.
    pub fn dependencies<'d>(&'d self, task: &'d Task) -> impl Iterator<Item = &'d Task> {
        task.dependencies.iter().map(|dependency| &self.tasks[*dependency])
    }

    /// Some condition asks how the items of a loop ended.
    pub fn asks_about_items(&self) -> bool {
        self.about_items
    }

    /// Whether the task's condition holds; `result` tells how a task has ended whose result is not known yet.
    pub fn holds(&self, task: &Task, result: impl Fn(&Task) -> Option<TaskResult>) -> bool {
        task.condition.holds(&|index: usize| {
            let dependency = &self.tasks[task.dependencies[index]];
            dependency.result.or_else(|| result(dependency)).unwrap_or_default()
        })
    }

    /// The task begins. None when it has begun before, or is not there.
    pub fn start(&mut self, task: usize) -> Option<(ArcStr, Arc<WorkflowStep>)> {
        let task = self.tasks.get_mut(task).filter(|task| task.state == State::Waiting)?;
        task.state = State::Begun;
        Some((task.name.clone(), task.step.clone()))
    }

    /// The task's node has this id.
    pub fn set_node(&mut self, task: usize, node_id: ArcStr) {
        if let Some(task) = self.tasks.get_mut(task) {
            task.node_id = node_id;
        }
    }

    /// The task has so many items, or is one itself; `group`: the child that is the node of its loop.
    pub fn set_items(&mut self, task: usize, group: Option<usize>, items: usize) {
        if let Some(task) = self.tasks.get_mut(task) {
            task.group = group;
            task.items_open = items;
        }
    }

    /// The child is the node of a loop, and items of that have not ended yet.
    pub fn has_open_items(&self, child: usize) -> bool {
        let task = self.children.get(child).and_then(|c| self.tasks.get(c.task));
        task.is_some_and(|task| task.group == Some(child) && task.items_open > 0)
    }

    /// So many items of the task's loop do not begin.
    pub fn forget_items(&mut self, task: usize, items: usize) {
        if let Some(task) = self.tasks.get_mut(task) {
            task.items_open = task.items_open.saturating_sub(items);
        }
    }

    /// A child of a task has settled. None when there is no such task.
    pub fn count_off(&mut self, task: usize, child: usize) -> Option<CountedOff> {
        let state = self.tasks.get_mut(task)?;
        if state.state != State::Begun {
            return Some(CountedOff::Others);
        }
        if state.group == Some(child) {
            return Some(CountedOff::Task);
        }
        let Some(open) = state.items_open.checked_sub(1) else {
            return Some(CountedOff::None(state.name.clone()));
        };
        state.items_open = open;
        Some(match state.group {
            _ if open > 0 => CountedOff::Others,
            Some(group) => CountedOff::Items { name: state.name.clone(), group },
            None => CountedOff::Task,
        })
    }

    /// The task has settled, at this place of the status and with this result. Queues the tasks that waited for it alone.
    pub fn settle(&mut self, task: usize, place: Option<usize>, result: Option<TaskResult>) -> Settled {
        self.tasks[task].place = place.and_then(|place| u32::try_from(place).ok());
        self.tasks[task].result = result;
        self.tasks[task].state = State::Settled;
        let mut is_sound = self.open > 0;
        self.open = self.open.saturating_sub(1);
        let mut ready = Vec::new();
        for dependent in std::mem::take(&mut self.tasks[task].dependents) {
            let waiting = &mut self.tasks[dependent];
            is_sound &= waiting.waits_for > 0;
            waiting.waits_for = waiting.waits_for.saturating_sub(1);
            if waiting.waits_for == 0 && waiting.state == State::Waiting {
                ready.push(dependent);
            }
        }
        self.open += ready.len();
        Settled { ready, is_sound }
    }

    /// A shutdown came before the task.
    pub fn set_dead_end(&mut self, task: usize) {
        self.dead_ends.insert(task);
    }

    pub fn is_dead_end(&self, task: usize) -> bool {
        self.dead_ends.contains(&task)
    }

    /// So many tasks that were queued do not begin.
    pub fn give_up(&mut self, tasks: usize) {
        self.open = self.open.saturating_sub(tasks);
    }

    /// Nothing behind the task can be resolved, for this reason.
    pub fn set_broken(&mut self, task: usize, why: String) {
        self.broken.insert(task, why);
    }

    /// Why nothing can be resolved in a task: one before it is broken. It is then, too.
    pub fn inherit_broken(&mut self, task: usize) -> Option<String> {
        if self.broken.is_empty() {
            return None;
        }
        let before = self.tasks.get(task)?.dependencies.iter().find_map(|before| self.broken.get(before));
        let why = before?.clone();
        self.broken.insert(task, why.clone());
        Some(why)
    }

    /// Why the outputs of the DAG cannot be told.
    pub fn broken(&self) -> Option<&String> {
        self.broken.iter().min_by_key(|(task, _)| **task).map(|(_, why)| why)
    }

    /// Tasks that have not begun, although nothing that they depend on is left.
    pub fn overlooked_tasks(&self) -> impl Iterator<Item = ArcStr> {
        let is_ready = |task: &&Task| task.state == State::Waiting && task.waits_for == 0;
        self.tasks.iter().filter(is_ready).map(|task| task.name.clone())
    }

    /// Tasks that have not begun, each with those that it still waits for.
    pub fn tasks_to_come(&self) -> Vec<(ArcStr, Vec<ArcStr>)> {
        let needed = self.needed();
        let waiting = self.tasks.iter().zip(needed).filter(|(task, needed)| *needed && task.state == State::Waiting);
        let open = |task: &Task| {
            let before = task.dependencies.iter().map(|before| &self.tasks[*before]);
            before.filter(|before| before.state != State::Settled).map(|before| before.name.clone()).collect()
        };
        waiting.map(|(task, _)| (task.name.clone(), open(task))).collect()
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
