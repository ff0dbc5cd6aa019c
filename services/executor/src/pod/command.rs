//! The program of the user's command, looked for as Go's `exec.LookPath` does; users of Argo know its words.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// The program that `name` is.
/// Errors: `Command`.
pub(super) fn look_up(name: &str) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = match name {
        "" => Err("exec: no command".to_owned()),
        name if name.contains('/') => match runnable(Path::new(name)) {
            Ok(()) => Ok(PathBuf::from(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: \"{name}\": stat {name}: no such file or directory"))
            }
            Err(error) => Err(format!("exec: \"{name}\": {}", plain(&error))),
        },
        name => std::env::split_paths(&path)
            .map(|dir| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir }.join(name))
            .find(|candidate| runnable(candidate).is_ok())
            .ok_or_else(|| format!("exec: \"{name}\": executable file not found in $PATH")),
    };
    found.map_err(|text| Error::Command { text })
}

fn runnable(path: &Path) -> io::Result<()> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() || meta.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// An error's text as C and Go have it: lower case, without Rust's `(os error N)`.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_as_go_does() {
        let told = |name| look_up(name).map(drop).map_err(|error| error.to_string());
        let missing = "failed to find name in PATH: exec: \"no-such-thing\": executable file not found in $PATH";
        assert_eq!(told("no-such-thing"), Err(missing.to_owned()));
        let missing = "failed to find name in PATH: exec: \"/no/such\": stat /no/such: no such file or directory";
        assert_eq!(told("/no/such"), Err(missing.to_owned()));
        assert_eq!(told("/tmp"), Err("failed to find name in PATH: exec: \"/tmp\": permission denied".to_owned()));
        assert_eq!(told("sh"), Ok(()));
    }
}
