//! `wait`, second half: gathers what the main containers left.

use std::io;
use std::path::Path;

use argosy_api::executor::{MAIN, paths::MAIN_FILES};
use argosy_api::v1alpha1::{ArchiveStrategy, Artifact, ArtifactLocation, Outputs, Parameter, Template};
use argosy_artifacts::{Archive, Place, Source, Stores, place_of};

use crate::layout::{Layout, Problem, RESULT_MAX, is_mounted, mains, user_mounts};
use crate::limits::OWN_BYTES_MAX;
use crate::{Error, Limits};

/// What `wait` works with.
pub struct Gatherer<'a> {
    /// The substituted template.
    pub template: &'a Template,
    /// The volume that all containers share.
    pub layout: &'a Layout,
    /// Where artifacts are kept.
    pub stores: &'a dyn Stores,
    /// Where artifacts go that say nothing of it.
    pub key_prefix: &'a str,
    /// Whether standard output of `main` is the result.
    pub include_result: bool,
    /// How much is taken.
    pub limits: Limits,
}

/// What was found. Errors do not hide the outputs that are there.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The outputs, as the node will have them.
    pub outputs: Outputs,
    /// `N/M`, the last that was reported while the user's program ran.
    pub progress: Option<String>,
    /// What is missing, in order.
    pub errors: Vec<Error>,
    /// A parameter is missing, or the result: the only thing that is told.
    is_of_parameter: bool,
}

impl Gathered {
    /// What is missing, as Argo tells it: the first parameter; else each artifact, with a separator behind it, also the last.
    pub fn told(&self) -> String {
        match self.errors.first() {
            Some(error) if self.is_of_parameter => error.to_string(),
            _ => self.errors.iter().map(|error| format!("{error}; ")).collect(),
        }
    }
}

