//! `argosy completion`.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{failure::Outcome, output};

/// Print the completion script of a shell: source <(argosy completion bash)
#[derive(Args, Debug)]
pub struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    /// Prints the script for `cli`, the whole command line.
    pub fn run(self, mut cli: Command) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli, "argosy", &mut script);
        output::print_exact(&String::from_utf8_lossy(&script));
        Ok(())
    }
}
