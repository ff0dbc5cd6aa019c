//! `argosy version`.

use clap::Args;
use serde_json::json;

use crate::{failure::Outcome, output, output::Output};

/// The Argo Workflows release whose behaviour this follows.
const ARGO_WORKFLOWS: &str = "v4.1.2";

/// Print the version
#[derive(Args, Debug)]
pub struct Version {
    /// The number only
    #[arg(long)]
    short: bool,
    /// Form of the output
    #[arg(short, long, value_name = "FORM")]
    output: Option<Output>,
}

impl Version {
    pub fn run(self) -> Outcome {
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
        let value = json!({ "version": version, "argoWorkflows": ARGO_WORKFLOWS, "platform": platform });
        match self.output {
            Some(form @ (Output::Json | Output::Yaml)) => {
                output::objects(&[value], Some(form), crate::render::Style::default())?
            }
            _ if self.short => output::print(&format!("argosy: {version}\n")),
            _ => output::print(&format!(
                "argosy: {version}\n  Follows: Argo Workflows {ARGO_WORKFLOWS}\n  Platform: {platform}\n"
            )),
        }
        Ok(())
    }
}
