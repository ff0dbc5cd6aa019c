//! The rule of commands for several workflows: each is done where it is, each failure is told, and one is enough for exit code 1.

use argosy_client::{Connection, objects};
use kube::api::DynamicObject;

use super::{Afterwards, select::Selectors};
use crate::{
    channel::say,
    connect::Connect,
    failure::{Failure, Outcome},
    render::tree::Filter,
    running::{Named, Running},
    terminal,
};

/// What was done.
pub struct Done<T> {
    /// For each workflow, in the order of their names, what it came to.
    pub done: Vec<(Named, T)>,
    /// Something failed, and was told.
    has_failed: bool,
}

/// Does `work` for each of the `given` workflows, then for those that the selectors select.
///
/// Errors: the only one that was given failed. What fails of several is told at once, and the others are done all the same:
/// see [`Done::outcome`].
pub async fn each<T>(
    connect: &Connect,
    selectors: &Selectors,
    given: &[String],
    work: impl AsyncFn(&Named) -> Result<T, Failure>,
) -> Result<Done<T>, Failure> {
    selectors.check(given)?;
    let running = Running::find(connect).await?;
    let mut all = Done { done: Vec::new(), has_failed: false };
    let is_alone = given.len() == 1 && !selectors.any();
    for name in given {
        let done = match running.named(name).await {
            Ok(named) => try_one(named, &work).await,
            Err(failure) => Err(failure),
        };
        all.note(name, done, is_alone)?;
    }
    if selectors.any() {
        let (place, connection) = running.first()?;
        for name in selectors.selected(connection).await? {
            let named = Named { place, connection: connection.clone(), name: name.clone() };
            all.note(&name, try_one(named, &work).await, false)?;
        }
    }
    Ok(all)
}

/// Does `work` for the workflow `name`, where it is.
pub async fn one<T>(
    connect: &Connect,
    name: &str,
    work: impl AsyncFn(&Named) -> Result<T, Failure>,
) -> Result<(Named, T), Failure> {
    one_of(&Running::find(connect).await?, name, work).await
}

/// As [`one`], of these places.
pub async fn one_of<T>(
    running: &Running,
    name: &str,
    work: impl AsyncFn(&Named) -> Result<T, Failure>,
) -> Result<(Named, T), Failure> {
    try_one(running.named(name).await?, &work).await
}

/// The object of a workflow.
pub async fn object_of(named: &Named) -> Result<DynamicObject, Failure> {
    Ok(objects::get(&named.connection.client, &named.connection.namespace, &named.name).await?)
}

async fn try_one<T>(named: Named, work: &impl AsyncFn(&Named) -> Result<T, Failure>) -> Result<(Named, T), Failure> {
    match work(&named).await {
        Ok(done) => Ok((named, done)),
        Err(failure) => Err(named.missing_or(failure).await),
    }
}

impl<T> Done<T> {
    fn note(&mut self, name: &str, done: Result<(Named, T), Failure>, is_alone: bool) -> Outcome {
        match done {
            Ok(done) => self.done.push(done),
            Err(failure) if is_alone => return Err(failure),
            Err(failure) => self.has_failed = tell(name, failure).is_err(),
        }
        Ok(())
    }

    /// Errors: something failed.
    pub fn outcome(&self) -> Outcome {
        if self.has_failed { Err(Failure::Told) } else { Ok(()) }
    }
}

/// Tells what failed of several, with its name. Errors: that it was told.
pub fn tell(name: &str, failure: Failure) -> Outcome {
    if matches!(failure, Failure::Input(_)) {
        _ = failure.report();
    } else {
        let line = failure.line();
        let of = if line.contains(name) { String::new() } else { format!("{}: ", terminal::line(name)) };
        say!("error: {of}{line}");
    }
    Err(Failure::Told)
}

impl Done<Option<DynamicObject>> {
    /// Those that are there.
    pub fn present(self) -> Done<DynamicObject> {
        let done = self.done.into_iter().filter_map(|(named, object)| Some((named, object?))).collect();
        Done { done, has_failed: self.has_failed }
    }
}

impl Done<DynamicObject> {
    /// The workflows.
    pub fn objects(&self) -> Vec<DynamicObject> {
        self.done.iter().map(|(_, object)| object.clone()).collect()
    }

    /// Follows the workflows as the flags say, those of one place after those of another.
    ///
    /// Errors: something failed, or one did not succeed.
    pub async fn follow(self, afterwards: Afterwards, connect: &Connect) -> Outcome {
        let mut outcome = self.outcome();
        for (connection, objects) in self.places() {
            match afterwards.follow(&connection.client, objects, Filter::default(), connect).await {
                Err(Failure::Workflow) if outcome.is_ok() => outcome = Err(Failure::Workflow),
                Ok(()) | Err(Failure::Workflow) => {}
                Err(other) => return Err(other),
            }
        }
        outcome
    }

    fn places(self) -> Vec<(Connection, Vec<DynamicObject>)> {
        let mut places: Vec<(usize, Connection, Vec<DynamicObject>)> = Vec::new();
        for (named, object) in self.done {
            match places.iter_mut().find(|(place, _, _)| *place == named.place) {
                Some((_, _, objects)) => objects.push(object),
                None => places.push((named.place, named.connection, vec![object])),
            }
        }
        places.into_iter().map(|(_, connection, objects)| (connection, objects)).collect()
    }
}
