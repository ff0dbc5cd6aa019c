//! The executor inside the local node: no processes but the user's.

use std::io::{self, BufWriter};
use std::sync::Arc;

use argosy_api::executor::{Part, WRAPPER, environment, paths::VAR_RUN_ARGO};
use argosy_api::v1alpha1::Template;
use argosy_artifacts::Store;
use argosy_beneath::{At, Limits as TreeLimits};
use argosy_executor::layout::{Layout, RESULT_MAX, mains};
use argosy_executor::resource::Job;
use argosy_executor::{Error, FAILED, Gatherer, Inputs, Limits, Progress, Reporter, Wrapped, data, stage, wrap};
use argosy_node::{Builtin, Claim, Context, Outcome, StartError};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio_util::sync::CancellationToken;

/// Exit code of a container that SIGTERM ended.
const TERMINATED: i32 = 143;

/// Runs `init` and `wait` inside the node, and the user's commands without a wrapper process.
pub struct Embedded {
    store: Arc<dyn Store>,
    limits: Limits,
}

fn part(container: &Container) -> Option<Part> {
    Part::of_command(container.command.as_deref().unwrap_or_default())
}

impl Embedded {
    /// With artifacts in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, limits: Limits::default() }
    }

    /// With other limits of what is taken from steps.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    async fn init(&self, context: &Context) -> Result<(), Error> {
        let template = template(context)?;
        let inputs = Inputs {
            template: &template,
            layout: &layout(context)?,
            store: &*self.store,
            host: &|path| context.place_for(path),
            limits: self.limits,
        };
        stage(inputs).await
    }

    async fn wait(&self, context: &Context) -> Result<(i32, String), Error> {
        let template = template(context)?;
        let layout = layout(context)?;
        let mains = mains(&template);
        let meta = &context.pod().metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let progress = Progress {
            client: context.client().clone(),
            namespace,
            pod: meta.name.as_deref().unwrap_or_default(),
            tick: context.env().get(environment::PROGRESS_TICK).map(String::as_str),
            layout: &layout,
        };
        let ended = async {
            let mut all_succeeded = true;
            for main in &mains {
                let ended = context.ended(main).await;
                all_succeeded &= ended.is_some_and(|ended| ended.exit_code == 0);
            }
            all_succeeded
        };
        // the pod's own deadline ends the main containers too
        let mut reported = None;
        let all_succeeded = tokio::select! {
            all_succeeded = ended => all_succeeded,
            () = progress.watch(&mut reported) => false,
        };
        for sidecar in &template.sidecars {
            context.stop(&sidecar.container.name);
        }
        let variable = |name: &str| context.env().get(name).cloned().unwrap_or_default();
        let (workflow, pod) = (variable(environment::WORKFLOW_NAME), variable(environment::POD_NAME));
        let gatherer = Gatherer {
            template: &template,
            layout: &layout,
            store: &*self.store,
            workflow: &workflow,
            pod: &pod,
            include_result: variable(environment::INCLUDE_SCRIPT_OUTPUT) == "true" || template.data.is_some(),
            limits: self.limits,
        };
        let reporter = Reporter {
            node_id: variable(environment::NODE_ID),
            workflow: workflow.clone(),
            workflow_uid: variable(environment::WORKFLOW_UID),
            namespace: namespace.to_owned(),
        };
        let client = context.client().clone();
        let mut gathered = gatherer.gather().await;
        gathered.progress = reported;
        if !all_succeeded {
            // the step fails for what main says; outputs that are there count all the same
            for error in gathered.errors.drain(..) {
                context.log(&error.to_string());
            }
        }
        Ok(reporter.report(gathered, self.limits.outputs_bytes_max, async || Ok(client)).await)
    }
}

impl Embedded {
    async fn resource(&self, context: &Context) -> Result<(i32, String), Error> {
        let layout = layout(context)?;
        let template = layout.read_template()?.unwrap_or_default();
        let variable = |name: &str| context.env().get(name).cloned().unwrap_or_default();
        let job = Job {
            client: context.client(),
            namespace: context.pod().metadata.namespace.as_deref().unwrap_or("default"),
            template: &template,
            workflow: &variable(environment::WORKFLOW_NAME),
            workflow_uid: &variable(environment::WORKFLOW_UID),
            store: &*self.store,
            layout: &layout,
            limits: self.limits,
            executable: context.executable(),
            log: &|line| context.log(line),
        };
        let ended = tokio::select! {
            ended = job.run() => ended.map(|()| (0, String::new())),
            () = context.stopping().cancelled() => Ok((TERMINATED, String::new())),
        };
        keep_logs(context, &layout).await?;
        ended
    }

