//! The executor inside the local node: no processes but the user's.

use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use argosy_api::executor::{Part, WRAPPER, environment, paths::VAR_RUN_ARGO};
use argosy_artifacts::{One, Store};
use argosy_beneath::{At, Limits as TreeLimits};
use argosy_executor::layout::{Layout, RESULT_MAX};
use argosy_executor::{Error, FAILED, Limits, Surroundings, Wrapped, parts, wrap};
use argosy_node::{Builtin, Claim, Context, Outcome, StartError};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Client;
use tokio_util::sync::CancellationToken;

/// Runs `init` and `wait` inside the node, and the user's commands without a wrapper process.
pub struct Embedded {
    stores: One,
    limits: Limits,
}

fn part(container: &Container) -> Option<Part> {
    Part::of_command(container.command.as_deref().unwrap_or_default())
}

impl Embedded {
    /// With artifacts in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { stores: One(store), limits: Limits::default() }
    }

    /// With other limits of what is taken from steps.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
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
        let inside = Inside(context);
        let (exit_code, message) = match part(inside.0.container()) {
            Some(Part::Main) => parts::ending(main(&inside.0, self.limits).await, &inside),
            Some(part) => parts::run(part, &inside, &self.stores, self.limits).await,
            None => parts::ending(Err(Error::Unsupported { word: "unknown".into() }), &inside),
        };
        Outcome { exit_code, message, reason: None }
    }
}

/// A container that runs inside the node.
struct Inside(Context);

#[async_trait]
impl Surroundings for Inside {
    fn name(&self) -> &str {
        &self.0.container().name
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.env().get(name).cloned()
    }

    fn layout(&self) -> Result<Layout, Error> {
        layout(&self.0)
    }

    fn place(&self, path: &str) -> io::Result<At> {
        self.0.place_for(path)
    }

    async fn client(&self) -> Result<(Client, String), Error> {
        let namespace = self.0.pod().metadata.namespace.as_deref().unwrap_or("default");
        Ok((self.0.client().clone(), namespace.to_owned()))
    }

    async fn ended(&self, container: &str) -> Result<Option<i32>, Error> {
        Ok(self.0.ended(container).await.map(|ended| ended.exit_code))
    }

    fn stop(&self, container: &str) {
        self.0.stop(container);
    }

    fn log(&self, line: &str) {
        self.0.log(line);
    }

    fn executable(&self) -> &Path {
        self.0.executable()
    }

    fn stopping(&self) -> &CancellationToken {
        self.0.stopping()
    }

    async fn keep_logs(&self, layout: &Layout) -> Result<(), Error> {
        keep_logs(&self.0, layout).await
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

async fn keep_logs(context: &Context, layout: &Layout) -> Result<(), Error> {
    if layout.wants_logs()? {
        let name = &context.container().name;
        let path = layout.combined(name);
        let file = layout.create(&path)?;
        context.combined(name, BufWriter::new(file)).await.map_err(layout.error(&path))?;
    }
    Ok(())
}

fn layout(context: &Context) -> Result<Layout, Error> {
    let found = context.own_dir().and_then(|own| Ok(Layout::new(own, context.place_for(VAR_RUN_ARGO)?)));
    found.map_err(|source| Error::File { path: VAR_RUN_ARGO.into(), source })
}
