//! `data` templates: lists artifacts, and transforms the list by expressions.
//! Source: Argo `workflow/data`, `workflow/executor/data.go`, `docs/data-sourcing-and-transformation.md`.

mod error;

use argosy_api::v1alpha1::{ArtifactLocation, Template, TransformationStep};
use argosy_artifacts::{Place, Store, place_of};
use argosy_template::expr::{Env, Program};
use serde_json::{Value, json};

use crate::Limits;
use crate::work::blocking;
pub use error::Error;

/// The result of a data template: JSON.
/// Errors: see [`Error`].
pub async fn process(template: &Template, store: &dyn Store, limits: Limits) -> Result<String, crate::Error> {
    let data = template.data.as_ref().ok_or(Error::NoSource)?;
    let paths = data.source.artifact_paths.as_ref().ok_or(Error::NoSource)?;
    let listed = list(&paths.location, template.archive_location.as_deref(), store, limits).await;
    let listed = listed.map_err(|source| Error::List { source })?;
    let key = paths.location.s3.as_ref().map(|s3| s3.key.clone()).unwrap_or_default();
    if listed.is_empty() && !key.is_empty() {
        return Err(Error::NoKey { key }.into());
    }
    let listed = json!(listed);
    let steps = data.transformation.clone();
    blocking(move |_| transform(listed, &steps)).await
}

fn transform(mut value: Value, steps: &[TransformationStep]) -> Result<String, Error> {
    for (index, step) in steps.iter().enumerate() {
        let failed = |source| Error::Expression { step: index, source: Box::new(source) };
        let vars = json!({ "data": value });
        let result = Program::compile(&step.expression).and_then(|program| program.run(&Env::new(&vars)));
        let text = result.map_err(failed)?.to_json(false);
        let read = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        value = read.ok_or_else(|| Error::NoJson { expression: step.expression.clone() })?;
    }
    Ok(value.to_string())
}

/// The keys below a location, as they are called in its bucket.
async fn list(
    location: &ArtifactLocation,
    default: Option<&ArtifactLocation>,
    store: &dyn Store,
    limits: Limits,
) -> Result<Vec<String>, argosy_artifacts::Error> {
    let Some(s3) = &location.s3 else {
        return match place_of(location)? {
            Place::Raw(_) => Err(argosy_artifacts::Error::Driver { driver: "raw" }),
            Place::Key(key) => store.list(&key, limits.artifact()).await,
        };
    };
    let own = s3.bucket_config.bucket.as_str();
    let bucket = match (own, default.and_then(|default| default.s3.as_ref())) {
        ("", Some(default)) => default.bucket_config.bucket.as_str(),
        (own, _) => own,
    };
    let keys = store.list(format!("{bucket}/{}", s3.key).trim_matches('/'), limits.artifact()).await?;
    let inside = |key: String| match key.strip_prefix(bucket).and_then(|key| key.strip_prefix('/')) {
        Some(inside) if !bucket.is_empty() => inside.to_owned(),
        _ => key,
    };
    Ok(keys.into_iter().map(inside).collect())
}

#[cfg(test)]
mod tests {
    use argosy_artifacts::{LocalStore, Source};

    use super::*;

    async fn run(data: Value) -> Result<String, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = LocalStore::open_at(dir.path()).expect("a store");
        for key in ["b/x/main.log", "b/x/other.txt", "b/y/main.log", "c/main.log"] {
            store.put(key, Source::Bytes(b""), Limits::default().artifact()).await.expect("stored");
        }
        let template = serde_json::from_value(json!({ "data": data })).expect("a template");
        process(&template, &store, Limits::default()).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn listed_keys_are_transformed() {
        let bucket = json!({"artifactPaths": {"name": "a", "s3": {"bucket": "b"}}});
        let steps = json!([{"expression": "filter(data, {# endsWith \"main.log\"})"},
            {"expression": "map(data, {# + \"!\"})"}]);
        let found = run(json!({"source": bucket, "transformation": steps})).await;
        assert_eq!(found, Ok("[\"x/main.log!\",\"y/main.log!\"]".into()));
        let folder = json!({"artifactPaths": {"name": "a", "s3": {"bucket": "b", "key": "x"}}});
        let all = run(json!({"source": folder})).await;
        assert_eq!(all, Ok("[\"x/main.log\",\"x/other.txt\"]".into()));
        let none = json!({"artifactPaths": {"name": "a", "s3": {"bucket": "nothing"}}});
        assert_eq!(run(json!({"source": none})).await, Ok("[]".into()));
        let nowhere = json!({"artifactPaths": {"name": "a", "s3": {"bucket": "b", "key": "nowhere"}}});
        let lacks = run(json!({"source": nowhere})).await.expect_err("there is no such key");
        assert!(lacks.ends_with("unable to source artifact paths: no key found of name nowhere"), "{lacks}");
        let whole = json!({"artifactPaths": {"name": "a", "s3": {}}});
        let counted = run(json!({"source": whole, "transformation": [{"expression": "len(data)"}]})).await;
        assert_eq!(counted, Ok("4".into()));
    }

    #[tokio::test]
    async fn mistakes_are_told() {
        assert_eq!(
            run(json!({"source": {}})).await,
            Err("unable to process data template: no data source was provided".into())
        );
        let bucket = json!({"artifactPaths": {"name": "a", "s3": {"bucket": "b"}}});
        let wrong = run(json!({"source": bucket, "transformation": [{"expression": "filter(data, "}]})).await;
        assert!(wrong.is_err_and(|text| !text.is_empty()));
    }
}
