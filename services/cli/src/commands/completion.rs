//! `argosy completion`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, failure::Outcome, output};

/// Print the completion script of a shell: source <(argosy completion bash)
#[derive(Args, Debug)]
pub struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "argosy", &mut script);
        output::print_exact(&String::from_utf8_lossy(&script));
        Ok(())
    }
}
