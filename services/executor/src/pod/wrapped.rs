//! A container with the user's command in it, seen from the wrapper.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argosy_api::executor::{MAIN, environment};
use argosy_beneath::{At, Limits as TreeLimits};
use async_trait::async_trait;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::layout::{Layout, RESULT_MAX};
use crate::pod::child::{self, Capture, Tail};
use crate::pod::process::Process;
use crate::surroundings::Surroundings;
use crate::wrapper::Wrapped;
use crate::{Error, FAILED};

/// Signals that are passed on.
const PASSED_ON: [Signal; 8] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2, Signal::WINCH, Signal::ALARM];
/// Signals that may wait to be passed on.
const SIGNALS_MAX: usize = 32;
/// Between looks whether `wait` asks this container to stop.
const LOOK: Duration = Duration::from_millis(100);
/// A command that was asked to stop is killed after this, as the kubelet does by default.
const GRACE: Duration = Duration::from_secs(30);
/// Bytes of a signal's number.
const NUMBER_MAX: u64 = 8;

/// The container of this process.
pub(super) struct Container<'a> {
    process: &'a Process,
    layout: &'a Layout,
    argv: Vec<String>,
    capture: Arc<Capture>,
    signals: tokio::sync::Mutex<mpsc::Receiver<i32>>,
}

impl<'a> Container<'a> {
    /// With the user's command.
    /// Errors: `File`, `Template`, `Start`.
    pub fn new(process: &'a Process, layout: &'a Layout, argv: Vec<String>) -> Result<Self, Error> {
        let mut capture = Capture::default();
        if process.name() == MAIN {
            let variable = process.variable(environment::INCLUDE_SCRIPT_OUTPUT);
            if variable.is_some_and(|value| value == "true") {
                capture.tail = Some(Mutex::new(Tail::new(RESULT_MAX)));
            }
        }
        if layout.wants_logs_of(process.name())? {
            capture.combined = Some(Mutex::new(layout.create(&layout.combined(process.name()))?));
        }
        let signals = tokio::sync::Mutex::new(listen()?);
        Ok(Self { process, layout, argv, capture: Arc::new(capture), signals })
    }

    /// The signal that `wait` asks to be passed on, when it does.
    fn asked(&self) -> Option<i32> {
        let number = self.layout.read(&self.layout.signal(self.process.name()), NUMBER_MAX).ok()??;
        String::from_utf8_lossy(&number).trim().parse().ok()
    }
}

/// The numbers of signals that come.
fn listen() -> Result<mpsc::Receiver<i32>, Error> {
    let (sender, signals) = mpsc::channel(SIGNALS_MAX);
    for number in PASSED_ON.map(Signal::as_raw) {
        let mut come =
            signal(SignalKind::from_raw(number)).map_err(|error| Error::Start { text: error.to_string() })?;
        let sender = sender.clone();
        // ends with the process
        tokio::spawn(async move { while come.recv().await.is_some() && sender.send(number).await.is_ok() {} });
    }
    Ok(signals)
}

#[async_trait]
impl Wrapped for Container<'_> {
    fn name(&self) -> &str {
        self.process.name()
    }

    async fn run(&self, _attempt: u32) -> Result<i32, Error> {
        let mut child = child::start(&self.argv, &self.capture)?;
        let mut signals = self.signals.lock().await;
        let mut kill_at = None;
        loop {
            let mut passed_on = None;
            tokio::select! {
                code = child.ended() => {
                    child.written().await;
                    return Ok(code);
                }
                Some(number) = signals.recv() => passed_on = Some(number),
                () = tokio::time::sleep(LOOK) => {}
            }
            if kill_at.is_none()
                && let Some(number) = self.asked()
            {
                kill_at = Some(Instant::now() + GRACE);
                self.process.stopping.cancel();
                passed_on = Some(number);
            }
            if kill_at.is_some_and(|at| at <= Instant::now()) {
                passed_on = Some(Signal::KILL.as_raw());
            }
            if let Some(number) = passed_on {
                child.signal(number);
            }
        }
    }

    async fn dependency(&self, name: &str) -> i32 {
        let ended = self.process.ended(name).await.unwrap_or_else(|error| {
            self.process.log(&error.to_string());
            None
        });
        ended.unwrap_or(FAILED)
    }

    async fn file(&self, path: &str, _: TreeLimits) -> io::Result<At> {
        // links are followed as the step itself would: this process is no more than it
        At::host(&Path::new(path).canonicalize()?)
    }

    async fn keep_output(&self, layout: &Layout) -> Result<(), Error> {
        if let Some(tail) = &self.capture.tail {
            let result = tail.lock().unwrap_or_else(PoisonError::into_inner).get().to_owned();
            layout.write(&layout.stdout(self.name()), &result)?;
        }
        match self.capture.failure() {
            Some(error) => Err(layout.error(&layout.combined(self.name()))(error)),
            None => Ok(()),
        }
    }

    fn stopping(&self) -> &CancellationToken {
        &self.process.stopping
    }
}
