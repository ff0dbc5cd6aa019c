//! Flags that say which workflows a command means.

use std::time::Duration;

use argosy_client::{Connection, select};
use argosy_engine::ops::selector::NodeSelector;
use clap::Args;

use crate::{
    duration,
    failure::{self, Failure},
    phases,
};

/// Filters of `list` and `delete`.
#[derive(Args, Clone, Debug, Default)]
pub struct Filters {
    /// Workflows that have ended
    #[arg(long)]
    pub completed: bool,
    /// Workflows in one of these phases: Pending,Running,Succeeded,Failed,Error
    #[arg(long, value_name = "PHASES", value_delimiter = ',', value_parser = phases::workflow(), hide_possible_values = true)]
    pub status: Vec<String>,
    /// Workflows that ended longer ago than this: 10m, 3h, 1d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub older: Option<Duration>,
    /// Workflows whose names start so
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Workflows that were resubmitted
    #[arg(long)]
    pub resubmitted: bool,
    #[command(flatten)]
    pub selectors: Selectors,
}

impl Filters {
    /// Those that the API server does not apply.
    pub fn plain(&self) -> select::Filters {
        select::Filters {
            completed: self.completed,
            phases: self.status.clone(),
            older: self.older,
            prefix: self.prefix.clone(),
            resubmitted: self.resubmitted,
        }
    }
}

/// Selectors that the API applies.
#[derive(Args, Clone, Debug, Default)]
pub struct Selectors {
    /// Label selector: a=b,c!=d
    #[arg(short = 'l', long = "selector", value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Field selector: metadata.name=x
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
}

impl Selectors {
    /// True when one is given.
    pub fn any(&self) -> bool {
        self.selector.is_some() || self.field_selector.is_some()
    }

    /// As the client takes them.
    pub fn plain(&self) -> select::Selectors {
        select::Selectors { labels: self.selector.clone(), fields: self.field_selector.clone() }
    }

    /// Errors: neither a name is given nor a selector.
    pub fn check(&self, given: &[String]) -> Result<(), Failure> {
        if given.is_empty() && !self.any() {
            return Err(Failure::Usage("name a workflow, or select some with -l or --field-selector".to_owned()));
        }
        Ok(())
    }

    /// The names of those that are selected; none without a selector.
    pub async fn selected(&self, connection: &Connection) -> Result<Vec<String>, Failure> {
        if !self.any() {
            return Ok(Vec::new());
        }
        let namespace = Some(connection.namespace.as_str());
        let found = select::fetch(&connection.client, namespace, &self.plain(), None, &failure::warn).await?;
        Ok(found.into_iter().map(|(workflow, _)| workflow.metadata.name).collect())
    }
}

/// Reads a node field selector. Errors: a term that is no comparison.
pub fn selector(text: Option<&str>) -> Result<Option<NodeSelector>, Failure> {
    text.map(|text| NodeSelector::parse(text).map_err(|error| Failure::Usage(error.to_string()))).transpose()
}
