//! The logs of workflows until they have ended.

use std::{collections::HashSet, time::Duration};

use argosy_api::v1alpha1::Workflow;
use tokio::time::{Interval, interval};

use crate::{
    connect::Connection,
    error::{Error, Warn},
    live::{Line, LiveLogs},
    objects,
    pods::{LogOf, LogRequest},
    read,
    silence::Silence,
};

/// Pause between looks for new pods.
const POLL: Duration = Duration::from_millis(500);
/// How long the API may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Pause between looks for lines that have waited for earlier ones.
const FLUSH: Duration = Duration::from_millis(100);

/// The logs of workflows until they have ended. `Choose` says which logs of a workflow are meant, as it is now.
pub struct FollowedLogs<Choose> {
    connection: Connection,
    names: Vec<String>,
    choose: Choose,
    logs: LiveLogs,
    /// Pods and containers whose logs are read.
    followed: HashSet<(String, String)>,
    poll: Interval,
    flush: Interval,
    /// The API has answered once.
    has_looked: bool,
    have_ended: bool,
    is_over: bool,
    /// The API server does not answer.
    silence: Option<Silence>,
}

impl<Choose: Fn(&Workflow) -> Vec<LogOf>> FollowedLogs<Choose> {
    /// Of the workflows `names`.
    pub fn new(connection: Connection, names: Vec<String>, request: LogRequest, choose: Choose) -> Self {
        Self {
            logs: LiveLogs::new(connection.client.clone(), request),
            connection,
            names,
            choose,
            followed: HashSet::new(),
            poll: interval(POLL),
            flush: interval(FLUSH),
            has_looked: false,
            have_ended: false,
            is_over: false,
            silence: None,
        }
    }

    /// The next lines, by time; none once all have ended. Comes back ten times a second, perhaps without a line, so that
    /// whoever has nobody to read them any more can end.
    ///
    /// Errors: a workflow is not there, before any log was read; the API has not answered for a minute, or knows us no more.
    pub async fn next(&mut self, warn: Warn<'_>) -> Result<Option<Vec<Line>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        loop {
            let mut due = None;
            // However fast the lines come, whoever waits beside this has a turn.
            tokio::task::yield_now().await;
            tokio::select! {
                () = self.logs.wait() => {}
                _ = self.flush.tick() => due = Some(self.logs.take()),
                _ = self.poll.tick(), if !self.have_ended => self.try_to_look(warn).await?,
            }
            if self.have_ended && self.logs.is_drained() {
                self.is_over = true;
                let mut lines = due.unwrap_or_default();
                lines.extend(self.logs.rest());
                return Ok(Some(lines));
            }
            if due.is_some() {
                return Ok(due);
            }
        }
    }

    /// Whether the API server does not answer at the moment.
    pub fn is_silent(&self) -> bool {
        self.silence.is_some()
    }

    /// Looks, and bears it for a while that the API does not answer.
    async fn try_to_look(&mut self, warn: Warn<'_>) -> Result<(), Error> {
        match self.look(warn).await {
            Ok(()) if self.silence.take().is_some() => {
                // Readers may have ended with the server that they read from: all that is meant is read on.
                self.logs.stop();
                self.followed.clear();
                self.look(warn).await
            }
            Ok(()) => Ok(()),
            Err(error @ (Error::Api(_) | Error::Silent)) if self.has_looked => {
                self.silence.get_or_insert_with(Silence::begin).goes_on(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for pods that have started, and whether all workflows have ended.
    async fn look(&mut self, warn: Warn<'_>) -> Result<(), Error> {
        let mut have_ended = true;
        for name in &self.names {
            let asked = objects::get_opt(&self.connection.client, &self.connection.namespace, name);
            let answer = tokio::time::timeout(ANSWER, asked).await.unwrap_or(Err(Error::Silent));
            let object = match answer? {
                Some(object) => object,
                None if self.followed.is_empty() => return Err(objects::not_found(name)),
                None => continue,
            };
            let workflow = read::readable(&object, warn)?;
            have_ended &= workflow.status.phase.is_completed();
            for log in (self.choose)(&workflow) {
                if self.followed.insert((log.pod.clone(), log.container.clone())) {
                    self.logs.read(&self.connection.namespace, log);
                }
            }
        }
        (self.have_ended, self.has_looked) = (have_ended, true);
        Ok(())
    }
}
