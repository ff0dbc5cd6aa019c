//! A Steps node that runs.

use std::{collections::HashMap, sync::Arc};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{Template, WorkflowStep};
use foldhash::fast::RandomState;

use super::{Children, TemplateScope};

/// A Steps node that runs: its group, and the children of that group. Groups follow each other; while the steps of one are
/// being added, it is not over, however many of them have settled.
#[derive(Debug)]
pub(crate) struct Steps {
    /// Where the steps' templates are looked up.
    scope: TemplateScope,
    /// Index of the group that runs.
    current: usize,
    /// Node id of that group.
    group_id: ArcStr,
    /// The steps of that group.
    children: Children,
    /// The group's steps are being added.
    starting: bool,
    /// The group in which each step is.
    group_of: HashMap<String, usize, RandomState>,
    /// Steps whose result the template mentions.
    results_wanted: Vec<String>,
    /// The last step that was begun, for others to share.
    last: Option<Arc<WorkflowStep>>,
}

impl Steps {
    /// Before the first group. `results_wanted`: steps whose result the template mentions.
    pub fn new(template: &Template, scope: TemplateScope, results_wanted: Vec<String>) -> Self {
        let groups = template.steps.iter().enumerate();
        let steps = groups.flat_map(|(i, group)| group.steps.iter().map(move |s| (s.name.clone(), i)));
        Self {
            scope,
            current: 0,
            group_id: ArcStr::new(),
            children: Children::default(),
            starting: false,
            group_of: steps.collect(),
            results_wanted,
            last: None,
        }
    }

    pub fn scope(&self) -> &TemplateScope {
        &self.scope
    }

    /// The steps of the group that runs.
    pub fn children(&self) -> &Children {
        &self.children
    }

    pub fn children_mut(&mut self) -> &mut Children {
        &mut self.children
    }

    /// Index of the group that runs.
    pub fn current(&self) -> usize {
        self.current
    }

    /// Node id of the group that runs.
    pub fn group_id(&self) -> &ArcStr {
        &self.group_id
    }

    /// The group in which a step is.
    pub fn group_of(&self, step: &str) -> Option<usize> {
        self.group_of.get(step).copied()
    }

    /// Names of all steps, in no order.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.group_of.keys()
    }

    /// Whether the template mentions the step's result.
    pub fn wants_result(&self, step: &str) -> bool {
        self.results_wanted.iter().any(|wanted| wanted == step)
    }

    /// The next group begins; its steps are about to be added.
    pub fn begin_group(&mut self, index: usize, group_id: ArcStr) {
        self.current = index;
        self.group_id = group_id;
        self.children.begin_group();
        self.starting = true;
    }

    /// All steps of the group have been added.
    pub fn end_of_steps(&mut self) {
        self.starting = false;
    }

    /// Whether the group is over: its steps have been added, and have settled.
    pub fn is_group_over(&self) -> bool {
        self.children.open() == 0 && !self.starting
    }

    /// The step: the last one again where they differ in nothing, as most do in a large workflow.
    pub fn shared(&mut self, nameless: WorkflowStep) -> Arc<WorkflowStep> {
        match &self.last {
            Some(last) if **last == nameless => last.clone(),
            Some(_) | None => self.last.insert(Arc::new(nameless)).clone(),
        }
    }
}
