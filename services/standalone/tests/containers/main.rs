//! The whole system with a real Docker or Podman, when `ARGOSY_TEST_RUNTIME` names one (`docker` or `podman`): steps that
//! lay links and pipes where the executor looks, so that it reads or writes files of the machine for them. Skipped
//! otherwise, and says so.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_node::Runtime;
use argosy_standalone::{Handle, Options, Standalone};
use kube::api::{DynamicObject, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tempfile::TempDir;

const IMAGE: &str = "localhost/argosy-test:hostile";
/// What no step is to have.
const SECRET: &str = "HOST-ONLY-SECRET";
/// Steps that have not ended by then never will.
const PATIENCE: Duration = Duration::from_secs(240);

/// The engine that the environment asks for, with the image made; `None` when nothing is to be tested.
fn engine() -> Result<Option<(&'static str, Runtime)>> {
    let (program, runtime) = match std::env::var("ARGOSY_TEST_RUNTIME").as_deref() {
        Ok("docker") => ("docker", Runtime::Docker),
        Ok("podman") => ("podman", Runtime::Podman),
        _ => return Ok(None),
    };
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let bin = std::env::split_paths(&paths).find(|dir| dir.join("busybox").exists()).context("no busybox on PATH")?;
    let dir = TempDir::new()?;
    let tar = dir.path().join("image.tar");
    run(Command::new("tar").arg("-C").arg(&bin).arg("-cf").arg(&tar).arg("busybox"))?;
    run(Command::new(program).arg("import").arg(&tar).arg(IMAGE))?;
    Ok(Some((program, runtime)))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Removes the image, and what is left of its containers: with a data directory the next life of the node would do that.
fn clean_up(program: &str) -> Result<()> {
    let left = Command::new(program).args(["ps", "-aq", "--filter", &format!("ancestor={IMAGE}")]).output()?;
    for container in String::from_utf8(left.stdout)?.split_whitespace() {
        run(Command::new(program).args(["rm", "-f", container]))?;
    }
    run(Command::new(program).args(["rmi", IMAGE]))
}

/// Files of the machine that belong to no step.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Result<Self> {
        let dir = TempDir::new()?;
        for name in ["secret", "victim"] {
            fs::write(dir.path().join(name), SECRET)?;
        }
        Ok(Self { dir })
    }

    /// Nobody wrote to them, nor laid anything beside them.
    fn is_untouched(&self) -> Result<()> {
        let mut names: Vec<_> =
            fs::read_dir(self.dir.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
        names.sort();
        ensure!(names == ["secret", "victim"], "{names:?}");
        for name in names {
            ensure!(fs::read(self.dir.path().join(&name))? == SECRET.as_bytes(), "{name:?} was written to");
        }
        Ok(())
    }
}

/// A template whose step runs the script and then has an output: of `kind`, at `path`.
fn step(name: &str, script: &str, (kind, path): (&str, &str), host: &Path) -> Value {
    let output = match kind {
        "parameter" => json!({"parameters": [{"name": "out", "valueFrom": {"path": path}}]}),
        _ => json!({"artifacts": [{"name": "out", "path": path, "archive": {"none": {}}}]}),
    };
    json!({
        "name": name,
        "outputs": output,
        "volumes": [{"name": "vol", "emptyDir": {}}],
        "container": {
            "image": IMAGE, "imagePullPolicy": "Never",
            "command": ["/busybox", "sh", "-ec", format!("PATH=/nowhere; b=/busybox; $b mkdir -p /tmp; {script}")],
            "env": [{"name": "HOST", "value": host}],
            "volumeMounts": [{"name": "vol", "mountPath": "/vol"}],
        },
    })
}

/// Where the executor of the step's pod keeps, or once kept, what it takes out of the step.
const OWN: &str = "/var/run/argo/outputs/parameters/tmp";

fn templates(host: &Path) -> Vec<Value> {
    let own = format!("$b rm -rf /var/run/argo/outputs; $b mkdir -p {OWN}");
    let parameter = |path| ("parameter", path);
    let artifact = |path| ("artifact", path);
    vec![
        // That outputs do come out.
        step("plain-parameter", "$b echo fine > /tmp/x", parameter("/tmp/x"), host),
        step("plain-artifact", "$b echo fine > /vol/x", artifact("/vol/x"), host),
        // The output itself is a link, or lies behind one.
        step("link", "$b ln -s $HOST/secret /tmp/x", parameter("/tmp/x"), host),
        step("behind-link", "$b ln -s $HOST /tmp/dir", parameter("/tmp/dir/secret"), host),
        step("volume-link", "$b ln -s $HOST/secret /vol/x", parameter("/vol/x"), host),
        step("behind-volume-link", "$b ln -s $HOST /vol/dir", parameter("/vol/dir/secret"), host),
        step("artifact-link", "$b ln -s $HOST/secret /tmp/x", artifact("/tmp/x"), host),
        step("artifact-volume-link", "$b ln -s $HOST/secret /vol/x", artifact("/vol/x"), host),
        step("artifact-behind-volume-link", "$b ln -s $HOST /vol/dir", artifact("/vol/dir/secret"), host),
        step("directory-with-link", "$b mkdir /vol/d; $b ln -s $HOST /vol/d/up", artifact("/vol/d"), host),
        // What the executor would keep its copy in is one.
        step("own-link-read", &format!("{own}; $b ln -s $HOST/secret {OWN}/x"), parameter("/tmp/x"), host),
        step(
            "own-link-written",
            &format!("{own}; $b ln -s $HOST/victim {OWN}/x; $b echo OWNED > /tmp/x"),
            parameter("/tmp/x"),
            host,
        ),
        step(
            "own-directory-link",
            &format!("{own}; $b rmdir {OWN}; $b ln -s $HOST {OWN}; $b echo OWNED > /tmp/new"),
            parameter("/tmp/new"),
            host,
        ),
        step(
            "own-exit-code",
            "for f in exitcode stdout stderr combined progress template; do $b rm -rf /var/run/argo/$f /var/run/argo/ctr/main/$f; \
             $b mkdir -p /var/run/argo/ctr/main; $b ln -s $HOST/victim /var/run/argo/$f; \
             $b ln -s $HOST/victim /var/run/argo/ctr/main/$f; done; $b echo OWNED > /tmp/x",
            parameter("/tmp/x"),
            host,
        ),
        // A pipe that nobody writes to.
        step("pipe", "$b mkfifo /tmp/x", parameter("/tmp/x"), host),
        step("volume-pipe", "$b mkfifo /vol/x", parameter("/vol/x"), host),
        step("artifact-volume-pipe", "$b mkfifo /vol/x", artifact("/vol/x"), host),
    ]
}

/// No file of the store has the secret, and no link leads to it.
fn has_no_secret(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            has_no_secret(&path)?;
        } else if kind.is_file() {
            let bytes = fs::read(&path)?;
            ensure!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{} has it", path.display());
        } else {
            let target = fs::read_link(&path).with_context(|| format!("{} is no file", path.display()))?;
            ensure!(target.is_relative(), "{} leads to {}", path.display(), target.display());
        }
    }
    Ok(())
}

