//! The service.

use std::sync::Arc;

use argosy_actor::{Failure, Host, own_shards};
use argosy_engine::Config;
use argosy_host::{Process, own};
use tokio_util::sync::CancellationToken;

use crate::context::{Context, Options, ROLE};
use crate::kinds::Kinds;
use crate::unfinished;

/// The scheduler.
pub struct Service {
    context: Arc<Context>,
    options: Options,
}

impl Service {
    /// A scheduler that decides under `config`.
    pub fn new(host: Host, client: kube::Client, config: Config, options: Options) -> Self {
        Self { context: Arc::new(Context::new(host, client, config, options.scheduler_namespace.clone())), options }
    }

    /// Owns shards and runs their workflows until `shutdown`.
    ///
    /// Errors: a panic outside of any workflow.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let (context, settings) = (self.context, self.options.settings());
        let process = Arc::new(Process::new(context.host.clone(), settings));
        let of = Arc::clone(&context);
        let work = Arc::new(move |owned| {
            let (process, context) = (Arc::clone(&process), Arc::clone(&of));
            let work = own(process, owned, move |stop| Kinds::new(context, settings.lease, stop));
            Box::pin(work) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        let leases = argosy_actor::Settings { ttl: settings.lease };
        let of = (self.options.scheduler_namespace.as_deref(), self.options.instance_id.as_str());
        let follow = unfinished::follow(&context.unfinished, &context.client, of);
        tokio::select! {
            biased;
            result = own_shards(&context.host, ROLE, &leases, shutdown, work) => result,
            () = follow => Ok(()),
        }
    }
}
