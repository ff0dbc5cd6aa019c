//! The status of a pod, as the kubelet writes it, from what its containers are doing.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    HostIP, Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::state::{Observed, Snapshot, State};

/// The address that pods are told: there is no network of their own.
pub const POD_IP: &str = "127.0.0.1";

/// Pod phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    /// As Kubernetes spells it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Whether the pod has ended.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// The phase of a pod whose restart policy is `Never`.
pub fn phase(pod: &Pod, now: &Snapshot) -> Phase {
    let Some(spec) = &pod.spec else {
        return Phase::Failed;
    };
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    let init_failed = inits.iter().any(|c| !is_sidecar(c) && now.ended(&c.name).is_some_and(|e| e.exit_code != 0));
    let mains = || spec.containers.iter().map(|c| now.ended(&c.name));
    let alive = now.containers.values().any(|c| matches!(c.state, State::Running { .. }));
    if (init_failed || now.failure.is_some()) && !alive {
        return Phase::Failed;
    }
    if mains().all(|ended| ended.is_some()) {
        let good = mains().flatten().all(|ended| ended.exit_code == 0);
        return if good { Phase::Succeeded } else { Phase::Failed };
    }
    // the kubelet's rule: one that has not started keeps the whole pod Pending
    let waits = |c: &Container| matches!(now.containers.get(&c.name).map(|c| &c.state), Some(State::Waiting { .. }));
    let started = spec.containers.iter().any(|c| now.started(&c.name)) && !spec.containers.iter().any(waits);
    if started { Phase::Running } else { Phase::Pending }
}

/// Whether an init container goes on beside the main containers.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The whole status. `start` is when the node took the pod; `before` gives the times of conditions that stay; `id` names
/// a container to whatever runs it.
pub fn status(
    pod: &Pod,
    now: &Snapshot,
    start: Timestamp,
    at: Timestamp,
    before: Option<&PodStatus>,
    id: &dyn Fn(&str) -> String,
) -> PodStatus {
    let phase = phase(pod, now);
    let (inits, mains) = match &pod.spec {
        Some(spec) => (spec.init_containers.as_deref().unwrap_or_default(), spec.containers.as_slice()),
        None => (&[][..], &[][..]),
    };
    let initialized = inits.iter().all(|c| match is_sidecar(c) {
        true => now.started(&c.name),
        false => now.ended(&c.name).is_some_and(|e| e.exit_code == 0),
    });
    let ready = !phase.is_end() && mains.iter().all(|c| is_ready(now.containers.get(&c.name)));
    let reason = if phase.is_end() { "PodCompleted" } else { "ContainersNotReady" };
    let condition = |kind: &str, holds: bool, reason: &str| {
        let status = if holds { "True" } else { "False" };
        let old = before.and_then(|s| s.conditions.iter().flatten().find(|c| c.type_ == kind && c.status == status));
        PodCondition {
            type_: kind.into(),
            status: status.into(),
            reason: (!holds).then(|| reason.to_owned()),
            last_transition_time: old.and_then(|c| c.last_transition_time.clone()).or(Some(Time(at))),
            ..PodCondition::default()
        }
    };
    let conditions = vec![
        condition("PodReadyToStartContainers", !phase.is_end(), reason),
        condition("Initialized", initialized, "ContainersNotInitialized"),
        condition("Ready", ready, reason),
        condition("ContainersReady", ready, reason),
        condition("PodScheduled", true, ""),
    ];
    let statuses = |list: &[Container]| list.iter().map(|c| container_status(pod, c, now, id)).collect::<Vec<_>>();
    let (why, message) = now.failure.clone().unzip();
    PodStatus {
        phase: Some(phase.text().into()),
        conditions: Some(conditions),
        reason: why.filter(|_| phase == Phase::Failed),
        message: message.filter(|_| phase == Phase::Failed),
        host_ip: Some(POD_IP.into()),
        host_ips: Some(vec![HostIP { ip: POD_IP.into() }]),
        pod_ip: Some(POD_IP.into()),
        pod_ips: Some(vec![PodIP { ip: POD_IP.into() }]),
        start_time: Some(Time(start)),
        init_container_statuses: (!inits.is_empty()).then(|| statuses(inits)),
        container_statuses: Some(statuses(mains)),
        qos_class: Some("BestEffort".into()),
        ..PodStatus::default()
    }
}

fn is_ready(container: Option<&Observed>) -> bool {
    container.is_some_and(|c| c.ready && matches!(c.state, State::Running { .. }))
}

