//! Processes that run roles against an existing cluster and NATS, as they are configured.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Backoff, Failure, Host};
use argosy_bus::{Bus, Class, Stream};
use argosy_engine::Config;
use argosy_telemetry::{Health, Part};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::argo_config::Settings;
use crate::config_source::Source;
use crate::engine::EngineOptions;
use crate::role::{Connect, Role, host, join, run};

/// Neither a kubeconfig nor a pod's service account.
#[derive(Debug, thiserror::Error)]
#[error("no cluster: set $KUBECONFIG, or use `argosy dev --nats URL`, which brings an API and a node of its own")]
struct NoCluster {
    source: kube::config::InferConfigError,
}

/// The bus cannot be used, and waiting would not help.
#[derive(Debug, thiserror::Error)]
#[error("use the bus at {place}")]
struct NoBus {
    place: String,
    source: argosy_bus::Error,
}

/// A bus that answered is taken to be there for so long.
const BUS_ANSWERS: Duration = Duration::from_secs(12);

/// Connects to the bus and to the cluster of the current kubeconfig (or of the pod's service account), and runs the roles
/// until `shutdown`; `engine` is for the scheduler. A NATS server that does not answer yet is waited for, so that everything may be started in any order.
///
/// Errors: a bus that refuses; no cluster; a service that ended.
pub async fn run_roles(
    roles: Vec<Role>,
    connect: &Connect,
    engine: &EngineOptions,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let client = kube::Config::infer().await.map_err(|source| NoCluster { source })?;
    let client = kube::Client::try_from(client)?;
    let mut config = Config { executor_image: connect.executor_image.clone(), ..Config::default() };
    engine.apply(&mut config);
    let source = connect.config_map.as_deref().map(|name| Source::new(&client, name, false));
    let health = Health::default();
    let bus_part = health.part("bus", "a server that answers");
    let mut tasks = JoinSet::new();
    if let Some(address) = connect.metrics_listen {
        let (health, shutdown) = (health.clone(), shutdown.clone());
        let serve = argosy_telemetry::serve(address, health, async move { shutdown.cancelled().await });
        tasks.spawn(async move { serve.await.map_err(Failure::from) });
    }
    let bus = tokio::select! {
        biased;
        () = shutdown.cancelled() => return join(tasks, &shutdown).await,
        bus = open_bus(connect) => bus?,
    };
    if connect.metrics_listen.is_some() {
        tasks.spawn(watch_bus(Arc::clone(&bus), bus_part, shutdown.clone()));
    }
    let host = Host { health, ..host(bus, connect.shards) };
    let roles = roles.into_iter().map(Role::in_cluster).collect();
    let stop = shutdown.clone();
    tasks.spawn(async move { run_configured(roles, &host, &client, config, source, stop).await });
    join(tasks, &shutdown).await
}

/// Runs such roles until `shutdown`, anew whenever the configuration changes: they hand over what they own and take it up
/// again, as at a rolling update. `config` is what the configuration does not say.
///
/// Errors: a configuration that cannot be read at the start; a service that ended.
pub(crate) async fn run_configured(
    roles: Vec<Role>,
    host: &Host,
    client: &kube::Client,
    config: Config,
    mut source: Option<Source>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let mut settings = match &mut source {
        Some(source) => source.first().await?,
        None => Settings::default(),
    };
    loop {
        let (mut config, mut roles) = (config.clone(), roles.clone());
        settings.apply(&mut config);
        roles.iter_mut().for_each(|role| configure(&settings, role));
        // One incarnation of a holder is not the next.
        let host = Host { holder: uuid::Uuid::new_v4().to_string(), ..host.clone() };
        let stop = shutdown.child_token();
        let mut services = std::pin::pin!(run(roles, &host, client, config, stop.clone()));
        let changed = async {
            match &mut source {
                Some(source) => source.changed().await,
                None => std::future::pending().await,
            }
        };
        settings = tokio::select! {
            biased;
            result = &mut services => return result,
            changed = changed => changed,
        };
        tracing::info!("the configuration has changed: the services start anew with it");
        stop.cancel();
        services.await?;
        if shutdown.is_cancelled() {
            return Ok(());
        }
    }
}

