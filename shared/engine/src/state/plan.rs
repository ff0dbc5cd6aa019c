//! What the workflow runs by.

use std::sync::Arc;

use argosy_api::v1alpha1::WorkflowSpec;

use crate::Config;

/// The settings of the installation, and the spec that the workflow runs by: its own, over the referenced template's, over
/// the defaults, with the workflow's variables put in. Whether that spec still has tags is known of the very spec at hand:
/// both are set together.
#[derive(Debug)]
pub(crate) struct Plan {
    config: Arc<Config>,
    spec: Arc<WorkflowSpec>,
    /// The spec besides its templates has tags that only a pod's inputs can fill.
    is_tagged: bool,
}

impl Plan {
    /// Until it is settled, the workflow's own spec.
    pub fn new(config: Arc<Config>, spec: WorkflowSpec) -> Self {
        Self { config, spec: Arc::new(spec), is_tagged: false }
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub fn spec(&self) -> &Arc<WorkflowSpec> {
        &self.spec
    }

    /// The spec besides its templates has tags that only a pod's inputs can fill.
    pub fn is_tagged(&self) -> bool {
        self.is_tagged
    }

    /// The spec as far as it is known before the variables are: what they are made of.
    pub fn draft(&mut self, spec: WorkflowSpec) {
        self.spec = Arc::new(spec);
    }

    /// The spec that the workflow runs by from now on.
    pub fn settle(&mut self, spec: WorkflowSpec, is_tagged: bool) {
        self.spec = Arc::new(spec);
        self.is_tagged = is_tagged;
    }

    /// An edit of the running workflow.
    pub fn set_parallelism(&mut self, parallelism: Option<i64>) {
        Arc::make_mut(&mut self.spec).parallelism = parallelism;
    }

    /// An edit of the running workflow.
    pub fn set_deadline_secs(&mut self, secs: Option<i64>) {
        Arc::make_mut(&mut self.spec).active_deadline_seconds = secs;
    }
}
