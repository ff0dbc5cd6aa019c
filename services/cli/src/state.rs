//! Where Argosy keeps small things on this machine.

use std::path::PathBuf;

/// Where Argosy keeps small things between runs: `$XDG_STATE_HOME/argosy`, else `~/.local/state/argosy`; `None` where
/// neither `XDG_STATE_HOME` nor `HOME` is set, as what all users share is no place for it.
pub fn dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    Some(base?.join("argosy"))
}

/// Where a running `argosy dev` leaves its kubeconfig for the other commands.
pub fn dev_kubeconfig() -> Option<PathBuf> {
    Some(dir()?.join("kubeconfig"))
}
