//! Follows workflows through the API until all have ended, and lets the user stop them.

use std::time::Duration;

use anyhow::Context;
use argosy_api::v1alpha1::Shutdown;
use argosy_client::Watched;
use kube::{Client, api::DynamicObject};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    channel::say,
    cleaning::Cleaning,
    failure::{Failure, warn},
    render::{human, tree::Filter},
    silence::Silence,
    terminal,
    view::{self, Call, Show, View},
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
    pub call: Call,
}

/// What Ctrl-C does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Stops the workflows, and waits while their steps clean up; again: terminates them; again: leaves.
    Stop,
    /// Leaves; the workflows go on.
    Leave,
}

/// Interrupts that end workflows; the next one leaves.
const INTERRUPTS_MAX: u8 = 2;
/// How long a terminated workflow may take to say so.
const TERMINATION: Duration = Duration::from_secs(30);

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
    let mut view = View::new(client.clone(), target, options.show, options.filter.clone(), options.call.clone());
    let mut watched = Watched::new(client, created, &warn)?;
    let mut interrupts = 0_u8;
    // Listened to from here on: what comes while something else is done is not lost.
    let mut keys = signal(SignalKind::interrupt()).context("listen for signals")?;
    let mut tick = tokio::time::interval(view::REDRAW);
    let deadline = tokio::time::sleep(options.timeout.unwrap_or(Duration::MAX / 4));
    tokio::pin!(deadline);
    let mut late = false;
    let mut silence = Silence::default();
    while !watched.have_ended() {
        // What ends the loop is looked at first: changes may come faster than they are read.
        tokio::select! {
            biased;
            _ = keys.recv() => {
                if options.interrupt == Interrupt::Leave {
                    view.leave();
                    return Err(Failure::Left(left(&options.call, &watched)));
                }
                interrupts += 1;
                if interrupts > INTERRUPTS_MAX {
                    view.leave();
                    return Err(Failure::Left("left before the workflow ended; what ran is ended with this program".to_owned()));
                }
                view.notice(said(interrupts));
                let how = if interrupts == 1 { Shutdown::Stop } else { Shutdown::Terminate };
                watched.shut_down(how, None).await?;
            }
            () = &mut deadline => {
                if late {
                    return Err(Failure::Other(anyhow::anyhow!("the workflow does not end, though it was terminated")));
                }
                late = true;
                view.notice("the time is up: terminating");
                let timeout = options.timeout.unwrap_or_default().as_secs();
                let timeout = human::short(i64::try_from(timeout).unwrap_or(i64::MAX));
                watched.shut_down(Shutdown::Terminate, Some(&format!("the run took longer than {timeout} (--timeout)"))).await?;
                deadline.as_mut().reset(tokio::time::Instant::now() + TERMINATION);
            }
            () = ended.cancelled() => return Err(Failure::Other(anyhow::anyhow!("the system ended before the workflow did"))),
            _ = tick.tick() => {
                view.redraw(watched.latest());
                // Of a drawing that takes long, the next one waits as well, so that changes have their turn.
                tick.reset();
            }
            changed = watched.changed(&warn) => {
                changed?;
                if let Some(words) = silence.told(watched.is_silent()) {
                    view.notice(words);
                }
                view.update(watched.latest());
            }
        }
    }
    // Who stops once lets steps clean up; who insists does not.
    if interrupts == 1 || (late && interrupts == 0) {
        let cleaning = Cleaning::new(client, watched.latest());
        tokio::select! {
            biased;
            _ = keys.recv() => {}
            () = ended.cancelled() => {}
            () = cleaning.wait(&mut view) => {}
        }
    }
    tokio::select! {
        biased;
        _ = keys.recv() => {}
        () = view.finish(interrupts <= 1) => {}
    }
    for name in watched.gone().filter_map(|object| object.metadata.name.as_deref()) {
        say!("{} was deleted before it ended", terminal::line(name));
    }
    Ok(watched.into_ended())
}

/// What the user hears of the interrupt `count`.
fn said(count: u8) -> &'static str {
    match count {
        1 => "stopping: steps get SIGTERM and their grace period, exit handlers run. Press Ctrl-C again to terminate.",
        _ => "terminating. Press Ctrl-C again to leave at once.",
    }
}

