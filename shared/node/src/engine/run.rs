//! One run of a command in a container: made, started, followed, stopped.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Child;

use super::super::backend::Job;
use super::super::container::Stops;
use super::super::shim::log::Log;
use super::super::spec;
use super::args::{Create, Way, env_file, way};
use super::cli::{Cli, Error, said};
use super::flavor::Flavor;
use super::log::{self, Seen};
use super::state::{Begun, Finished, Next, State, next};
use super::{Engine, Prepared, files};
use argosy_private as private;

/// Name of the file that says that a container may have been made.
pub const MADE: &str = "made";
/// Name of the file with [`Begun`].
const BEGUN: &str = "begun.json";
/// Name of the file with [`Finished`].
const FINISHED: &str = "finished.json";
/// Name of the file that Podman's monitor leaves in its directory when memory ran out.
const OOM_MARK: &str = "oom";
/// Name of the file with variables, while a container is made.
const ENV_FILE: &str = "environment";
/// Pause before a signal is sent again that came too early, or a container is looked at again.
const AGAIN: Duration = Duration::from_millis(100);

impl Engine {
    /// Runs a job to its end, or finds what an earlier life of the node left of it.
    /// Errors: the container cannot be made; the engine does not answer.
    pub(super) async fn run_job(&self, job: &Job<'_>, prepared: &Prepared) -> io::Result<Finished> {
        let name = self.name(job.pod, &job.container.name);
        let container_dir = job.pod.container_dir(&job.container.name);
        let dir = container_dir.join(job.run);
        fs::create_dir_all(&dir)?;
        if let Some(finished) = spec::read_json(&dir.join(FINISHED))? {
            return Ok(finished);
        }
        let made = container_dir.join(MADE);
        let mut container = if made.exists() { inspect(self.cli, &name).await? } else { None };
        let begun: Option<Begun> = spec::read_json(&dir.join(BEGUN))?;
        let mut log = Log::open(&job.pod.log_file(&job.container.name))?;
        let step = next(begun.as_ref(), container.as_ref());
        if step == Next::Create {
            fs::write(&made, "")?;
            self.create(job, prepared).await?;
            container = None;
        }
        let finished = match step {
            Next::Lost => Finished::with_code(137),
            Next::Follow => {
                // the engine has all of it, with the times of its lines
                log.clear()?;
                self.follow(&name, job, &mut log).await?
            }
            Next::Create | Next::Start => {
                let begun = Begun::in_container(container.as_ref());
                spec::write_json(&dir.join(BEGUN), &begun)?;
                self.start(&name, &begun, job, &mut log).await?
            }
        };
        spec::write_json(&dir.join(FINISHED), &finished)?;
        Ok(finished)
    }

