//! Workflows from what is stored.

use argosy_api::v1alpha1::API_VERSION;
use argosy_client::{Error, objects, read};
use serde_json::{Value, json};

/// What a workflow can be made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// A WorkflowTemplate.
    Workflow,
    /// A ClusterWorkflowTemplate.
    Cluster,
    /// A CronWorkflow: what it would run.
    Cron,
}

/// A word that names none of the kinds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of workflowtemplate, clusterworkflowtemplate, cronworkflow")]
pub struct UnknownKind(String);

impl std::str::FromStr for Template {
    type Err = UnknownKind;

    /// By the kind's name, its plural or its short names.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text.to_lowercase().as_str() {
            "workflowtemplate" | "workflowtemplates" | "wftmpl" => Ok(Self::Workflow),
            "clusterworkflowtemplate" | "clusterworkflowtemplates" | "cwftmpl" | "cwft" => Ok(Self::Cluster),
            "cronworkflow" | "cronworkflows" | "cwf" | "cronwf" => Ok(Self::Cron),
            _ => Err(UnknownKind(text.to_owned())),
        }
    }
}

impl Template {
    /// A workflow that runs what is stored as `name`; it has no name yet, only the beginning of one.
    ///
    /// Errors: there is no such object, none may have the name, or it cannot be read.
    pub async fn workflow(self, client: &kube::Client, namespace: &str, name: &str) -> Result<Value, Error> {
        let name = objects::checked(name)?;
        let head = |spec: Value| {
            json!({ "apiVersion": API_VERSION, "kind": "Workflow",
                "metadata": { "generateName": format!("{name}-") }, "spec": spec })
        };
        match self {
            Self::Workflow => {
                objects::api(client, "WorkflowTemplate", Some(namespace)).get(name).await?;
                Ok(head(json!({ "workflowTemplateRef": { "name": name } })))
            }
            Self::Cluster => {
                objects::api(client, "ClusterWorkflowTemplate", None).get(name).await?;
                Ok(head(json!({ "workflowTemplateRef": { "name": name, "clusterScope": true } })))
            }
            Self::Cron => {
                let cron = read::value(&objects::api(client, "CronWorkflow", Some(namespace)).get(name).await?)?;
                let mut workflow = head(cron.pointer("/spec/workflowSpec").cloned().unwrap_or_default());
                if let Some(metadata) = cron.pointer("/spec/workflowMetadata") {
                    for key in ["labels", "annotations"] {
                        if let Some(values) = metadata.get(key) {
                            workflow["metadata"][key] = values.clone();
                        }
                    }
                }
                Ok(workflow)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_short_names() {
        assert_eq!("WorkflowTemplate".parse(), Ok(Template::Workflow));
        assert_eq!("cwft".parse(), Ok(Template::Cluster));
        assert_eq!("cronwf".parse(), Ok(Template::Cron));
        assert_eq!("pod".parse::<Template>(), Err(UnknownKind("pod".to_owned())));
    }
}
