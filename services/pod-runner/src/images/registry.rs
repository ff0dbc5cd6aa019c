//! What a registry says of an image. Source: the OCI distribution and image specifications.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode, Uri};
use kube::client::Body;
use serde::Deserialize;

use super::command::Command;
use super::reference::Reference;

/// An answer takes this long at most.
const ANSWER: Duration = Duration::from_secs(20);
/// An answer is this large at most. Bytes.
const BYTES_MAX: u64 = 4 * 1024 * 1024;
/// A blob may lie elsewhere, so many times over.
const REDIRECTS_MAX: usize = 5;
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// Where Docker's own registry is.
const DOCKER: (&str, &str) = ("docker.io", "https://registry-1.docker.io");

/// Why there is no answer.
pub(super) enum Failed {
    /// It says no: there is no such image, or not for everybody.
    Refused(String),
    /// It may answer another time.
    NoAnswer(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Manifest {
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Image {
    config: Option<Config>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    #[serde(rename = "Entrypoint")]
    entrypoint: Option<Vec<String>>,
    #[serde(rename = "Cmd")]
    cmd: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    token: String,
    access_token: String,
}

/// Asks what an image runs; `mirror` instead of its own registry, where there is one.
pub(super) async fn ask(image: &Reference, mirror: Option<&Uri>) -> Result<Command, Failed> {
    let own = || match image.registry.as_str() {
        name if name == DOCKER.0 => DOCKER.1.to_owned(),
        name if name.starts_with("localhost") || name.starts_with("127.") => format!("http://{name}"),
        name => format!("https://{name}"),
    };
    let base = mirror.map_or_else(own, |mirror| mirror.to_string().trim_end_matches('/').to_owned());
    let mut registry = Registry { base: format!("{base}/v2/{}", image.repository), token: None };
    let mut manifest: Manifest = registry.get(&format!("manifests/{}", image.version)).await?;
    if manifest.config.is_none() {
        let ours = |descriptor: &&Descriptor| {
            let platform = descriptor.platform.as_ref();
            platform.is_some_and(|platform| platform.os == "linux" && platform.architecture == architecture())
        };
        let chosen = manifest.manifests.iter().find(ours).or(manifest.manifests.first());
        let chosen = chosen.ok_or_else(|| Failed::Refused("the image has no manifest".into()))?;
        manifest = registry.get(&format!("manifests/{}", chosen.digest)).await?;
    }
    let config = manifest.config.ok_or_else(|| Failed::Refused("the image has no configuration".into()))?;
    let image: Image = registry.get(&format!("blobs/{}", config.digest)).await?;
    let config = image.config.unwrap_or_default();
    Ok(Command { entrypoint: config.entrypoint.unwrap_or_default(), cmd: config.cmd.unwrap_or_default() })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

struct Registry {
    base: String,
    token: Option<String>,
}

impl Registry {
    async fn get<T: for<'de> Deserialize<'de>>(&mut self, what: &str) -> Result<T, Failed> {
        let url = format!("{}/{what}", self.base);
        let mut answer = get(&url, self.token.as_deref()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.token.is_none() {
            let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
            self.token = Some(token(challenge.unwrap_or_default()).await?);
            answer = get(&url, self.token.as_deref()).await?;
        }
        for _ in 0..REDIRECTS_MAX {
            if !answer.status().is_redirection() {
                break;
            }
            let to =
                answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            // the token is for the registry only
            answer = get(&to, None).await?;
        }
        read(answer).await
    }
}

/// A token for everybody, from where the registry says.
async fn token(challenge: &str) -> Result<String, Failed> {
    let field = |name: &str| {
        let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let refused =
        || Failed::Refused("it does not answer everybody; images of private registries need a command".into());
    if !challenge.to_ascii_lowercase().starts_with("bearer ") {
        return Err(refused());
    }
    let realm = field("realm").ok_or_else(refused)?;
    let query = ["service", "scope"].iter().filter_map(|name| Some(format!("{name}={}", field(name)?)));
    let query = query.collect::<Vec<_>>().join("&");
    let token: Token = read(get(&format!("{realm}?{query}"), None).await?).await?;
    let text = if token.token.is_empty() { token.access_token } else { token.token };
    if text.is_empty() { Err(refused()) } else { Ok(text) }
}

async fn get(url: &str, token: Option<&str>) -> Result<Response<Body>, Failed> {
    let bad = |what: &str| Failed::Refused(format!("{url}: {what}"));
    let uri: Uri = url.parse().map_err(|_| bad("no URL"))?;
    if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("no URL"));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let parts = (uri.scheme().cloned(), uri.authority().cloned());
    let root = Uri::builder().scheme(parts.0.unwrap_or(http::uri::Scheme::HTTPS));
    let root = parts.1.into_iter().fold(root, |root, authority| root.authority(authority));
    let root = root.path_and_query("/").build().map_err(|_| bad("no URL"))?;
    // the client of the Kubernetes API speaks to any server; it has no credentials here
    let mut config = kube::Config::new(root);
    (config.connect_timeout, config.read_timeout) = (Some(ANSWER), Some(ANSWER));
    let client = kube::Client::try_from(config).map_err(|error| Failed::NoAnswer(error.to_string()))?;
    let mut request = Request::get(path).header(ACCEPT, MANIFESTS);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).map_err(|error| bad(&error.to_string()))?;
    let answer = tokio::time::timeout(ANSWER, client.send(request)).await;
    let answer = answer.map_err(|_| Failed::NoAnswer(format!("{url}: no answer within {} s", ANSWER.as_secs())))?;
    answer.map_err(|error| Failed::NoAnswer(format!("{url}: {error}")))
}

async fn read<T: for<'de> Deserialize<'de>>(answer: Response<Body>) -> Result<T, Failed> {
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Failed::NoAnswer(status.to_string()));
    }
    if !status.is_success() {
        return Err(Failed::Refused(format!("it answers {status}")));
    }
    let length = answer.headers().get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.unwrap_or(0_u64) > BYTES_MAX {
        return Err(Failed::Refused(format!("the answer has more than {BYTES_MAX} bytes")));
    }
    let bytes = tokio::time::timeout(ANSWER, answer.into_body().collect_bytes()).await;
    let bytes = bytes.map_err(|_| Failed::NoAnswer("the answer did not end".into()))?;
    let bytes = bytes.map_err(|error| Failed::NoAnswer(error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failed::Refused(format!("the answer is no JSON as it should be: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each path as it is told, and notes which were asked for; a path that needs a token is asked for twice.
    async fn registry(answer: fn(&str, bool) -> (&'static str, String)) -> (Uri, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let uri = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).await.is_err() {
                        break;
                    }
                    request.push(byte[0]);
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
                let has_token = request.to_lowercase().contains("authorization: bearer t");
                let host =
                    request.lines().find_map(|line| line.to_lowercase().strip_prefix("host: ").map(str::to_owned));
                let (head, body) = answer(&path, has_token);
                let head = head.replace("HOST", &host.unwrap_or_default());
                noted.lock().push(path);
                let text =
                    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                _ = stream.write_all(text.as_bytes()).await;
            }
        });
        (uri, asked)
    }

    fn answer(path: &str, has_token: bool) -> (&'static str, String) {
        let arch = architecture();
        match path {
            "/token?service=r&scope=pull" => ("200 OK", r#"{"token": "t"}"#.to_owned()),
            "/elsewhere" if has_token => ("500 Oh", "the token is for the registry only".to_owned()),
            "/elsewhere" => ("200 OK", r#"{"config": {"Entrypoint": ["/e"], "Cmd": null}}"#.to_owned()),
            _ if !has_token => (
                "401 No\r\nwww-authenticate: Bearer realm=\"http://HOST/token\",service=\"r\",scope=\"pull\"",
                String::new(),
            ),
            "/v2/a/b/manifests/1" => {
                let other = r#"{"digest": "sha256:0", "platform": {"os": "linux", "architecture": "s390x"}}"#;
                let own =
                    format!(r#"{{"digest": "sha256:1", "platform": {{"os": "linux", "architecture": "{arch}"}}}}"#);
                ("200 OK", format!(r#"{{"manifests": [{other}, {own}]}}"#))
            }
            "/v2/a/b/manifests/sha256:1" => ("200 OK", r#"{"config": {"digest": "sha256:2"}}"#.to_owned()),
            "/v2/a/b/blobs/sha256:2" => ("307 There\r\nlocation: http://HOST/elsewhere", String::new()),
            _ => ("404 Not Found", String::new()),
        }
    }

    #[tokio::test]
    async fn an_images_command_is_found_through_tokens_indices_and_redirects() {
        let (uri, asked) = registry(answer).await;
        let image = Reference::parse("a/b:1").expect("a name");
        let Ok(command) = ask(&image, Some(&uri)).await else { panic!("asked for {:?}", asked.lock()) };
        assert_eq!(command, Command { entrypoint: vec!["/e".to_owned()], cmd: Vec::new() });
        let missing = Reference::parse("a/b:2").expect("a name");
        let refused = ask(&missing, Some(&uri)).await;
        assert!(matches!(refused, Err(Failed::Refused(text)) if text.contains("404")));
    }

    #[tokio::test]
    async fn a_registry_that_is_away_or_busy_is_asked_again_later() {
        let image = Reference::parse("a/b:1").expect("a name");
        let (busy, _) = registry(|_, _| ("503 Later", String::new())).await;
        let nobody = "http://127.0.0.1:1".parse().expect("a URL");
        for uri in [busy, nobody] {
            assert!(matches!(ask(&image, Some(&uri)).await, Err(Failed::NoAnswer(_))));
        }
    }
}
