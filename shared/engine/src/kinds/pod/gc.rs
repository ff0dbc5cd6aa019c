//! Letting go of pods that have ended, by the workflow's `podGC`.

use arcstr::ArcStr;
use argosy_api::{
    message::{ClusterCommand, Collection, PodPhase},
    v1alpha1::{NodeType, PodGC},
};

use crate::{
    Workflow,
    pod::gc::{self, Fate},
};

impl Workflow {
    /// As the spec says now: it may have been edited while the workflow ran.
    fn pod_gc(&self) -> Option<&PodGC> {
        self.book.spec().pod_gc.as_ref().or(self.plan.spec().pod_gc.as_ref())
    }

    /// All that the pod had to tell is known.
    pub(crate) fn let_go(&mut self, node_id: ArcStr, name: String, phase: PodPhase) {
        let command = match gc::fate(self.pod_gc(), phase, self.book.object().status.phase) {
            Fate::Label => ClusterCommand::LabelPodCompleted { name },
            Fate::Delete => ClusterCommand::CollectPod { name, terms: self.collection() },
            Fate::Wait => return,
        };
        self.agenda.wish_cluster(node_id, command);
    }

    /// The workflow has ended: so has what pods that have ended before it may have waited for.
    pub(crate) fn let_all_go(&mut self) {
        if !gc::waits_for_workflow(self.pod_gc()) || self.book.nodes().unordered().all(|n| n.r#type != NodeType::Pod) {
            return;
        }
        let deletes = gc::fate(self.pod_gc(), PodPhase::Succeeded, self.book.object().status.phase) == Fate::Delete;
        let command = ClusterCommand::CollectPods { deletes, terms: self.collection() };
        self.agenda.wish_cluster(self.book.name().into(), command);
    }

    fn collection(&self) -> Collection {
        let gc = self.pod_gc();
        Collection {
            selector: gc.and_then(|gc| gc.label_selector.clone()),
            delay_ms: gc.map_or(0, |gc| gc::delay_ms(gc, self.plan.config())),
            // Whoever sends the wish knows.
            ..Collection::default()
        }
    }
}
