//! Work that blocks or takes long, off the threads that everything else runs on.

use argosy_beneath::Cancel;
use tokio::sync::Semaphore;

use crate::Error;

/// So much of such work is done at a time in this process, whatever the number of pods.
const AT_ONCE_MAX: usize = 64;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE_MAX);

/// Runs `work` on a thread that may block. It is told when nobody waits for it any more.
/// Errors: what it says; `Panic`.
pub(crate) async fn blocking<T: Send + 'static, E: Send + 'static>(
    work: impl FnOnce(&Cancel) -> Result<T, E> + Send + 'static,
) -> Result<T, Error>
where
    Error: From<E>,
{
    // never closed
    let turn = TURNS.acquire().await.ok();
    let cancel = Cancel::default();
    let _gone = cancel.on_drop();
    let done = tokio::task::spawn_blocking(move || {
        // held by the work itself: it may go on for a moment when nobody waits
        let _turn = turn;
        work(&cancel)
    });
    match done.await {
        Ok(done) => done.map_err(Error::from),
        Err(error) => Err(Error::Panic { text: error.to_string() }),
    }
}