fn container_status(pod: &Pod, container: &Container, now: &Snapshot, id: &dyn Fn(&str) -> String) -> ContainerStatus {
    let observed = now.containers.get(&container.name);
    let id = Some(id(&container.name));
    let mut state = ContainerState::default();
    match observed.map(|o| &o.state) {
        None => state.waiting = Some(waiting("PodInitializing", "")),
        Some(State::Waiting { reason, message }) => state.waiting = Some(waiting(reason, message)),
        Some(State::Running { started_at }) => {
            state.running = Some(ContainerStateRunning { started_at: Some(Time(*started_at)) });
        }
        Some(State::Ended(ended)) => {
            state.terminated = Some(ContainerStateTerminated {
                container_id: id.clone(),
                exit_code: ended.exit_code,
                reason: Some(ended.reason.clone()),
                message: (!ended.message.is_empty()).then(|| ended.message.clone()),
                started_at: Some(Time(ended.started_at)),
                finished_at: Some(Time(ended.finished_at)),
                ..ContainerStateTerminated::default()
            });
        }
    }
    let started = state.running.is_some();
    let image = container.image.clone().unwrap_or_default();
    ContainerStatus {
        name: container.name.clone(),
        image_id: image.clone(),
        image,
        ready: is_ready(observed) || observed.is_some_and(|o| init_done(pod, container, &o.state)),
        restart_count: 0,
        container_id: (started || state.terminated.is_some()).then_some(id).flatten(),
        started: Some(started),
        state: Some(state),
        ..ContainerStatus::default()
    }
}

/// A finished init container counts as ready.
fn init_done(pod: &Pod, container: &Container, state: &State) -> bool {
    let inits = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let is_init = inits.into_iter().any(|c| c.name == container.name);
    is_init && matches!(state, State::Ended(ended) if ended.exit_code == 0)
}

fn waiting(reason: &str, message: &str) -> ContainerStateWaiting {
    ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message: (!message.is_empty()).then(|| message.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::state::Ended;
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p"},
            "spec": {"initContainers": [{"name": "init"}], "containers": [{"name": "main"}, {"name": "wait"}]}
        }))
        .expect("a pod")
    }

    fn snapshot(states: &[(&str, Option<i32>)]) -> Snapshot {
        let at = Timestamp::UNIX_EPOCH;
        let state = |code: Option<i32>| match code {
            None => State::Running { started_at: at },
            Some(code) => State::Ended(Ended::with_code(code, String::new(), at, at)),
        };
        let containers: BTreeMap<_, _> =
            states.iter().map(|(n, c)| (n.to_string(), Observed { state: state(*c), ready: true })).collect();
        Snapshot { containers, failure: None }
    }

    #[test]
    fn phases_follow_the_containers() {
        let of = |states: &[(&str, Option<i32>)]| phase(&pod(), &snapshot(states));
        assert_eq!(of(&[]), Phase::Pending);
        assert_eq!(of(&[("init", None)]), Phase::Pending);
        assert_eq!(of(&[("init", Some(1))]), Phase::Failed);
        assert_eq!(of(&[("init", Some(0)), ("main", None)]), Phase::Running);
        assert_eq!(of(&[("init", Some(0)), ("main", Some(0)), ("wait", None)]), Phase::Running);
        assert_eq!(of(&[("init", Some(0)), ("main", Some(0)), ("wait", Some(0))]), Phase::Succeeded);
        assert_eq!(of(&[("init", Some(0)), ("main", Some(2)), ("wait", Some(0))]), Phase::Failed);
        let mut pulling = snapshot(&[("init", Some(0)), ("wait", None)]);
        let state = State::Waiting { reason: "ErrImagePull", message: String::new() };
        pulling.containers.insert("main".into(), Observed { state, ready: false });
        assert_eq!(phase(&pod(), &pulling), Phase::Pending);
        let mut late = snapshot(&[("init", Some(0)), ("main", None)]);
        late.failure = Some(("DeadlineExceeded".into(), "late".into()));
        assert_eq!(phase(&pod(), &late), Phase::Running);
    }

    #[test]
    fn readiness_needs_every_container() {
        let mut now = snapshot(&[("init", Some(0)), ("main", None), ("wait", None)]);
        let ready = |now: &Snapshot| {
            let at = Timestamp::UNIX_EPOCH;
            let conditions = status(&pod(), now, at, at, None, &str::to_owned).conditions.unwrap_or_default();
            conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
        };
        assert!(ready(&now));
        now.containers.get_mut("main").expect("main").ready = false;
        assert!(!ready(&now));
    }
}