/// Sets what a role goes by.
fn configure(settings: &Settings, role: &mut Role) {
    let pod_runner = |options: &mut argosy_pod_runner::Options| {
        options.pod_gc_grace_secs = settings.pod_gc_grace_secs;
        options.create_limit = settings.create_limit;
        options.image_commands.clone_from(&settings.images);
        (options.logs_failed_pods, options.logs_pods) =
            (settings.pod_spec_log.failed_pod, settings.pod_spec_log.all_pods);
    };
    match role {
        Role::Watcher(options) => options.instance_id.clone_from(&settings.instance_id),
        Role::Scheduler(options) => options.instance_id.clone_from(&settings.instance_id),
        Role::PodRunner(options) => pod_runner(options),
        Role::Status(_) => {}
        Role::Recorder(options) => {
            options.records_nodes = settings.records_nodes.unwrap_or(options.records_nodes);
            options.sends_as_pod = settings.sends_as_pod;
            options.records_workflows = settings.records_workflows.unwrap_or(options.records_workflows);
        }
        Role::CronRunner(options) => options.instance_id.clone_from(&settings.instance_id),
        Role::Gc(options) => {
            options.retention = settings.retention;
            options.instance_id.clone_from(&settings.instance_id);
        }
        Role::All(options) => {
            pod_runner(&mut options.pod_runner);
            options.watcher.instance_id.clone_from(&settings.instance_id);
            options.scheduler.instance_id.clone_from(&settings.instance_id);
        }
    }
}

/// Says whether the bus answers, until `shutdown`.
async fn watch_bus(bus: Arc<dyn Bus>, part: Part, shutdown: CancellationToken) -> Result<(), Failure> {
    loop {
        let asked = async {
            if bus.origin(Stream::Observed).await.is_ok() {
                part.is_ready_for(BUS_ANSWERS);
            }
            tokio::time::sleep(BUS_ANSWERS / 4).await;
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = asked => {}
        }
    }
}

async fn open_bus(connect: &Connect) -> Result<Arc<dyn Bus>, NoBus> {
    let place = without_secrets(&connect.nats);
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    loop {
        match argosy_bus::open(&connect.nats, connect.nats_options.bus(connect.shards)).await {
            Err(error) if error.class() == Class::Transient => {
                tracing::warn!(place, error = &error as &dyn std::error::Error, "no bus yet, trying again");
                backoff.wait().await;
            }
            result => return result.map_err(|source| NoBus { place, source }),
        }
    }
}

/// The addresses of servers, without what they may hold before an `@`: user, password or token.
fn without_secrets(place: &str) -> String {
    let servers = place.split(',').map(|server| match (server.split_once("://"), server.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => server.to_owned(),
    });
    servers.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use argosy_engine::TemplateReferencing;
    use argosy_gc::Retention;

    use super::*;

    #[test]
    fn addresses_are_told_without_passwords() {
        let places = "nats://me:secret@a:4222,nats://b:4222,token@c,d:4222";
        assert_eq!(without_secrets(places), "nats://a:4222,nats://b:4222,c,d:4222");
    }

    #[test]
    fn each_role_gets_what_is_its_own() {
        let data = [
            ("instanceID", "two"),
            ("podGCDeleteDelayDuration", "30s"),
            ("podGCGracePeriodSeconds", "7"),
            ("podSpecLogStrategy", "failedPod: true"),
            ("resourceRateLimit", "limit: 2.5\nburst: 3"),
            ("retentionPolicy", "completed: 10\nfailed: 3"),
            ("workflowRestrictions", "templateReferencing: Secure"),
            ("images", "docker/whalesay:latest:\n  cmd: [cowsay]\n"),
            ("nodeEvents", "enabled: false\nsendAsPod: true"),
            ("executor", "image: argoexec\nresources: {requests: {cpu: 10m}}"),
        ];
        let data = data.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        let settings = Settings::read(&data).expect("a configuration");
        let mut config = Config::default();
        settings.apply(&mut config);
        assert_eq!((config.instance_id.as_str(), config.pod_gc_delay_ms), ("two", 30_000));
        assert_eq!(config.restrictions, Some(TemplateReferencing::Secure));
        assert_eq!(settings.unread.len(), 1, "{:?}", settings.unread);
        let mut gc = Role::Gc(argosy_gc::Options::default());
        configure(&settings, &mut gc);
        let Role::Gc(gc) = gc else { panic!("still the garbage collector") };
        assert_eq!(gc.retention, Some(Retention { completed: 10, failed: 3, errored: 0 }));
        let mut all = Role::All(Box::default());
        configure(&settings, &mut all);
        let Role::All(all) = all else { panic!("still all") };
        assert_eq!((all.watcher.instance_id.as_str(), all.scheduler.instance_id.as_str()), ("two", "two"));
        let pods = all.pod_runner;
        assert_eq!(pods.create_limit.map(|limit| (limit.per_sec, limit.burst)), Some((2.5, 3)));
        assert_eq!((pods.pod_gc_grace_secs, pods.logs_failed_pods, pods.logs_pods), (Some(7), true, false));
        assert_eq!(pods.image_commands["docker/whalesay:latest"].cmd, ["cowsay"]);
        let mut recorder = Role::Recorder(argosy_recorder::Options::default());
        configure(&settings, &mut recorder);
        let Role::Recorder(recorder) = recorder else { panic!("still the recorder") };
        assert_eq!((recorder.records_nodes, recorder.records_workflows, recorder.sends_as_pod), (false, true, true));
    }
}
