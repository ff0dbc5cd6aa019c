//! Follows workflows through the API until all have ended, and lets the user stop them.

use std::{pin::Pin, time::Duration};

use anyhow::Context;
use argosy_api::v1alpha1::Workflow;
use futures::{Stream, StreamExt, stream::SelectAll};
use kube::{
    Client,
    api::{DynamicObject, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Failure,
    objects,
    render::tree::Filter,
    terminal,
    view::{self, Show, View},
};

/// How to follow.
pub struct Options {
    /// Show on standard error: standard output is for the objects.
    pub to_stderr: bool,
    /// What is shown.
    pub show: Show,
    /// The nodes shown.
    pub filter: Filter,
    /// Terminate after this time.
    pub timeout: Option<Duration>,
    /// No colours.
    pub no_color: bool,
    /// What Ctrl-C does.
    pub interrupt: Interrupt,
    /// How a user calls the command line so that it finds the workflows.
    pub argosy: String,
}

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Stops the workflows; again: terminates them; again: leaves.
    Stop,
    /// Leaves; the workflows go on.
    Leave,
}

/// Interrupts that end workflows; the next one leaves.
const INTERRUPTS_MAX: u8 = 2;
/// How long a terminated workflow may take to say so.
const TERMINATION: Duration = Duration::from_secs(30);

type Changes = Pin<Box<dyn Stream<Item = (usize, Change)> + Send>>;

enum Change {
    Now(Box<DynamicObject>),
    Gone(Box<DynamicObject>),
}

/// Shows `created` until all have ended; the objects as they ended, in the same order.
///
/// Errors: the API no longer answers; the system ended; the user left.
pub async fn follow(
    client: &Client,
    created: Vec<DynamicObject>,
    options: &Options,
    ended: CancellationToken,
) -> Result<Vec<Value>, Failure> {
    let target = view::Target::pick(options.to_stderr, options.no_color);
    let mut view = View::new(client.clone(), target, options.show, options.filter.clone(), options.argosy.clone());
    let mut changes: SelectAll<Changes> =
        created.iter().enumerate().map(|(index, object)| changes_of(client, index, object)).collect();
    let mut latest = created.iter().map(objects::readable).collect::<Result<Vec<Workflow>, _>>()?;
    let mut finals: Vec<Option<Value>> = vec![None; created.len()];
    let mut interrupts = 0_u8;
    // Listened to from here on: what comes while something else is done is not lost.
    let mut keys = signal(SignalKind::interrupt()).context("listen for signals")?;
    let mut tick = tokio::time::interval(view::REDRAW);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let deadline = tokio::time::sleep(options.timeout.unwrap_or(Duration::MAX / 4));
    tokio::pin!(deadline);
    let mut late = false;
    while finals.iter().any(Option::is_none) {
        tokio::select! {
            change = changes.next() => {
                let Some((index, change)) = change else {
                    return Err(Failure::Other(anyhow::anyhow!("the API no longer reports changes")));
                };
                let (object, gone) = match change {
                    Change::Now(object) => (object, false),
                    Change::Gone(object) => (object, true),
                };
                let workflow = objects::readable(&object)?;
                if workflow.status.phase.is_completed() || gone {
                    finals[index].get_or_insert(objects::shown(&object)?);
                }
                latest[index] = workflow;
                view.update(&latest);
            }
            _ = tick.tick() => view.redraw(&latest),
            _ = keys.recv() => {
                if options.interrupt == Interrupt::Leave {
                    view.leave();
                    return Err(Failure::Left(left(&options.argosy, &created, &finals)));
                }
                interrupts += 1;
                if interrupts > INTERRUPTS_MAX {
                    view.leave();
                    return Err(Failure::Left("left before the workflow ended; what ran is ended with this program".to_owned()));
                }
                view.notice(said(interrupts));
                interrupt(client, interrupts, &created, &finals).await?;
            }
            () = &mut deadline => {
                if late {
                    return Err(Failure::Other(anyhow::anyhow!("the workflow does not end, though it was terminated")));
                }
                late = true;
                view.notice("the time is up: terminating");
                shut_down(client, "Terminate", &created, &finals).await?;
                deadline.as_mut().reset(tokio::time::Instant::now() + TERMINATION);
            }
            () = ended.cancelled() => return Err(Failure::Other(anyhow::anyhow!("the system ended before the workflow did"))),
        }
    }
    view.finish().await;
    Ok(finals.into_iter().flatten().collect())
}

/// What the user hears of the interrupt `count`.
fn said(count: u8) -> &'static str {
    match count {
        1 => "stopping; exit handlers run. Press Ctrl-C again to terminate.",
        _ => "terminating. Press Ctrl-C again to leave at once.",
    }
}

/// What a user hears who leaves, while what runs goes on.
fn left(argosy: &str, created: &[DynamicObject], finals: &[Option<Value>]) -> String {
    let going = created.iter().zip(finals).filter(|(_, ended)| ended.is_none());
    let names: Vec<_> =
        going.map(|(object, _)| terminal::word(object.metadata.name.as_deref().unwrap_or_default())).collect();
    let [name] = names.as_slice() else {
        let all = names.join(" ");
        return format!(
            "left; {} workflows go on\nto see them:  {argosy} wait {all}\nto stop them: {argosy} stop {all}",
            names.len()
        );
    };
    format!("left; {name} goes on\nto come back: {argosy} watch {name}\nto stop it:   {argosy} stop {name}")
}

/// First: stop. Second: terminate.
async fn interrupt(
    client: &Client,
    count: u8,
    created: &[DynamicObject],
    finals: &[Option<Value>],
) -> Result<(), Failure> {
    match count {
        1 => shut_down(client, "Stop", created, finals).await,
        _ => shut_down(client, "Terminate", created, finals).await,
    }
}

async fn shut_down(
    client: &Client,
    how: &str,
    created: &[DynamicObject],
    finals: &[Option<Value>],
) -> Result<(), Failure> {
    for (object, _) in created.iter().zip(finals).filter(|(_, ended)| ended.is_none()) {
        let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let patch = Patch::Merge(json!({ "spec": { "shutdown": how } }));
        objects::workflows(client, namespace).patch(name, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

fn changes_of(client: &Client, index: usize, object: &DynamicObject) -> Changes {
    let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let api = objects::workflows(client, namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher::watcher(api, config);
    let changes = kube::runtime::WatchStreamExt::default_backoff(events).filter_map(move |event| async move {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                Some((index, Change::Now(Box::new(object))))
            }
            Ok(watcher::Event::Delete(object)) => Some((index, Change::Gone(Box::new(object)))),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => None,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "watch of a workflow");
                None
            }
        }
    });
    Box::pin(changes)
}