impl Gatherer<'_> {
    /// Gathers result, parameters, artifacts and logs.
    pub async fn gather(&self) -> Gathered {
        let mut gathered = Gathered::default();
        let problems = match self.layout.read_problems() {
            Ok(problems) => problems,
            Err(error) => {
                gathered.errors.push(error);
                Vec::new()
            }
        };
        if self.include_result {
            match self.result() {
                Ok(result) => gathered.outputs.result = result,
                Err(error) => gathered.errors.push(error),
            }
        }
        let mut parameters = self.template.outputs.parameters.iter();
        while let Some(parameter) = parameters.next() {
            match self.parameter(parameter, &problems) {
                Ok(parameter) => gathered.outputs.parameters.push(parameter),
                Err(error) => {
                    gathered.errors.push(error);
                    // As in Argo: it stands there without a value, and so do those behind it. A resource tells nothing then.
                    if self.template.resource.is_none() {
                        gathered.outputs.parameters.push(parameter.clone());
                        gathered.outputs.parameters.extend(parameters.cloned());
                    }
                    break;
                }
            }
        }
        gathered.is_of_parameter = !gathered.errors.is_empty();
        for artifact in &self.template.outputs.artifacts {
            match self.artifact(artifact, &problems).await {
                Ok(Some(artifact)) => gathered.outputs.artifacts.push(artifact),
                Ok(None) => {}
                Err(error) => gathered.errors.push(error),
            }
        }
        match self.logs().await {
            Ok(artifacts) => gathered.outputs.artifacts.extend(artifacts),
            Err(error) => gathered.errors.push(error),
        }
        gathered
    }

    fn result(&self) -> Result<Option<String>, Error> {
        // the end of what a program wrote, but all of the executor's own JSON: both were measured when they were left
        let bytes = self.layout.read(&self.layout.stdout(MAIN), OWN_BYTES_MAX)?;
        Ok(bytes.map(|bytes| {
            let kept = if self.template.data.is_some() { bytes.len() } else { RESULT_MAX };
            let end = bytes.get(bytes.len().saturating_sub(kept)..).unwrap_or_default();
            without_newline(String::from_utf8_lossy(end).into_owned())
        }))
    }

    fn parameter(&self, parameter: &Parameter, problems: &[Problem]) -> Result<Parameter, Error> {
        let mut output = parameter.clone();
        let Some(from) = parameter.value_from.as_ref() else {
            return Ok(output);
        };
        let of_resource = !from.json_path.is_empty() || !from.jq_filter.is_empty();
        let path = match from.path.is_empty() {
            false => self.layout.parameter(&from.path),
            true if of_resource => self.layout.resource_parameter(&parameter.name),
            true => return Ok(output),
        };
        if let Some(problem) = problem(problems, &from.path) {
            return Err(refused("parameter", &parameter.name, problem));
        }
        let value = match self.layout.read(&path, self.limits.outputs_bytes_max)? {
            Some(bytes) if of_resource => String::from_utf8_lossy(&bytes).into_owned(),
            Some(bytes) => without_newline(String::from_utf8_lossy(&bytes).into_owned()),
            None => match &from.default {
                Some(default) => default.to_string(),
                None => return Err(self.missing(&path, &from.path, |path| format!("open {path}:"))),
            },
        };
        output.value = Some(value.into());
        Ok(output)
    }

    async fn artifact(&self, artifact: &Artifact, problems: &[Problem]) -> Result<Option<Artifact>, Error> {
        let failed = |source| Error::Artifact { name: artifact.name.clone(), action: "save", source };
        if artifact.path.is_empty() {
            return Ok(None);
        }
        if let Some(problem) = problem(problems, &artifact.path) {
            return Err(refused("artifact", &artifact.name, problem));
        }
        let file = self.layout.artifact_of(artifact);
        if !self.layout.has(&file)? {
            return match artifact.optional {
                true => Ok(None),
                false => {
                    Err(self.missing(&self.layout.artifact(&artifact.path), &artifact.path, |path| {
                        match &artifact.archive {
                            Some(ArchiveStrategy { none: Some(_), .. }) => artifact.path.clone(),
                            _ => format!("stat {path}:"),
                        }
                    }))
                }
            };
        }
        let mut output = artifact.clone();
        if output.path.len() > 1 {
            output.path = output.path.trim_end_matches('/').to_owned();
        }
        let archive = Archive::of(artifact.archive.as_ref());
        output.location = self.location(artifact, &archive.file_name(&output)).map_err(failed)?;
        // not moved: after a restart this may run again
        self.save(&output.location, Source::Copy(&self.layout.at(&file))).await.map_err(failed)?;
        Ok(Some(output))
    }

    /// An output is not there. One in a volume of the user's is looked for where `wait` has that; any other was to be left in
    /// ours.
    fn missing(&self, file: &Path, path: &str, in_volume: impl Fn(String) -> String) -> Error {
        // so it is inside of an input artifact, which is a mount too
        let is_input = |input: &Artifact| {
            !input.path.is_empty() && Path::new(path).starts_with(&input.path) && place_of(&input.location).is_ok()
        };
        let inputs = &self.template.inputs.artifacts;
        match is_mounted(path, &user_mounts(self.template)) || inputs.iter().any(is_input) {
            true => Error::Missing { doing: in_volume(format!("{MAIN_FILES}{path}")) },
            false => self.layout.error(file)(io::ErrorKind::NotFound.into()),
        }
    }

    /// The logs of the main containers as artifacts, when the template asks for them. Those of a container that never ran are
    /// not there.
    async fn logs(&self) -> Result<Vec<Artifact>, Error> {
        let mut saved = Vec::new();
        if self.template.archive_location.as_ref().and_then(|l| l.archive_logs) != Some(true) {
            return Ok(saved);
        }
        for container in mains(self.template) {
            let file = self.layout.combined(&container);
            if !self.layout.has(&file)? {
                continue;
            }
            let mut artifact = Artifact { name: format!("{container}-logs"), ..Artifact::default() };
            let name = artifact.name.clone();
            let failed = |source| Error::Artifact { name: name.clone(), action: "save", source };
            artifact.location = self.location(&artifact, &format!("{container}.log")).map_err(failed)?;
            self.save(&artifact.location, Source::Copy(&self.layout.at(&file))).await.map_err(failed)?;
            saved.push(artifact);
        }
        Ok(saved)
    }

    async fn save(&self, location: &ArtifactLocation, source: Source<'_>) -> Result<(), argosy_artifacts::Error> {
        match place_of(location)? {
            Place::Key(key) => self.stores.of(location)?.put(&key, source, self.limits.artifact()).await,
            Place::Raw(_) => Err(argosy_artifacts::Error::Driver { driver: "raw" }),
        }
    }

    /// Where an artifact goes: its own location, else the template's, else the default key.
    fn location(&self, artifact: &Artifact, file: &str) -> Result<ArtifactLocation, argosy_artifacts::Error> {
        let own = &artifact.location;
        match place_of(own) {
            Ok(_) => return Ok(own.clone()),
            Err(argosy_artifacts::Error::NoLocation) => {}
            Err(error) => return Err(error),
        }
        let base = self.template.archive_location.as_deref();
        if let Some(Err(error @ argosy_artifacts::Error::Driver { .. })) = base.map(place_of) {
            return Err(error);
        }
        let mut s3 = own.s3.clone().or_else(|| base.and_then(|base| base.s3.clone())).unwrap_or_default();
        let prefix = match s3.key.trim_matches('/') {
            "" => self.key_prefix.trim_matches('/').to_owned(),
            key => key.to_owned(),
        };
        s3.key = format!("{prefix}/{file}");
        Ok(ArtifactLocation { s3: Some(s3), ..ArtifactLocation::default() })
    }
}

