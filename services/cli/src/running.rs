//! Where workflows are that commands are about: at the API server that the user names, or in the systems of this machine.

use anyhow::Context;
use argosy_client::{Connection, Error, objects};

use crate::{
    connect::Connect,
    failure::Failure,
    reach::{self, Kind, System},
    terminal,
};

/// The places, the `argosy dev` that was started last first.
pub struct Running {
    places: Vec<Place>,
}

struct Place {
    /// `None` for the only place, where the user says where it is or no system of this machine runs.
    system: Option<System>,
    connection: Connection,
}

/// A workflow, as it is named, where it is.
#[derive(Clone)]
pub struct Named {
    /// The number of the place; those of one place are equal.
    pub place: usize,
    /// To the place.
    pub connection: Connection,
    /// The name; not `@latest`.
    pub name: String,
}

impl Running {
    /// The places that there are.
    ///
    /// Errors: a kubeconfig that cannot be used, or none at all.
    pub async fn find(connect: &Connect) -> Result<Self, Failure> {
        let systems =
            if connect.is_named() { Vec::new() } else { reach::systems().await.context("find running workflows")? };
        let mut places = Vec::new();
        for system in systems {
            let connection = connect.at(&system).await?;
            places.push(Place { system: Some(system), connection });
        }
        if places.is_empty() {
            places.push(Place { system: None, connection: connect.open().await? });
        }
        Ok(Self { places })
    }

    /// All places; each with its name where there are several.
    pub fn all(self) -> Vec<(Option<String>, Connection)> {
        let are_several = self.places.len() > 1;
        let label = |place: &Place| place.system.as_ref().filter(|_| are_several).map(System::label);
        self.places.into_iter().map(|place| (label(&place), place.connection)).collect()
    }

    /// The place of workflows that are not named: the `argosy dev` that was started last, or the only `argosy run`, which lives
    /// as long as its workflows.
    ///
    /// Errors: there are several `argosy run` and nothing else.
    pub fn first(&self) -> Result<(usize, &Connection), Failure> {
        match self.places.as_slice() {
            [first, _, ..] if first.is_run() => Err(unclear("several `argosy run` are going on", &self.places)),
            _ => self.at(0),
        }
    }

    /// The workflow `name` in the place that has it; where none has it, the first.
    ///
    /// Errors: several have one of this name; for `@latest`, there is none.
    pub async fn named(&self, name: &str) -> Result<Named, Failure> {
        let place = self.holder(name).await?;
        let (_, connection) = self.at(place)?;
        let name = objects::name(&connection.client, &connection.namespace, name).await?;
        Ok(Named { place, connection: connection.clone(), name })
    }

    async fn holder(&self, name: &str) -> Result<usize, Failure> {
        if self.places.len() == 1 {
            return Ok(0);
        }
        let mut holders = Vec::new();
        for (index, Place { connection, .. }) in self.places.iter().enumerate() {
            match objects::get_opt(&connection.client, &connection.namespace, name).await {
                Ok(Some(object)) => holders.push((object.metadata.creation_timestamp, index)),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, index, "look for a workflow");
                }
            }
        }
        if name == objects::LATEST {
            holders.sort();
            holders.drain(..holders.len().saturating_sub(1));
        }
        match holders.as_slice() {
            [] => Ok(0),
            [(_, one)] => Ok(*one),
            several => Err(unclear(
                &format!("several systems of this machine have a workflow of the name {name}"),
                several.iter().filter_map(|(_, index)| self.places.get(*index)),
            )),
        }
    }

    fn at(&self, index: usize) -> Result<(usize, &Connection), Failure> {
        let place = self.places.get(index).context("no place for workflows")?;
        Ok((index, &place.connection))
    }
}

impl Place {
    fn is_run(&self) -> bool {
        self.system.as_ref().is_some_and(|system| system.kind == Kind::Run)
    }
}

impl Named {
    /// `failure`, unless it comes from there being no such workflow: then that, and where it was looked for.
    pub async fn missing_or(&self, failure: Failure) -> Failure {
        let namespace = &self.connection.namespace;
        match objects::get(&self.connection.client, namespace, &self.name).await {
            Err(error @ (Error::NotFound(_) | Error::NoWorkflow)) => {
                Failure::Other(anyhow::anyhow!("{error} in namespace {namespace}"))
            }
            Err(error @ Error::NotFoundBut { .. }) => error.into(),
            _ => failure,
        }
    }
}

/// It cannot be told which of the systems is meant.
fn unclear<'a>(why: &str, places: impl IntoIterator<Item = &'a Place>) -> Failure {
    let each = |system: &System| {
        format!("\n  --kubeconfig {}  ({})", terminal::word(&system.path.to_string_lossy()), system.description())
    };
    let systems = places.into_iter().filter_map(|place| place.system.as_ref());
    Failure::Usage(format!("{why}; say which one is meant:{}", systems.map(each).collect::<String>()))
}
