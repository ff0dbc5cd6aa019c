//! The service.

use std::sync::Arc;

use argosy_actor::{Failure, Host, Settings, own_shards};
use argosy_engine::Config;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, Options};
use crate::{shard, unfinished};

/// The scheduler.
pub struct Service {
    context: Arc<Context>,
}

impl Service {
    /// A scheduler that decides under `config`.
    pub fn new(host: Host, client: kube::Client, config: Config, options: Options) -> Self {
        Self { context: Arc::new(Context::new(host, client, config, options)) }
    }

    /// Owns shards and runs their workflows until `shutdown`.
    ///
    /// Errors: a panic outside of any workflow.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let context = self.context;
        let settings = Settings { ttl: context.lease() };
        let shards = Arc::clone(&context);
        let work = Arc::new(move |owned| {
            let context = Arc::clone(&shards);
            Box::pin(shard::work(context, owned)) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        let namespace = context.options.scheduler_namespace.as_deref();
        let follow = unfinished::follow(&context.unfinished, &context.client, namespace);
        tokio::select! {
            biased;
            result = own_shards(&context.host, "scheduler", &settings, shutdown, work) => result,
            () = follow => Ok(()),
        }
    }
}