fn problem<'a>(problems: &'a [Problem], path: &str) -> Option<&'a Problem> {
    problems.iter().find(|problem| problem.path == path)
}

fn refused(kind: &'static str, name: &str, problem: &Problem) -> Error {
    Error::Output { kind, name: name.to_owned(), path: problem.path.clone(), what: problem.what.clone() }
}

/// The last `N/M` line of the progress file.
pub fn progress(layout: &Layout) -> Option<String> {
    layout.progress().lines().rev().map(str::trim).find(|line| is_progress(line)).map(str::to_owned)
}

fn is_progress(line: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    line.split_once('/').and_then(|(n, m)| Some((number(n)?, number(m)?))).is_some_and(|(n, m)| n <= m && m > 0)
}

/// Exactly one newline at the end is cut off.
fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use argosy_artifacts::LocalStore;
    use argosy_beneath::{At, Dir};
    use serde_json::json;

    use super::*;

    fn layout(dir: &Path) -> Layout {
        let own = Dir::open_private(&dir.join("argo")).expect("a directory");
        Layout::new(own.clone(), At { dir: own, path: "".into() })
    }

    async fn gather(template: serde_json::Value, files: &[(&str, &str)]) -> (Gathered, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let layout = layout(dir.path());
        for (path, text) in files {
            layout.write(path.as_ref(), text.as_bytes()).expect("write");
        }
        let store = LocalStore::open_at(dir.path().join("store")).expect("a store");
        let template: Template = serde_json::from_value(template).expect("a template");
        let gatherer = Gatherer {
            template: &template,
            layout: &layout,
            stores: &store,
            key_prefix: "w/p",
            include_result: true,
            limits: Limits { outputs_bytes_max: 10, ..Limits::default() },
        };
        (gatherer.gather().await, dir)
    }

    #[tokio::test]
    async fn outputs_are_gathered() {
        let template = json!({"outputs": {
            "parameters": [{"name": "a", "valueFrom": {"path": "/tmp/a"}},
                {"name": "b", "valueFrom": {"path": "/tmp/b", "default": 7}}],
            "artifacts": [{"name": "art", "path": "/out/f"}, {"name": "gone", "path": "/gone", "optional": true},
                {"name": "plain", "path": "/tmp/", "archive": {"none": {}}}]}});
        let files = [
            ("outputs/parameters/tmp/a", "x\n\n"),
            ("outputs/artifacts/out/f.tgz", "z"),
            ("outputs/artifacts/tmp.tgz.none/in", "y"),
            ("ctr/main/stdout", "r\n"),
            ("progress", "1/4\n2/4\nrubbish\n"),
        ];
        let (gathered, dir) = gather(template, &files).await;
        assert!(gathered.errors.is_empty(), "{:?}", gathered.errors);
        let outputs = serde_json::to_value(&gathered.outputs).expect("JSON");
        assert_eq!(outputs["parameters"][0]["value"], "x\n");
        assert_eq!(outputs["parameters"][1]["value"], "7");
        assert_eq!(outputs["artifacts"][0]["s3"]["key"], "w/p/art.tgz");
        assert_eq!(outputs["artifacts"][1]["s3"]["key"], "w/p/tmp");
        assert_eq!(outputs["artifacts"][1]["path"], "/tmp");
        let progress = progress(&layout(dir.path()));
        assert_eq!((outputs["result"].as_str(), progress.as_deref()), (Some("r"), Some("2/4")));
        assert_eq!(fs::read_to_string(dir.path().join("store/w/p/tmp/in")).ok().as_deref(), Some("y"));
        assert!(dir.path().join("store/w/p/art.tgz").exists());
    }

    #[tokio::test]
    async fn what_is_missing_is_told_as_argo_does() {
        let template = json!({"outputs": {"parameters": [{"name": "p", "valueFrom": {"path": "/p"}}],
            "artifacts": [{"name": "a", "path": "/tmp/hello_world.txt"}]}});
        let (gathered, _dir) = gather(template, &[]).await;
        let texts: Vec<_> = gathered.errors.iter().map(Error::to_string).collect();
        assert_eq!(
            texts,
            [
                "open /var/run/argo/outputs/parameters/p: no such file or directory",
                "open /var/run/argo/outputs/artifacts/tmp/hello_world.txt.tgz: no such file or directory",
            ]
        );
        assert_eq!(gathered.told(), texts[0], "of parameters the first is told, and nothing besides");
        let artifacts = json!({"outputs": {"artifacts": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b"}]}});
        let (gathered, _dir) = gather(artifacts, &[]).await;
        let told = |name: &str| format!("open /var/run/argo/outputs/artifacts/{name}.tgz: no such file or directory; ");
        assert_eq!(gathered.told(), told("a") + &told("b"));
    }

    #[tokio::test]
    async fn parameters_behind_a_missing_one_are_there_without_values() {
        let path = |name: &str| json!({"name": name, "valueFrom": {"path": format!("/{name}")}});
        let template = json!({"outputs": {"parameters": [path("a"), path("b"), path("c")]}});
        let files = [("outputs/parameters/a", "1"), ("outputs/parameters/c", "3")];
        let (gathered, _dir) = gather(template, &files).await;
        let values: Vec<_> =
            gathered.outputs.parameters.iter().map(|p| (p.name.as_str(), p.value.as_deref())).collect();
        assert_eq!(values, [("a", Some("1")), ("b", None), ("c", None)]);
    }

    #[tokio::test]
    async fn what_is_there_and_not_taken_is_no_default() {
        let template = json!({"outputs": {"parameters": [
            {"name": "p", "valueFrom": {"path": "/p", "default": "d"}}, {"name": "large", "valueFrom": {"path": "/large"}}],
            "artifacts": [{"name": "a", "path": "/a", "optional": true}]}});
        let problems =
            json!([{"path": "/p", "what": "not a regular file but a fifo"}, {"path": "/a", "what": "too much"}]);
        let problems = problems.to_string();
        let files = [("problems", problems.as_str()), ("outputs/parameters/large", "12345678901")];
        let (gathered, _dir) = gather(template, &files).await;
        let texts: Vec<_> = gathered.errors.iter().map(Error::to_string).collect();
        assert_eq!(texts[0], "output parameter p: /p: not a regular file but a fifo");
        assert_eq!(texts[1], "output artifact a: /a: too much");
        let template = json!({"outputs": {"parameters": [{"name": "large", "valueFrom": {"path": "/large"}}]}});
        let (gathered, _dir) = gather(template, &files).await;
        assert!(gathered.errors[0].to_string().contains("11 bytes, the limit is 10"), "{:?}", gathered.errors);
    }
}