    async fn data(&self, context: &Context) -> Result<(i32, String), Error> {
        let layout = layout(context)?;
        let template = layout.read_template()?.unwrap_or_default();
        let result = tokio::select! {
            result = data::process(&template, &*self.store, self.limits) => result?,
            () = context.stopping().cancelled() => return Ok((TERMINATED, String::new())),
        };
        // where the output of a script would be
        layout.write(&layout.stdout(&context.container().name), result.as_bytes())?;
        keep_logs(context, &layout).await?;
        Ok((0, String::new()))
    }
}

#[async_trait]
impl Builtin for Embedded {
    fn claims(&self, _: &Pod, container: &Container) -> Option<Claim> {
        Some(match part(container)? {
            Part::Init | Part::Wait | Part::Resource | Part::Data => Claim::Inside,
            Part::Main => Claim::Wrapped,
        })
    }

    async fn run(&self, context: Context) -> Outcome {
        let ended = match part(context.container()) {
            Some(Part::Init) => self.init(&context).await.map(|()| (0, String::new())),
            Some(Part::Wait) => self.wait(&context).await,
            Some(Part::Main) => main(&context, self.limits).await,
            Some(Part::Resource) => self.resource(&context).await,
            Some(Part::Data) => self.data(&context).await,
            None => Err(Error::Unsupported { word: "unknown".into() }),
        };
        let (exit_code, message) = ended.unwrap_or_else(|error| (FAILED, error.to_string()));
        if exit_code == FAILED && !message.is_empty() {
            context.log(&message);
        }
        Outcome { exit_code, message, reason: None }
    }
}

async fn main(context: &Context, limits: Limits) -> Result<(i32, String), Error> {
    // the wrapper, then the user's
    let words = context.argv().get(WRAPPER.len()..).unwrap_or_default();
    if let Some(word) = Part::word(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        return Err(Error::Unsupported { word: word.to_owned() });
    }
    let given = context.container().command.as_ref().is_some_and(|command| command.len() > WRAPPER.len());
    let argv = match given {
        true => words.to_vec(),
        false => context.image_command(words).await.map_err(|text| Error::Start { text })?,
    };
    let layout = layout(context)?;
    Ok(wrap(&Main { context, argv }, &layout, limits).await)
}

struct Main<'a> {
    context: &'a Context,
    argv: Vec<String>,
}

#[async_trait]
impl Wrapped for Main<'_> {
    fn name(&self) -> &str {
        &self.context.container().name
    }

    async fn run(&self, attempt: u32) -> Result<i32, Error> {
        let run = if attempt == 0 { "run".to_owned() } else { format!("run-{attempt}") };
        let exit = self.context.exec(&run, self.argv.clone()).await;
        let exit = exit.map_err(|error| Error::Start { text: error.to_string() })?;
        match exit.start_error {
            None => Ok(exit.code),
            // found, but refused by the kernel
            Some(StartError::Command(text)) if text.starts_with("fork/exec") => Err(Error::Start { text }),
            Some(StartError::Command(text)) => Err(Error::Command { text }),
            Some(StartError::Sandbox(text)) => Err(Error::Start { text }),
        }
    }

    async fn dependency(&self, name: &str) -> i32 {
        self.context.ended(name).await.map_or(FAILED, |ended| ended.exit_code)
    }

    async fn file(&self, path: &str, limits: TreeLimits) -> io::Result<At> {
        self.context.host_path(self.name(), path, limits).await
    }

    async fn keep_output(&self, layout: &Layout) -> Result<(), Error> {
        let variable = self.context.env().get(environment::INCLUDE_SCRIPT_OUTPUT);
        if variable.is_some_and(|value| value == "true") {
            let path = layout.stdout(self.name());
            let bytes = self.context.stdout(self.name(), RESULT_MAX).await.map_err(layout.error(&path))?;
            layout.write(&path, &bytes)?;
        }
        keep_logs(self.context, layout).await
    }

    fn stopping(&self) -> &CancellationToken {
        self.context.stopping()
    }
}

/// Leaves the container's log for `wait`, when the template asks for it as an artifact.
async fn keep_logs(context: &Context, layout: &Layout) -> Result<(), Error> {
    let logs = layout.read_template()?.and_then(|template| template.archive_location?.archive_logs);
    if logs == Some(true) {
        let name = &context.container().name;
        let path = layout.combined(name);
        let file = layout.create(&path)?;
        context.combined(name, BufWriter::new(file)).await.map_err(layout.error(&path))?;
    }
    Ok(())
}

fn template(context: &Context) -> Result<Template, Error> {
    let name = environment::TEMPLATE;
    let text = context.env().get(name).ok_or(Error::Environment { name })?;
    serde_json::from_str(text).map_err(|source| Error::Template { source })
}

fn layout(context: &Context) -> Result<Layout, Error> {
    let found = context.own_dir().and_then(|own| Ok(Layout::new(own, context.place_for(VAR_RUN_ARGO)?)));
    found.map_err(|source| Error::File { path: VAR_RUN_ARGO.into(), source })
}
