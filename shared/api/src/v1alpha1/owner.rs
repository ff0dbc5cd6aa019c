//! Who owns what was made for a workflow.

use serde::{Deserialize, Serialize};

use super::API_VERSION;

/// An entry of `ownerReferences` that names a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowOwner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

impl WorkflowOwner {
    /// Kubernetes deletes the object with the workflow.
    pub fn plain(name: &str, uid: &str) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "Workflow".to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            controller: None,
            block_owner_deletion: None,
        }
    }

    /// As [`plain`](Self::plain), and the workflow is the object's controller: nobody else has made it.
    pub fn controller(name: &str, uid: &str) -> Self {
        Self { controller: Some(true), block_owner_deletion: Some(true), ..Self::plain(name, uid) }
    }
}
