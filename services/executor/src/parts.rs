//! The parts of the executor that are not the user's, whatever runs them. Each gives its exit code and termination message.

use std::time::Duration;

use argosy_api::executor::{Part, Report, environment};
use argosy_api::v1alpha1::Template;
use argosy_artifacts::Stores;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::layout::mains;
use crate::progress::Progress;
use crate::resource::Job;
use crate::surroundings::Surroundings;
use crate::{Error, FAILED, Gatherer, Inputs, Limits, Reporter, data, stage};

/// How long the other containers of a set go on when one has failed: about as long as Argo's controller needs to learn of it.
const OTHERS_MAX: Duration = Duration::from_secs(2);

/// Exit code of a container that SIGTERM ended.
pub const TERMINATED: i32 = 143;

/// Runs a part to its end. The user's own command, [`Part::Main`], is not one of these: see [`wrap`](crate::wrap).
pub async fn run(part: Part, around: &dyn Surroundings, stores: &dyn Stores, limits: Limits) -> (i32, String) {
    let ended = match part {
        Part::Init => init(around, stores, limits).await.map(|()| (0, String::new())),
        Part::Wait => wait(around, stores, limits).await,
        Part::Resource => resource(around, stores, limits).await,
        Part::Data => data(around, stores, limits).await,
        Part::Main => Err(Error::Unsupported { word: "nested".into() }),
    };
    ending(ended, around)
}

/// The exit code and the message of what has ended; a failure is logged.
pub fn ending(ended: Result<(i32, String), Error>, around: &dyn Surroundings) -> (i32, String) {
    let (code, message) = ended.unwrap_or_else(|error| (FAILED, error.to_string()));
    if code == FAILED && !message.is_empty() {
        around.log(&message);
    }
    (code, message)
}

async fn init(around: &dyn Surroundings, stores: &dyn Stores, limits: Limits) -> Result<(), Error> {
    let template = template(around)?;
    let (layout, host) = (around.layout()?, |path: &str| around.place(path));
    stage(Inputs { template: &template, layout: &layout, stores, host: &host, limits }).await
}

async fn wait(around: &dyn Surroundings, stores: &dyn Stores, limits: Limits) -> Result<(i32, String), Error> {
    let template = template(around)?;
    let layout = around.layout()?;
    let progress = Progress { around, layout: &layout };
    let ended = async {
        let names = mains(&template);
        let ends = names.iter().map(|main| async { around.ended(main).await });
        let mut ends: FuturesUnordered<_> = ends.collect();
        while let Some(code) = ends.next().await {
            // Nothing is gathered of a step that may still run.
            if code? == Some(0) {
                continue;
            }
            // as in Argo, the first that fails ends the others; those that are about to end by themselves do so
            let others = async { while ends.next().await.is_some() {} };
            if tokio::time::timeout(OTHERS_MAX, others).await.is_err() {
                names.iter().for_each(|main| around.stop(main));
                while ends.next().await.is_some() {}
            }
            return Ok(false);
        }
        Ok::<_, Error>(true)
    };
    // the pod's own deadline ends the main containers too
    let mut reported = None;
    let all_succeeded = tokio::select! {
        all_succeeded = ended => all_succeeded?,
        () = progress.watch(&mut reported) => false,
    };
    for sidecar in &template.sidecars {
        around.stop(&sidecar.container.name);
    }
    let variable = |name: &str| around.variable(name).unwrap_or_default();
    let (workflow, pod) = (variable(environment::WORKFLOW_NAME), variable(environment::POD_NAME));
    let key_prefix = around.variable(environment::ARTIFACT_KEY_PREFIX).filter(|prefix| !prefix.is_empty());
    let key_prefix = key_prefix.unwrap_or_else(|| format!("{workflow}/{pod}"));
    let gatherer = Gatherer {
        template: &template,
        layout: &layout,
        stores,
        key_prefix: &key_prefix,
        include_result: variable(environment::INCLUDE_SCRIPT_OUTPUT) == "true" || template.data.is_some(),
        limits,
    };
    let mut gathered = gatherer.gather().await;
    gathered.progress = reported;
    if !all_succeeded {
        // the step fails for what main says; outputs that are there count all the same
        for error in gathered.errors.drain(..) {
            around.log(&error.to_string());
        }
    }
    let reporter = Reporter {
        node_id: variable(environment::NODE_ID),
        workflow,
        workflow_uid: variable(environment::WORKFLOW_UID),
        message_bytes_max: Report::message_bytes_max(containers(&template)),
    };
    Ok(reporter.report(gathered, limits.outputs_bytes_max, async || around.client().await).await)
}

async fn resource(around: &dyn Surroundings, stores: &dyn Stores, limits: Limits) -> Result<(i32, String), Error> {
    let layout = around.layout()?;
    let template = layout.read_template()?.unwrap_or_default();
    let variable = |name: &str| around.variable(name).unwrap_or_default();
    let (client, namespace) = around.client().await?;
    let job = Job {
        client: &client,
        namespace: &namespace,
        template: &template,
        workflow: &variable(environment::WORKFLOW_NAME),
        workflow_uid: &variable(environment::WORKFLOW_UID),
        stores,
        layout: &layout,
        limits,
        executable: around.executable(),
        log: &|line| around.log(line),
    };
    let ended = tokio::select! {
        ended = job.run() => ended.map(|()| (0, String::new())),
        // the executor's own failure, not that of a program which a signal ended
        () = around.stopping().cancelled() => Ok((FAILED, String::new())),
    };
    around.keep_logs(&layout).await?;
    ended
}

async fn data(around: &dyn Surroundings, stores: &dyn Stores, limits: Limits) -> Result<(i32, String), Error> {
    let layout = around.layout()?;
    let template = layout.read_template()?.unwrap_or_default();
    let result = tokio::select! {
        result = data::process(&template, stores, limits) => result?,
        () = around.stopping().cancelled() => return Ok((FAILED, String::new())),
    };
    // where the output of a script would be
    layout.write(&layout.stdout(around.name()), result.as_bytes())?;
    around.keep_logs(&layout).await?;
    Ok((0, String::new()))
}

/// The containers of the pod: `init`, `wait` and the user's.
fn containers(template: &Template) -> usize {
    2 + template.init_containers.len() + mains(template).len() + template.sidecars.len()
}

fn template(around: &dyn Surroundings) -> Result<Template, Error> {
    let name = environment::TEMPLATE;
    let text = around.variable(name).ok_or(Error::Environment { name })?;
    serde_json::from_str(&text).map_err(|source| Error::Template { source })
}
