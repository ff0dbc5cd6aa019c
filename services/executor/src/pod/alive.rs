//! How one container of a pod knows that another has ended: by a file that its wrapper holds locked.

use std::fs::File;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::layout::Layout;
use crate::work::blocking;

/// Between looks for a container that has not started.
const LOOK: Duration = Duration::from_millis(10);
/// The longest such pause.
const LOOK_MAX: Duration = Duration::from_millis(200);
/// Bytes of an exit code.
const CODE_MAX: u64 = 16;

/// Says that the container has started, until the returned file is closed.
/// Errors: `File`.
pub(super) fn hold(layout: &Layout, container: &str) -> Result<File, Error> {
    let path = layout.alive(container);
    let part = path.with_extension("part");
    let file = layout.create(&part)?;
    file.lock().map_err(layout.error(&part))?;
    // whoever sees it finds it locked
    layout.rename(&part, &path)?;
    Ok(file)
}

/// Waits for the end of a container and gives the exit code that its wrapper left; `None` where it left none, as it was
/// killed, or where it has not started by the time of `stopping`.
/// Errors: `File`.
pub(super) async fn ended(
    layout: &Layout,
    container: &str,
    stopping: &CancellationToken,
) -> Result<Option<i32>, Error> {
    let path = layout.alive(container);
    let mut pause = LOOK;
    while !layout.has(&path)? {
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = LOOK_MAX.min(pause * 3 / 2),
            () = stopping.cancelled() => return Ok(None),
        }
    }
    let file = layout.at(&path).file().map_err(layout.error(&path))?;
    let failed = layout.error(&path);
    blocking(move |_| file.lock_shared().map_err(failed)).await?;
    let code = layout.read(&layout.exit_code(container), CODE_MAX)?;
    Ok(code.and_then(|code| String::from_utf8_lossy(&code).trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use argosy_beneath::Dir;

    use super::*;

    fn layout(dir: &tempfile::TempDir) -> Layout {
        Layout::shared(Dir::open(dir.path()).expect("open"))
    }

    #[tokio::test]
    async fn an_end_is_seen_with_and_without_an_exit_code() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (layout, stopping) = (layout(&dir), CancellationToken::new());
        for (container, code) in [("main", Some(3)), ("killed", None)] {
            let alive = hold(&layout, container).expect("held");
            let ending = ended(&layout, container, &stopping);
            let mut ending = std::pin::pin!(ending);
            let early = tokio::time::timeout(Duration::from_millis(30), ending.as_mut()).await;
            assert!(early.is_err(), "{container} has not ended");
            if let Some(code) = code {
                layout.write(&layout.exit_code(container), code.to_string().as_bytes()).expect("written");
            }
            drop(alive);
            assert_eq!(ending.await.expect("seen"), code, "{container}");
        }
    }

    #[tokio::test]
    async fn what_never_started_is_not_waited_for_at_the_end() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let stopping = CancellationToken::new();
        stopping.cancel();
        assert_eq!(ended(&layout(&dir), "main", &stopping).await.expect("seen"), None);
    }
}
