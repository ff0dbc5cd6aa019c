//! Label, annotation and finalizer keys: Argo's (`workflow/common/common.go`) and ours.

/// On pods and task results: the name of their workflow.
pub const WORKFLOW: &str = "workflows.argoproj.io/workflow";
/// On workflows and pods: "true" once they have ended.
pub const COMPLETED: &str = "workflows.argoproj.io/completed";
/// On workflows: their phase.
pub const PHASE: &str = "workflows.argoproj.io/phase";
/// On pods of exit handlers.
pub const ON_EXIT: &str = "workflows.argoproj.io/on-exit";
/// On workflows created from a template: its name.
pub const WORKFLOW_TEMPLATE: &str = "workflows.argoproj.io/workflow-template";
/// On workflows created from a cluster template: its name.
pub const CLUSTER_WORKFLOW_TEMPLATE: &str = "workflows.argoproj.io/cluster-workflow-template";
/// On workflows that a CronWorkflow has started: its name.
pub const CRON_WORKFLOW: &str = "workflows.argoproj.io/cron-workflow";
/// On workflows that run moments of a CronWorkflow again: its name.
pub const CRON_BACKFILL: &str = "workflows.argoproj.io/backfill";
/// On CronWorkflows: "true" once their `stopStrategy` has come true.
pub const CRON_COMPLETED: &str = "cronworkflows.argoproj.io/completed";
/// On CronWorkflows: their schedules when they were last looked at.
pub const CRON_LAST_USED_SCHEDULE: &str = "cronworkflows.argoproj.io/last-used-schedule";
/// On all objects: which of several installations they are for.
pub const INSTANCE_ID: &str = "workflows.argoproj.io/controller-instanceid";
/// On resubmitted workflows: the name of the original.
pub const RESUBMITTED_FROM: &str = "workflows.argoproj.io/resubmitted-from-workflow";
/// On ConfigMaps: [`TYPE_PARAMETER`], [`TYPE_CACHE`] or `SyncLimit`.
pub const CONFIG_MAP_TYPE: &str = "workflows.argoproj.io/configmap-type";
/// The type of a ConfigMap with values of parameters.
pub const TYPE_PARAMETER: &str = "Parameter";
/// The type of a ConfigMap with memoized outputs.
pub const TYPE_CACHE: &str = "Cache";
/// On task results: "true" once the outputs are complete.
pub const REPORT_OUTPUTS_COMPLETED: &str = "workflows.argoproj.io/report-outputs-completed";

/// On pods: the node's id.
pub const NODE_ID: &str = "workflows.argoproj.io/node-id";
/// On pods: the node's name.
pub const NODE_NAME: &str = "workflows.argoproj.io/node-name";
/// On pods of workflows with a `podGC`: its strategy and delay, as `OnPodCompletion/5s`.
pub const POD_GC_STRATEGY: &str = "workflows.argoproj.io/pod-gc-strategy";
/// On pods that belong to no node, such as those of artifact GC: what they are.
pub const COMPONENT: &str = "workflows.argoproj.io/component";
/// On workflows: whether they are in the archive, `Pending` until they are.
pub const ARCHIVING_STATUS: &str = "workflows.argoproj.io/workflow-archiving-status";
/// On pods: `N/M` while the step runs.
pub const PROGRESS: &str = "workflows.argoproj.io/progress";
/// On workflows: the moment of a schedule that they stand for (RFC 3339).
pub const SCHEDULED_TIME: &str = "workflows.argoproj.io/scheduled-time";
/// On workflows: the version of the rule that makes pod names (`v2`).
pub const POD_NAME_FORMAT: &str = "workflows.argoproj.io/pod-name-format";
/// On templates: the name that clients show for their nodes.
pub const DISPLAY_NAME: &str = "workflows.argoproj.io/display-name";

/// On pods: the uid of their workflow. Argosy's own.
pub const WORKFLOW_UID: &str = "argosy.io/workflow-uid";
/// On pods: how far the log of their workflow was stepped when they were wished for. Argosy's own.
pub const WISHED_AT: &str = "argosy.io/wished-at";
/// On pods: the shard of their workflow. Argosy's own.
pub const SHARD: &str = "argosy.io/shard";
/// On workflows: the last OBSERVED sequence folded into the status, a digest of the status that was written with it, and
/// the workflow's uid, as `<sequence>[+<additions>]:<digest>:<uid>`. Argosy's own.
pub const WATERMARK: &str = "argosy.io/watermark";
/// On workflows that have ended: how far the log was stepped when they last did, and the workflow's uid, as
/// `<sequence>:<uid>`. It stays when the workflow is retried: what was wished for before is of no node of now. Argosy's own.
pub const ENDED_AT: &str = "argosy.io/ended-at";
/// On workflows that have ended, and whose `ttlStrategy` says so: when they are to be deleted (RFC 3339). Argosy's own.
pub const EXPIRES_AT: &str = "argosy.io/expires-at";
/// On workflows: "true" when the workflow was put out of service because it cannot be run. Argosy's own.
pub const QUARANTINED: &str = "argosy.io/quarantined";
/// On whatever `argosy lint` checks: rules whose warnings are not told, by name, with commas between. Argosy's own.
pub const LINT_SILENCE: &str = "argosy.io/lint-silence";
/// On workflows: what somebody who stopped it said. Argosy's own.
pub const STOP_MESSAGE: &str = "argosy.io/stop-message";
/// On workflows: why it was put out of service. Argosy's own.
pub const QUARANTINE_REASON: &str = "argosy.io/quarantine-reason";
/// On workflows: the version of the object from which somebody took it back into service. What was decided of that version
/// or an older one, to put it out of service, no longer counts. Argosy's own.
pub const TAKEN_BACK: &str = "argosy.io/taken-back";
/// On CronWorkflows: since when they have the schedules that they have (RFC 3339). What those would have run before is none of
/// theirs, and the moments of `@every` are reckoned from it. Argosy's own.
pub const CRON_SCHEDULE_SINCE: &str = "argosy.io/schedule-since";
/// On workflows: the number of the last change of the engine's behaviour that they go by. Argosy's own.
pub const BEHAVIOR: &str = "argosy.io/behavior";
/// On workflows: what of their spec may be edited while they run, as it was when it was last obeyed. Argosy's own.
pub const FOLLOWED: &str = "argosy.io/followed-spec";

/// On workflows: the namespaces of the locks that they have wanted, with commas between. Argosy's own.
pub const LOCKS: &str = "argosy.io/locks";

/// What the status service writes among a workflow's labels, beside those that its `workflowMetadata` asks for.
pub const BESIDE_STATUS: [&str; 3] = [PHASE, COMPLETED, QUARANTINED];
/// What the status service writes among a workflow's annotations, beside those that its `workflowMetadata` asks for.
pub const ANNOTATIONS_BESIDE_STATUS: [&str; 8] =
    [WATERMARK, POD_NAME_FORMAT, BEHAVIOR, FOLLOWED, ENDED_AT, EXPIRES_AT, QUARANTINE_REASON, LOCKS];
