//! The program that is judged.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Where it is: the one named, else `argosy` next to this program. Errors: it is not there.
pub fn path(named: Option<&Path>) -> Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => env::current_exe().context("find this program")?.with_file_name("argosy"),
    };
    if !path.is_file() {
        bail!("{} does not exist: build it with `cargo build -p argosy-cli`, or name it with --argosy", path.display());
    }
    path.canonicalize().with_context(|| format!("resolve {}", path.display()))
}
