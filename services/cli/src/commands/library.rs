//! The templates of a cluster, for checks.

use argosy_api::v1alpha1 as v1;
use argosy_client::{objects, read};
use kube::{Client, api::ListParams};

use crate::check::Library;

/// The templates that the API server has; what cannot be listed is unknown.
pub async fn of_cluster(client: &Client, namespace: &str) -> Library {
    let mut library = Library::default();
    for (kind, cluster) in [("WorkflowTemplate", false), ("ClusterWorkflowTemplate", true)] {
        let listed = objects::api(client, kind, Some(namespace)).list(&ListParams::default()).await;
        let items = match listed {
            Ok(listed) => listed.items,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, kind, "templates cannot be listed");
                continue;
            }
        };
        for object in items {
            let Ok(value) = read::value(&object) else {
                continue;
            };
            if let Ok(template) = v1::from_value::<v1::WorkflowTemplate>(value) {
                library.add(cluster, &template.metadata.name, template.spec);
            }
        }
    }
    library
}
