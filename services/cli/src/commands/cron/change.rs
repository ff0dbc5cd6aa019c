//! `argosy cron delete`, `suspend` and `resume`.

use argosy_client::objects;
use clap::Args;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use super::show::KIND;
use crate::{connect::Connect, failure::Outcome, output};

#[derive(Args, Debug)]
pub struct Names {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Delete {
    /// Names
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "selector"])]
    names: Vec<String>,
    /// All of the namespace
    #[arg(long)]
    all: bool,
    /// Those with these labels: a=b,c!=d
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
}

impl Names {
    pub async fn suspend(self, suspend: bool, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let api = objects::api(&connection.client, KIND, Some(&connection.namespace));
        for name in &self.names {
            let patch = Patch::Merge(json!({ "spec": { "suspend": suspend } }));
            api.patch(objects::checked(name)?, &PatchParams::default(), &patch).await?;
            let said = if suspend { "suspended" } else { "resumed" };
            output::print(&format!("{KIND} '{name}' {said}\n"));
        }
        Ok(())
    }
}

impl Delete {
    pub async fn run(self, connect: &Connect) -> Outcome {
        let connection = connect.open().await?;
        let api = objects::api(&connection.client, KIND, Some(&connection.namespace));
        let mut names = self.names;
        if self.all || self.selector.is_some() {
            let params = ListParams { label_selector: self.selector, ..ListParams::default() };
            names.extend(api.list(&params).await?.items.into_iter().filter_map(|object| object.metadata.name));
        }
        for name in names {
            api.delete(objects::checked(&name)?, &DeleteParams::default()).await?;
            output::print(&format!("{KIND} '{name}' deleted\n"));
        }
        Ok(())
    }
}
