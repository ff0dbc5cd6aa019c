//! Workflows that are watched until all have ended.

use std::{pin::Pin, time::Duration};

use argosy_api::{
    labels,
    v1alpha1::{Shutdown, Workflow},
};
use futures::{FutureExt, Stream, StreamExt, stream::SelectAll};
use kube::{
    Client,
    api::{DynamicObject, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    error::{Error, Warn},
    objects, read,
    silence::Silence,
};

type Changes = Pin<Box<dyn Stream<Item = (usize, Change)> + Send>>;

/// Changes that may be left unread because newer ones have come; then the newest is read, so that whoever looks on sees
/// the workflows move.
const UNREAD_MAX: usize = 256;

/// How long the API server may take to answer when it is asked whether it is there.
const ANSWER: Duration = Duration::from_secs(5);

enum Change {
    Now(Box<DynamicObject>),
    Gone(Box<DynamicObject>),
    /// Its watch broke off; it may be there again by now.
    Lost,
}

/// The workflows, as they are now.
pub struct Watched {
    client: Client,
    objects: Vec<DynamicObject>,
    changes: SelectAll<Changes>,
    /// The newest change of each workflow that is not read yet.
    unread: Vec<Option<Change>>,
    /// How many changes have come since one was read.
    waiting: usize,
    latest: Vec<Workflow>,
    /// Those that have ended or are gone, as they were then.
    ended: Vec<Option<Value>>,
    /// Those that are gone before their end.
    gone: Vec<bool>,
    /// The API server does not answer.
    silence: Option<Silence>,
}

impl Watched {
    /// Watches workflows, which were just created or read.
    ///
    /// Errors: one cannot be read.
    pub fn new(client: &Client, objects: Vec<DynamicObject>, warn: Warn<'_>) -> Result<Self, Error> {
        let changes = objects.iter().enumerate().map(|(index, object)| changes_of(client, index, object)).collect();
        let latest = objects.iter().map(|object| read::readable(object, warn)).collect::<Result<_, _>>()?;
        let ended = vec![None; objects.len()];
        let unread = objects.iter().map(|_| None).collect();
        let gone = vec![false; objects.len()];
        let client = client.clone();
        Ok(Self { client, objects, changes, unread, waiting: 0, latest, ended, gone, silence: None })
    }

    /// Waits for the next changes; of several of one workflow that have come, only the newest is read. Lets others have
    /// their turn before each one, however many have come: a signal is not kept waiting. May be given up at any time.
    ///
    /// Errors: the API has not answered for as long as `Silence` bears, or it knows us no more; the workflow can no longer
    /// be read.
    pub async fn changed(&mut self, warn: Warn<'_>) -> Result<(), Error> {
        loop {
            tokio::task::yield_now().await;
            let next = if self.waiting == 0 {
                let ask = self.silence.as_ref().map(Silence::next_try);
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(ask.unwrap_or_else(Instant::now)), if ask.is_some() => {
                        self.ask().await?;
                        continue;
                    }
                    next = self.changes.next() => next,
                }
            } else if self.waiting < UNREAD_MAX {
                self.changes.next().now_or_never().flatten()
            } else {
                None
            };
            match next {
                Some((_, Change::Lost)) => _ = self.silence.get_or_insert_with(Silence::begin),
                Some((index, change)) => self.take(index, change),
                None if self.waiting == 0 => return Err(Error::WatchEnded),
                None => break,
            }
            // A watch that begins anew while another server is asked tells nothing yet.
            if self.waiting == 0 && self.silence.is_some() {
                return Ok(());
            }
        }
        self.waiting = 0;
        for index in 0..self.unread.len() {
            if let Some(change) = self.unread[index].take() {
                self.read(index, change, warn)?;
            }
        }
        Ok(())
    }

    /// Whether the API server does not answer at the moment.
    pub fn is_silent(&self) -> bool {
        self.silence.is_some()
    }

    /// Asks for those that have not ended, whose watches may have broken off: a watch that begins anew says nothing until
    /// something changes.
    async fn ask(&mut self) -> Result<(), Error> {
        let mut found = Vec::new();
        for index in (0..self.objects.len()).filter(|index| self.ended[*index].is_none()) {
            let (namespace, name) = place(&self.objects[index]);
            let asked = objects::get_opt(&self.client, namespace, name);
            let answer = match tokio::time::timeout(ANSWER, asked).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Silent),
            };
            match (answer, &mut self.silence) {
                (Ok(object), _) => found.push((index, object)),
                (Err(error), Some(silence)) => return silence.goes_on(error),
                (Err(error), None) => return Err(error),
            }
        }
        self.silence = None;
        for (index, object) in found {
            let is_same = |object: &DynamicObject| object.metadata.uid == self.objects[index].metadata.uid;
            let change = match object.filter(is_same) {
                Some(object) => Change::Now(Box::new(object)),
                None => Change::Gone(Box::new(self.objects[index].clone())),
            };
            self.take(index, change);
        }
        Ok(())
    }

    /// Keeps a change until it is read, in place of an older one. What comes after a workflow is gone is of another one
    /// with its name.
    fn take(&mut self, index: usize, change: Change) {
        self.waiting += 1;
        let unread = &mut self.unread[index];
        if !matches!(unread, Some(Change::Gone(_))) {
            *unread = Some(change);
        }
    }

    fn read(&mut self, index: usize, change: Change, warn: Warn<'_>) -> Result<(), Error> {
        let (object, is_gone) = match change {
            Change::Now(object) => (object, false),
            Change::Gone(object) => (object, true),
            Change::Lost => return Ok(()),
        };
        let workflow = read::readable(&object, warn)?;
        let has_ended = workflow.status.phase.is_completed();
        if (has_ended || is_gone) && self.ended[index].is_none() {
            self.ended[index] = Some(read::shown(&object, warn)?);
            self.gone[index] = !has_ended;
        }
        self.latest[index] = workflow;
        Ok(())
    }

    /// The workflows as they are now, in the order in which they were given.
    pub fn latest(&self) -> &[Workflow] {
        &self.latest
    }

    /// True once all have ended or are gone.
    pub fn have_ended(&self) -> bool {
        self.ended.iter().all(Option::is_some)
    }

    /// Those that have not ended, as they were given.
    pub fn going(&self) -> impl Iterator<Item = &DynamicObject> {
        self.objects.iter().zip(&self.ended).filter(|(_, ended)| ended.is_none()).map(|(object, _)| object)
    }

    /// Those that were deleted, or are otherwise gone, before their end.
    pub fn gone(&self) -> impl Iterator<Item = &DynamicObject> {
        self.objects.iter().zip(&self.gone).filter(|(_, gone)| **gone).map(|(object, _)| object)
    }

    /// Those that have ended, as they were then, in the order in which they were given.
    pub fn into_ended(self) -> Vec<Value> {
        self.ended.into_iter().flatten().collect()
    }

    /// Shuts down those that have not ended, and notes on them why, where there is more to say than that somebody asked for it.
    ///
    /// Errors: the API refuses it.
    pub async fn shut_down(&self, how: Shutdown, why: Option<&str>) -> Result<(), Error> {
        let mut change = json!({ "spec": { "shutdown": how.as_str() } });
        if let Some(why) = why {
            change["metadata"] = json!({ "annotations": { labels::STOP_MESSAGE: why } });
        }
        for object in self.going() {
            let (namespace, name) = place(object);
            let patch = Patch::Merge(&change);
            objects::workflows(&self.client, namespace).patch(name, &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }
}

fn place(object: &DynamicObject) -> (&str, &str) {
    let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
    (namespace, object.metadata.name.as_deref().unwrap_or_default())
}

fn changes_of(client: &Client, index: usize, object: &DynamicObject) -> Changes {
    let (namespace, name) = place(object);
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
                Some((index, Change::Lost))
            }
        }
    });
    Box::pin(changes)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    };

    use futures::stream;

    use super::*;

    fn object(number: usize, phase: &str) -> Box<DynamicObject> {
        let object = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": { "name": "w" },
            "spec": {}, "status": { "phase": phase, "message": number.to_string() } });
        Box::new(serde_json::from_value(object).expect("an object"))
    }

    /// A workflow whose changes are there at once, and no others come.
    fn watched(changes: impl Stream<Item = Change> + Send + 'static) -> Watched {
        let client = Client::new(axum::Router::new(), "argo");
        let mut watched = Watched::new(&client, vec![*object(0, "Running")], &|_| {}).expect("a workflow");
        watched.changes.clear();
        watched.changes.push(Box::pin(changes.map(|change| (0, change))));
        watched
    }

    /// An API server of a workflow; `false` while it does not answer.
    fn server(answers: Arc<AtomicBool>, phase: &'static str) -> Client {
        let serve = move || {
            let is_up = answers.load(Relaxed);
            let object = serde_json::to_string(&object(9, phase)).expect("JSON");
            async move {
                let code = if is_up { axum::http::StatusCode::OK } else { axum::http::StatusCode::BAD_GATEWAY };
                (code, object)
            }
        };
        Client::new(axum::Router::new().fallback(serve), "argo")
    }

    fn lost(client: Client) -> Watched {
        let mut watched = watched(stream::iter([Change::Lost]).chain(stream::pending()));
        watched.client = client;
        watched
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_gone_is_waited_for_and_given_up_in_the_end() {
        let answers = Arc::new(AtomicBool::new(false));
        let mut back = lost(server(Arc::clone(&answers), "Succeeded"));
        back.changed(&|_| {}).await.expect("there is time");
        assert!(back.is_silent() && !back.have_ended());
        answers.store(true, Relaxed);
        while !back.have_ended() {
            back.changed(&|_| {}).await.expect("it is back");
        }
        assert!(!back.is_silent() && back.gone().next().is_none());

        let mut never = lost(server(Arc::default(), "Running"));
        let error = loop {
            if let Err(error) = never.changed(&|_| {}).await {
                break error;
            }
        };
        assert!(matches!(error, Error::StillSilent { .. }), "{error}");
    }

    fn message(watched: &Watched) -> &str {
        &watched.latest()[0].status.message
    }

    #[tokio::test]
    async fn changes_that_are_always_there_keep_nobody_waiting() {
        let given = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&given);
        let mut watched = watched(stream::iter(0..100_000).map(move |number| {
            count.fetch_add(1, Relaxed);
            Change::Now(object(number, "Running"))
        }));
        // A task of its own has its turn only where the other one waits, as what brings signals does.
        let signal = tokio::spawn(async {});
        let followed = async { while watched.changed(&|_| {}).await.is_ok() {} };
        tokio::select! {
            biased;
            signal = signal => signal.expect("it came"),
            () = followed => panic!("all {} changes came before the signal", given.load(Relaxed)),
        }
        assert!(given.load(Relaxed) < 10, "{} changes came before the signal", given.load(Relaxed));
    }

    #[tokio::test]
    async fn of_changes_that_wait_the_newest_is_read() {
        let mut watched = watched(stream::iter(1..=UNREAD_MAX + 7).map(|number| {
            let phase = if number == 3 { "Succeeded" } else { "Running" };
            Change::Now(object(number, phase))
        }));
        watched.changed(&|_| {}).await.expect("changes");
        assert_eq!(message(&watched), UNREAD_MAX.to_string());
        assert!(!watched.have_ended(), "an older one was read");
        watched.changed(&|_| {}).await.expect("changes");
        assert_eq!(message(&watched), (UNREAD_MAX + 7).to_string());
        watched.changed(&|_| {}).await.expect_err("no more come");
    }

    #[tokio::test]
    async fn what_is_gone_is_not_taken_for_what_has_its_name() {
        let changes =
            [Change::Now(object(1, "Running")), Change::Gone(object(2, "Running")), Change::Now(object(3, "Running"))];
        let mut watched = watched(stream::iter(changes));
        watched.changed(&|_| {}).await.expect("changes");
        assert!(watched.have_ended() && watched.gone().count() == 1);
        assert_eq!(watched.into_ended()[0]["status"]["message"], "2");
    }
}
