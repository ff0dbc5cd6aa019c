//! Files of containers on the host: copies of theirs, and what they left.

use std::io;
use std::path::{Path, PathBuf};

use argosy_beneath::{At, Limits, Refusal};

use super::super::{paths, remains};
use super::cli::{Cli, Error};
use super::flavor::Flavor;
use super::limited;

/// Copies a file or directory out of a container, running or not, into `scratch`, and says where it is. The engine reads
/// it, as what a container wrote need not be readable for the node.
/// Errors: `NotFound`, `OverBudget`, and what the engine says.
pub async fn copy_out(
    cli: Cli,
    executable: &Path,
    container: &str,
    path: &Path,
    scratch: &Path,
    limits: Limits,
) -> io::Result<At> {
    // an earlier copy may be a directory where this one is a file
    remains::try_remove(scratch.to_owned()).await?;
    std::fs::create_dir_all(scratch)?;
    let copy = scratch.join("copy");
    let from = format!("{container}:{}", path.display());
    let mut command = cli.limited(executable, limits.bytes_max, cli.flavor().copy());
    command.arg(from).arg(&copy);
    match cli.finish(command).await {
        Ok(_) => At::new(scratch, "copy"),
        Err(Error::Refused { text }) if limited::is_reached(&text) => {
            remains::try_remove(scratch.to_owned()).await?;
            let (what, max, raise) = (limits.what, limits.bytes_max, limits.raise);
            Err(Refusal::OverBudget { what, max, unit: "bytes", raise }.into())
        }
        Err(Error::Refused { text }) if is_missing(&text) => Err(io::Error::new(io::ErrorKind::NotFound, text)),
        Err(error) => Err(error.into()),
    }
}

fn is_missing(text: &str) -> bool {
    let text = text.to_lowercase();
    // Docker, Docker when a parent is missing, Podman
    ["could not find the file", "no such file or directory", "could not be found"]
        .iter()
        .any(|part| text.contains(part))
}

/// Removes a directory that containers may have written to as users that the node may not clean up after.
/// `image` is one that is here.
pub async fn remove_dir(cli: Cli, dir: PathBuf, image: Option<String>) {
    if remains::try_remove(dir.clone()).await.is_ok() {
        return;
    }
    let removed = match (cli.flavor(), image) {
        // the users of rootless containers are ours inside its user namespace
        (Flavor::Podman, _) => {
            let mut command = cli.command(["unshare", "rm", "-rf"]);
            command.arg(&dir);
            cli.finish(command).await
        }
        (Flavor::Docker, Some(image)) => cli.output(remove_in_container(&dir, &image)).await,
        (Flavor::Docker, None) => Err(Error::Refused { text: "no image is known to remove it with".to_owned() }),
    };
    if let Err(error) = removed {
        tracing::warn!(%error, path = %dir.display(), "cannot remove files that containers left");
    }
}

/// A container that removes a directory as root. It needs an image with `rm`, as nearly all have.
fn remove_in_container(dir: &Path, image: &str) -> Vec<String> {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let mount = format!("{}:/parent", parent.display());
    ["run", "--rm", "--pull", "never", "--network", "none", "--user", "0:0", "--security-opt", "label=disable"]
        .into_iter()
        .chain(["--volume", &mount, "--entrypoint", "rm", image, "-rf", &format!("/parent/{name}")])
        .map(str::to_owned)
        .collect()
}

/// Makes the working directory of a container that was made and not started, where its image lacks it: Podman refuses to
/// start such a container, Docker and Kubernetes make the directory.
/// Errors: those of the file system, and what the engine says.
pub async fn make_working_dir(cli: Cli, container: &str, path: &Path, scratch: &Path) -> io::Result<()> {
    let mut init = cli.command(["init", container]);
    // the container's monitor begins here, and leaves a file where it begins
    init.current_dir(scratch.parent().unwrap_or(scratch));
    match cli.finish(init).await {
        Err(Error::Refused { text }) if text.contains("workdir") && text.contains("does not exist") => {}
        other => return Ok(other.map(drop)?),
    }
    // not the other way round: to copy over a directory that is there would change its owner
    remains::try_remove(scratch.to_owned()).await?;
    std::fs::create_dir_all(paths::below(scratch, path))?;
    cli.output(["cp", &format!("{}/.", scratch.display()), &format!("{container}:/")]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_missing;

    #[test]
    fn a_missing_file_is_known_by_what_the_engines_say() {
        assert!(is_missing("Could not find the file /nosuch in container x4"));
        assert!(is_missing("lstat /var/lib/docker/overlay2/x/merged/no: no such file or directory"));
        assert!(is_missing("\"/nosuch\" could not be found on container x4: no such file or directory"));
        assert!(!is_missing("Cannot connect to the Docker daemon at unix:///var/run/docker.sock"));
    }
}
