//! `podGC`: which pods go, and when.
//! Source: Argo `workflow/controller/pod/cleanup.go` determinePodCleanupAction, docs/cost-optimisation.md.

use argosy_api::message::PodPhase;
use argosy_api::v1alpha1::{PodGC, WorkflowPhase};
use argosy_template::duration;

use crate::Config;

/// What becomes of a pod that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays, and is marked as dealt with.
    Label,
    /// It is deleted, unless the selector leaves it out.
    Delete,
    /// It stays as it is until the workflow ends.
    Wait,
}

/// What becomes of a pod of this phase, of a workflow of that phase.
pub(crate) fn fate(gc: Option<&PodGC>, pod: PodPhase, workflow: WorkflowPhase) -> Fate {
    match gc.map_or("", |gc| gc.strategy.as_str()) {
        "OnPodCompletion" => Fate::Delete,
        "OnPodSuccess" if pod == PodPhase::Succeeded => Fate::Delete,
        "OnWorkflowCompletion" if workflow.is_completed() => Fate::Delete,
        "OnWorkflowSuccess" if workflow == WorkflowPhase::Succeeded => Fate::Delete,
        "OnWorkflowCompletion" | "OnWorkflowSuccess" if !workflow.is_completed() => Fate::Wait,
        _ => Fate::Label,
    }
}

/// Whether nothing becomes of pods before the workflow ends.
pub(crate) fn waits_for_workflow(gc: Option<&PodGC>) -> bool {
    fate(gc, PodPhase::Succeeded, WorkflowPhase::Running) == Fate::Wait
}

/// How long a pod stays that is to be deleted, in milliseconds: as the workflow says, or else as the configuration does.
pub(crate) fn delay_ms(gc: &PodGC, config: &Config) -> u64 {
    let own = Some(gc.delete_delay_duration.as_str()).filter(|text| !text.is_empty());
    // What cannot be read, and what is negative, counts as not said.
    let own = own.and_then(|text| duration::parse(text).ok()).and_then(|nanos| u64::try_from(nanos).ok());
    own.map_or(config.pod_gc_delay_ms, |nanos| nanos / 1_000_000)
}

/// What a pod says of it, as Argo's do: `OnPodCompletion/5s`.
pub(super) fn annotation(gc: &PodGC, config: &Config) -> String {
    let nanos = i64::try_from(delay_ms(gc, config).saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    format!("{}/{}", gc.strategy, duration::format(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_has_its_pods() {
        use PodPhase::{Failed, Succeeded};
        use WorkflowPhase as Of;
        let table = [
            ("", [Fate::Label; 6]),
            ("OnPodCompletion", [Fate::Delete; 6]),
            ("OnPodSuccess", [Fate::Delete, Fate::Label, Fate::Delete, Fate::Label, Fate::Delete, Fate::Label]),
            ("OnWorkflowCompletion", [Fate::Wait, Fate::Wait, Fate::Delete, Fate::Delete, Fate::Delete, Fate::Delete]),
            ("OnWorkflowSuccess", [Fate::Wait, Fate::Wait, Fate::Delete, Fate::Delete, Fate::Label, Fate::Label]),
        ];
        for (strategy, expected) in table {
            let gc = PodGC { strategy: strategy.to_owned(), ..PodGC::default() };
            let of = [Of::Running, Of::Succeeded, Of::Failed];
            let found = of.into_iter().flat_map(|of| [Succeeded, Failed].map(|pod| fate(Some(&gc), pod, of)));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{strategy}");
            assert_eq!(waits_for_workflow(Some(&gc)), strategy.starts_with("OnWorkflow"), "{strategy}");
        }
        assert_eq!(fate(None, Succeeded, Of::Succeeded), Fate::Label);
    }

    #[test]
    fn the_workflows_delay_goes_before_that_of_the_configuration() {
        let config = Config { pod_gc_delay_ms: 7_000, ..Config::default() };
        let told = |delay: &str| {
            let gc = PodGC {
                strategy: "OnPodSuccess".to_owned(),
                delete_delay_duration: delay.to_owned(),
                ..PodGC::default()
            };
            annotation(&gc, &config)
        };
        for (delay, expected) in
            [("", "7s"), ("0s", "0s"), ("30s", "30s"), ("90", "1m30s"), ("500ms", "500ms"), ("-1s", "7s"), ("x", "7s")]
        {
            assert_eq!(told(delay), format!("OnPodSuccess/{expected}"), "{delay}");
        }
    }
}