    async fn create(&self, job: &Job<'_>, prepared: &Prepared) -> io::Result<()> {
        let env_path = job.pod.container_dir(&job.container.name).join(ENV_FILE);
        let env_file = env_file(job.env);
        if let Some(lines) = &env_file {
            private::write(&env_path, lines).map_err(io::Error::other)?;
        }
        let create = Create {
            flavor: self.cli.flavor(),
            node: &self.node,
            pod: &job.pod.pod,
            container: job.container,
            hostname: &job.pod.hostname(),
            image: &prepared.image.name,
            argv: &job.argv,
            env: job.env,
            env_file: env_file.is_some().then_some(env_path.as_path()),
            binds: &prepared.binds,
            keep_log: self.outlive,
        };
        let mut command = self.cli.command(create.args().map_err(io::Error::other)?);
        command.envs(job.env.iter().filter(|(key, value)| way(key, value) == Way::Environment));
        let _turn = self.turns.acquire().await;
        let made = self.cli.finish(command).await;
        if env_file.is_some() {
            // Its values may be secret, and the engine has them now.
            fs::remove_file(&env_path)?;
        }
        made?;
        match job.container.working_dir.as_deref().filter(|dir| !dir.is_empty()) {
            Some(dir) if self.cli.flavor() == Flavor::Podman => {
                let scratch = job.pod.container_dir(&job.container.name).join("scratch");
                let name = self.name(job.pod, &job.container.name);
                files::make_working_dir(self.cli, &name, Path::new(dir), &scratch).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Starts the container with its output attached.
    async fn start(&self, name: &str, begun: &Begun, job: &Job<'_>, log: &mut Log) -> io::Result<Finished> {
        let dir = job.pod.container_dir(&job.container.name);
        let mut command = self.cli.command(["start", "--attach", name]);
        // Podman's monitor leaves its mark there, see below
        command.current_dir(&dir).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn()?;
        let ended = obeying(self.cli, name, job.stops, log::attached(child, log)).await?;
        if ended.status.success() {
            return Ok(Finished::with_code(0));
        }
        match inspect(self.cli, name).await? {
            // somebody has removed it
            None => Ok(Finished::with_code(137)),
            // the call ended, the container did not
            Some(state) if state.running => self.follow(name, job, log).await,
            Some(mut state) if begun.was_started(&state) => {
                // with control groups of the first version it tells nobody else that memory ran out
                state.oom_killed |= dir.join(OOM_MARK).exists();
                Ok(Finished::of(&state, &job.argv, &ended.stderr))
            }
            Some(_) => Ok(Finished::not_started(said(&ended.stderr))),
        }
    }

    /// Follows a container that was started without us to its end, with its log from the beginning.
    async fn follow(&self, name: &str, job: &Job<'_>, log: &mut Log) -> io::Result<Finished> {
        let mut seen = Seen::default();
        loop {
            let following = async {
                let child = piped(self.cli, &["logs", "--follow", "--timestamps", name])?;
                log::replayed(child, &mut seen, false, log).await?;
                // when the log ends the container need not have; it may also be gone
                let _ = self.cli.output(["wait", name]).await;
                io::Result::Ok(())
            };
            obeying(self.cli, name, job.stops, following).await?;
            match inspect(self.cli, name).await? {
                None => return Ok(Finished::with_code(137)),
                Some(state) if state.running => tokio::time::sleep(AGAIN).await,
                Some(state) => {
                    // a followed log may lack its last lines
                    let child = piped(self.cli, &["logs", "--timestamps", name])?;
                    let ended = log::replayed(child, &mut seen, true, log).await?;
                    return Ok(Finished::of(&state, &job.argv, &without_stamp(&ended.stderr)));
                }
            }
        }
    }
}

/// The state of a container; `None` when there is none of this name.
/// Errors: the engine does not answer, or not as it should.
async fn inspect(cli: Cli, name: &str) -> io::Result<Option<State>> {
    match cli.output(["container", "inspect", "--format", "{{json .State}}", name]).await {
        Ok(text) => serde_json::from_str(text.trim()).map(Some).map_err(io::Error::other),
        Err(error) if error.is_no_such_container() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn piped(cli: Cli, args: &[&str]) -> io::Result<Child> {
    cli.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Waits for `work` and passes on to the container what it is told meanwhile.
async fn obeying<T>(cli: Cli, name: &str, stops: &Stops, work: impl Future<Output = T>) -> T {
    let orders = async {
        stops.term.cancelled().await;
        tokio::select! {
            () = signal(cli, name, "TERM") => stops.kill.cancelled().await,
            () = stops.kill.cancelled() => {}
        }
        signal(cli, name, "KILL").await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        done = work => done,
        never = orders => match never {},
    }
}

/// Sends a signal, again until it arrives: a container that is being started takes none.
async fn signal(cli: Cli, name: &str, signal: &str) {
    while let Err(error) = cli.output(["kill", "--signal", signal, name]).await {
        tracing::debug!(error = &error as &dyn std::error::Error, container = name, signal, "not delivered yet");
        if matches!(error, Error::Run { .. }) || error.is_no_such_container() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The last line of what `logs --timestamps` printed, without its time.
fn without_stamp(text: &[u8]) -> Vec<u8> {
    let line = text.trim_ascii_end().rsplit(|b| *b == b'\n').next().unwrap_or_default();
    line.splitn(2, |b| *b == b' ').nth(1).unwrap_or_default().to_vec()
}

/// Whether a container may have been made with this directory.
pub fn may_exist(container_dir: &Path) -> bool {
    container_dir.join(MADE).exists()
}