async fn ended(system: &Handle, templates: Vec<Value>) -> Result<Value> {
    let tasks: Vec<Value> =
        templates.iter().map(|template| json!({"name": template["name"], "template": template["name"]})).collect();
    let main = json!({"name": "main", "failFast": false, "dag": {"failFast": false, "tasks": tasks}});
    let templates = [vec![main], templates].concat();
    let workflow = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "hostile", "namespace": "argo"},
        "spec": {"entrypoint": "main", "parallelism": 4, "templates": templates},
    });
    let workflows = argosy_objects::api::workflows(&system.client("argo"), "argo");
    workflows.create(&PostParams::default(), &serde_json::from_value(workflow)?).await?;
    let has_ended = |object: Option<&DynamicObject>| {
        let phase = object.and_then(|object| object.data.pointer("/status/phase")?.as_str());
        phase.is_some_and(|phase| ["Succeeded", "Failed", "Error"].contains(&phase))
    };
    let waited = tokio::time::timeout(PATIENCE, await_condition(workflows.clone(), "hostile", has_ended)).await;
    let object = workflows.get("hostile").await?;
    waited.with_context(|| format!("it does not end: {:#}", object.data["status"]["nodes"]))??;
    Ok(argosy_objects::api::to_json(&object)?)
}

async fn steps_get_nothing_of_the_machine(runtime: Runtime) -> Result<()> {
    let (host, data) = (Host::new()?, TempDir::new()?);
    let mut options = Options::new(std::env::current_exe()?);
    (options.data_dir, options.runtime) = (Some(data.path().join("data")), runtime);
    let s3 = json!({"s3": {"bucket": "argosy", "endpoint": "local", "insecure": true}});
    options.config.artifact_repository = Some(serde_json::from_value(s3)?);
    let system = Standalone::start(options).await?;
    let templates = templates(host.dir.path());
    let names: Vec<String> = templates.iter().filter_map(|t| Some(t["name"].as_str()?.to_owned())).collect();
    let workflow = ended(&system, templates).await?;
    system.shutdown().await?;
    let nodes = workflow["status"]["nodes"].as_object().context("no nodes")?;
    let node = |name: &str| nodes.values().find(|node| node["displayName"] == name).context(name.to_owned());
    let value = |name: &str| anyhow::Ok(node(name)?["outputs"]["parameters"][0]["value"].clone());
    for name in &names {
        let node = node(name)?;
        eprintln!("{name}: {} {}", node["phase"], node["message"]);
    }
    ensure!(value("plain-parameter")? == "fine", "{}", node("plain-parameter")?);
    ensure!(node("plain-artifact")?["phase"] == "Succeeded", "{}", node("plain-artifact")?);
    ensure!(value("own-link-written")? == "OWNED", "its output is its own: {}", node("own-link-written")?);
    for name in names.iter().filter(|name| name.contains("pipe")) {
        ensure!(node(name)?["phase"] != "Succeeded", "a pipe has no content: {}", node(name)?);
    }
    let status = workflow["status"].to_string();
    ensure!(!status.contains(SECRET), "it came out: {status}");
    has_no_secret(&data.path().join("data/artifacts"))?;
    host.is_untouched()
}

/// Not the usual harness, as the node starts this program for some of what it does.
fn main() -> Result<ExitCode> {
    if let Some(code) = argosy_standalone::dispatch() {
        return Ok(code);
    }
    match engine()? {
        Some((program, runtime)) => {
            tokio::runtime::Runtime::new()?.block_on(steps_get_nothing_of_the_machine(runtime))?;
            clean_up(program)?;
        }
        None => eprintln!("skipped: ARGOSY_TEST_RUNTIME is neither docker nor podman"),
    }
    Ok(ExitCode::SUCCESS)
}
