//! Calls of templates.

use std::{collections::BTreeMap, sync::Arc};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeFlag, TemplateRef, WorkflowStep};

/// Index of a frame in the workflow.
pub(crate) type FrameId = u32;

/// A call of a template: by an entry point, a step, a task, a hook or a retry.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Name of the node to be, and its id.
    pub name: ArcStr,
    pub id: ArcStr,
    /// Name of the step, with the item of a loop; empty for entry points and hooks.
    pub step_name: ArcStr,
    /// Names the template, and carries the arguments, resolved. Has no name, so that steps that differ in nothing else
    /// can share one.
    pub step: Arc<WorkflowStep>,
    /// The Steps or DAG frame around it.
    pub boundary: Option<FrameId>,
    pub scope: TemplateScope,
    pub parent: Parent,
    pub flag: NodeFlag,
    /// Part of an exit handler.
    pub on_exit: bool,
    pub depth: usize,
    /// Set for an attempt of a retry.
    pub attempt: Option<Box<Attempt>>,
}

/// Who waits for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// The workflow itself: the entry node.
    Entry,
    /// The workflow's exit handler.
    OnExit,
    /// A hook of the workflow, by its key.
    WorkflowHook(String),
    /// The child at this index of a Steps or DAG frame.
    Child { frame: FrameId, child: usize },
    /// A hook of that child.
    ChildHook { frame: FrameId, child: usize },
    /// An attempt.
    Attempt { frame: FrameId },
}

/// Which attempt, and the variables about the one before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    pub variables: BTreeMap<String, String>,
}

/// Where a template's name is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TemplateScope {
    /// The workflow's own templates.
    Local,
    Namespaced(ArcStr),
    Cluster(ArcStr),
}

impl TemplateScope {
    pub fn of(reference: &TemplateRef) -> Self {
        let name = ArcStr::from(reference.name.as_str());
        if reference.cluster_scope { Self::Cluster(name) } else { Self::Namespaced(name) }
    }

    /// As it stands in `templateScope` of a node.
    pub fn label(&self, workflow: &str) -> String {
        match self {
            Self::Local => format!("local/{workflow}"),
            Self::Namespaced(name) => format!("namespaced/{name}"),
            Self::Cluster(name) => format!("cluster/{name}"),
        }
    }
}