/// What a user hears who leaves, while what runs goes on.
fn left(call: &Call, watched: &Watched) -> String {
    let argosy = call.as_deref().unwrap_or("argosy");
    let name = |object: &DynamicObject| terminal::word(object.metadata.name.as_deref().unwrap_or_default());
    let names: Vec<_> = watched.going().map(name).collect();
    let [name] = names.as_slice() else {
        let all = names.join(" ");
        return format!(
            "left; {} workflows go on\nto see them:  {argosy} wait {all}\nto stop them: {argosy} stop {all}",
            names.len()
        );
    };
    format!("left; {name} goes on\nto come back: {argosy} watch {name}\nto stop it:   {argosy} stop {name}")
}

#[cfg(test)]
mod tests {
    use std::{
        process::Command,
        sync::{
            Arc, Mutex,
            atomic::{AtomicBool, Ordering::Relaxed},
            mpsc,
        },
    };

    use axum::{Router, body::Body, extract::Request};
    use futures::stream;
    use serde_json::json;

    use super::*;
    use crate::ending::Ending;

    /// Signals are for the whole process: one test at a time listens.
    static SIGNALS: Mutex<()> = Mutex::new(());

    fn workflow() -> Value {
        json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {}, "status": { "phase": "Running" },
            "metadata": { "name": "w", "namespace": "argo", "resourceVersion": "1" } })
    }

    /// An API of a workflow that never stops changing: there is always one more event. Says when the first was asked for.
    fn restless(is_watched: Arc<AtomicBool>) -> Client {
        let serve = move |request: Request| {
            let is_watch = request.uri().query().is_some_and(|query| query.contains("watch"));
            let body = if is_watch {
                let line = format!("{}\n", json!({ "type": "MODIFIED", "object": workflow() }));
                let is_watched = Arc::clone(&is_watched);
                Body::from_stream(stream::repeat_with(move || {
                    is_watched.store(true, Relaxed);
                    Ok::<_, std::io::Error>(line.clone())
                }))
            } else {
                let list = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowList",
                    "metadata": { "resourceVersion": "1" }, "items": [workflow()] });
                Body::from(list.to_string())
            };
            async move { body }
        };
        Client::new(Router::new().fallback(serve), "argo")
    }

    /// How following it ends once the signal has come.
    fn after(signal: &str, interrupt: Interrupt) -> String {
        let _alone = SIGNALS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_watched = Arc::new(AtomicBool::new(false));
        let (client, (told, heard)) = (Arc::clone(&is_watched), mpsc::sync_channel(1));
        // A thread of its own: a loop that lets nobody have a turn holds no clock of the test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let end = runtime.block_on(async {
                let options = Options {
                    to_stderr: true,
                    show: Show::Nothing,
                    filter: Filter::default(),
                    timeout: None,
                    no_color: true,
                    interrupt,
                    call: Ok("argosy".to_owned()),
                };
                let mut ending = Ending::listen().expect("signals");
                let created = vec![serde_json::from_value(workflow()).expect("an object")];
                let client = restless(client);
                match ending.or(follow(&client, created, &options, CancellationToken::new())).await {
                    Err(ended) => ended.name().to_owned(),
                    Ok(Ok(_)) => "it ended".to_owned(),
                    Ok(Err(failure)) => format!("{failure:?}"),
                }
            });
            _ = told.send(end);
        });
        while !is_watched.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = Command::new("kill").args([signal, &std::process::id().to_string()]).status();
        assert!(kill.is_ok_and(|status| status.success()));
        heard.recv_timeout(Duration::from_secs(20)).expect("the signal is obeyed")
    }

    #[test]
    fn changes_that_never_cease_keep_no_signal_out() {
        assert_eq!(after("-TERM", Interrupt::Stop), "SIGTERM");
        assert_eq!(after("-HUP", Interrupt::Stop), "SIGHUP");
        let left = after("-INT", Interrupt::Leave);
        assert!(left.contains("left; w goes on"), "{left}");
    }
}
