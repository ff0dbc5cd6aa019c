//! The service, and what is done for an owned shard.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host, Owned, Routed, Router, Settings, WhenFull, feed, own_shards};
use argosy_api::message::{CommandMessage, SCHEMA};
use argosy_bus::{ConsumerSpec, Delivery, Stream, subject};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::bin::Bin;
use crate::command::{Commands, Inbound, NodeKey};
use crate::context::{Context, Options, Shard};
use crate::known::KnownPods;
use crate::observer::Observers;
use crate::{collect, watch};

/// What a former owner took and did not finish comes again after this. Longer than the heartbeat of a command at work.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Commands handed out and not acknowledged, for the shard.
const PENDING_MAX: usize = 4096;

/// The pod-runner.
pub struct Service {
    context: Arc<Context>,
}

impl Service {
    /// A pod-runner for the cluster behind `client`.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        Self { context: Arc::new(Context::new(host, client, options)) }
    }

    /// Owns shards, carries out their commands and watches their pods until `shutdown`.
    ///
    /// Errors: a panic outside of any node or pod.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let settings = Settings { ttl: Duration::from_secs(self.context.options.pod_runner_lease_secs) };
        let host = self.context.host.clone();
        let work = Arc::new(move |owned| {
            let context = Arc::clone(&self.context);
            Box::pin(work(context, owned)) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        own_shards(&host, "pod-runner", &settings, shutdown, work).await
    }
}

async fn work(context: Arc<Context>, owned: Owned) -> Result<(), Failure> {
    let stop = owned.stop.child_token();
    let _ends = stop.clone().drop_guard();
    let host = context.host.clone();
    let shard = Arc::new(Shard {
        context,
        owned: owned.clone(),
        known: KnownPods::default(),
        bin: Bin::default(),
        schedulers: Default::default(),
    });
    let observers = Router::new("pod", Observers(Arc::clone(&shard)), stop.clone());
    let factory = Commands { shard: Arc::clone(&shard), observers: observers.clone() };
    let commands = Router::new("node", factory, stop.clone());
    let name = format!("pod-runner-{}", owned.shard);
    let mut spec = ConsumerSpec::new(Stream::Commands, name, subject::Command::of_shard(owned.shard));
    (spec.ack_wait, spec.max_ack_pending) = (ACK_WAIT, PENDING_MAX);
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = feed(&host, &owned, spec, &commands, WhenFull::Again, route) => result,
        result = watch::watch(&shard, &observers) => result,
        result = collect::run(&shard) => result,
    };
    if result.is_ok() && !stop.is_cancelled() {
        observers.drain().await;
    }
    stop.cancel();
    commands.join().await;
    observers.join().await;
    result
}

fn route(delivery: Delivery) -> Routed<Commands> {
    let newer = |schema: u64| schema > u64::from(SCHEMA);
    match serde_json::from_slice::<CommandMessage>(&delivery.message.payload) {
        Ok(command) if newer(command.schema.into()) => Routed::Newer(delivery),
        Ok(command) => {
            let key = NodeKey { workflow_uid: command.workflow_uid.clone(), node_id: command.node_id.clone() };
            Routed::To(key, Box::new(Inbound { delivery, command }))
        }
        Err(error) => match serde_json::from_slice::<Value>(&delivery.message.payload) {
            // An unknown kind of command is one of a newer process.
            Ok(value) if value["schema"].as_u64().is_some_and(newer) => Routed::Newer(delivery),
            Ok(_) | Err(_) => Routed::Poison(delivery, format!("not a command: {error}")),
        },
    }
}
