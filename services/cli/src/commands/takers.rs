//! Which command takes which kind of object.

/// The command, in words; of a kind that none takes, kubectl.
pub fn of(kind: &str) -> &'static str {
    match kind {
        "Workflow" => "`argosy submit` takes it",
        "WorkflowTemplate" => "`argosy template create` takes it",
        "ClusterWorkflowTemplate" => "`argosy cluster-template create` takes it",
        "CronWorkflow" => "`argosy cron create` takes it",
        _ => "`kubectl apply` takes it",
    }
}
