//! What a resource template is given.

use std::path::Path;

use argosy_api::v1alpha1::Template;
use argosy_artifacts::Stores;
use kube::Client;

use crate::Limits;
use crate::layout::Layout;

/// All that a resource template needs.
pub struct Job<'a> {
    /// A client of the API server.
    pub client: &'a Client,
    /// Namespace of the pod: where objects without a namespace are.
    pub namespace: &'a str,
    /// The substituted template.
    pub template: &'a Template,
    /// For the owner reference.
    pub workflow: &'a str,
    /// For the owner reference.
    pub workflow_uid: &'a str,
    /// Where a manifest that is an artifact is kept.
    pub stores: &'a dyn Stores,
    /// Where the executor's containers meet.
    pub layout: &'a Layout,
    /// How much is taken.
    pub limits: Limits,
    /// The program whose `main` begins with [`dispatch`](crate::dispatch).
    pub executable: &'a Path,
    /// Appends a line to the container's log.
    pub log: &'a (dyn Fn(&str) + Sync),
}
