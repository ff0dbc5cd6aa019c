//! Who is answered over TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use argosy_apiserver::{Access, Server};
use kube::api::{Api, DynamicObject, ListParams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{server, workflows};

const WORKFLOW: &str = r#"{"metadata":{"name":"c"},"spec":{"entrypoint":"m","templates":[]}}"#;
const WORKFLOWS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows";

struct Listening {
    server: Server,
    access: Arc<Access>,
    address: SocketAddr,
}

impl Listening {
    async fn start() -> Self {
        let server = server();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let access = Arc::new(Access::new().expect("a certificate"));
        let (serving, given) = (server.clone(), Arc::clone(&access));
        tokio::spawn(async move { serving.serve(listener, given, std::future::pending()).await });
        Self { server, access, address }
    }

    /// The code of the answer to a request with these header lines, and its body. `{port}` and `{token}` are filled in;
    /// `Host` is stated unless the lines do.
    async fn ask(&self, line: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            text.push_str("Host: 127.0.0.1:{port}\r\n");
        }
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let text = text.replace("{port}", &self.address.port().to_string()).replace("{token}", self.access.token());
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
        read.await.expect("in time").expect("answered");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
        (code, answer)
    }
}

const TOKEN: &str = "Authorization: Bearer {token}";
const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn a_page_of_a_browser_creates_nothing() {
    let api = Listening::start().await;
    let create = format!("POST {WORKFLOWS}");
    let foreign = ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"];
    // As a page can send it unasked: without a type, or with one of a form.
    for headers in
        [&foreign[..], &[foreign[0]], &[foreign[1]], &[foreign[0], "Content-Type: text/plain"], &["Origin: null"]]
    {
        assert_eq!(api.ask(&create, headers, WORKFLOW).await.0, 403, "{headers:?}");
        // Not even if it had learnt the token.
        let with_token = [headers, &[TOKEN, JSON]].concat();
        assert_eq!(api.ask(&create, &with_token, WORKFLOW).await.0, 403, "{with_token:?}");
    }
    for site in ["cross-site", "same-site", "anything"] {
        let header = format!("Sec-Fetch-Site: {site}");
        assert_eq!(api.ask(&create, &[&header, TOKEN, JSON], WORKFLOW).await.0, 403, "{site}");
    }
    // The port beside ours is another origin.
    assert_eq!(api.ask(&create, &["Origin: http://127.0.0.1:1", TOKEN, JSON], WORKFLOW).await.0, 403);
    assert!(workflows(&api.server).list(&ListParams::default()).await.expect("listed").items.is_empty());
    let own = ["Origin: http://localhost:{port}", "Sec-Fetch-Site: same-origin", TOKEN, JSON];
    assert_eq!(api.ask(&create, &own, WORKFLOW).await.0, 201);
}

#[tokio::test]
async fn a_name_that_was_given_our_address_is_not_answered() {
    let api = Listening::start().await;
    let read = "GET /api/v1/namespaces/argo/secrets";
    for host in ["evil.example.com", "evil.example.com:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil:{port}", ""]
    {
        let (code, answer) = api.ask(read, &[&format!("Host: {host}"), TOKEN], "").await;
        assert_eq!(code, 403, "{host}: {answer}");
    }
    for host in ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"] {
        assert_eq!(api.ask(read, &[&format!("Host: {host}"), TOKEN], "").await.0, 200, "{host}");
    }
    // Nor where the request says one thing and its target another, or says two things.
    let absolute = "GET http://evil.example/api/v1/namespaces/argo/secrets";
    assert_eq!(api.ask(absolute, &[TOKEN], "").await.0, 403);
    assert_eq!(api.ask(read, &["Host: 127.0.0.1:{port}", "Host: evil.example", TOKEN], "").await.0, 403);
    assert_ne!(api.ask("GET /healthz", &["Host: evil.example"], "").await.0, 200);
}

#[tokio::test]
async fn nobody_without_the_token_is_answered() {
    let api = Listening::start().await;
    let requests = [
        format!("GET {WORKFLOWS}"),
        format!("GET {WORKFLOWS}?watch=true"),
        format!("GET {WORKFLOWS}/x"),
        format!("DELETE {WORKFLOWS}"),
        format!("PATCH {WORKFLOWS}/x"),
        format!("PUT {WORKFLOWS}/x/status"),
        format!("POST {WORKFLOWS}"),
        "GET /api/v1/namespaces/argo/pods/p/log?follow=true".to_owned(),
        "POST /api/v1/namespaces/argo/pods/p/exec?command=id".to_owned(),
        "POST /api/v1/namespaces/argo/pods/p/eviction".to_owned(),
        "GET /api".to_owned(),
        "GET /apis".to_owned(),
        "GET /openapi/v3".to_owned(),
        "GET /version".to_owned(),
        "GET /nothing".to_owned(),
        "POST /healthz".to_owned(),
        "GET /healthz/".to_owned(),
        "OPTIONS /api".to_owned(),
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
    ];
    let half = &api.access.token()[..32];
    let wrong = [
        String::new(),
        "Authorization: Bearer".to_owned(),
        "Authorization: Bearer ".to_owned(),
        format!("Authorization: Bearer {half}"),
        format!("Authorization: Bearer {half}{half}"),
        "Authorization: Basic {token}".to_owned(),
        "Authorization: {token}".to_owned(),
        "X-Token: {token}".to_owned(),
    ];
    for request in &requests {
        let (code, answer) = api.ask(request, &[JSON], WORKFLOW).await;
        assert_eq!(code, 401, "{request}: {answer}");
        assert!(!answer.contains("argoproj"), "{request}: {answer}");
    }
    for header in wrong.iter().filter(|header| !header.is_empty()) {
        assert_eq!(api.ask(&requests[0], &[header], "").await.0, 401, "{header}");
    }
    assert_eq!(api.ask(&requests[0], &[TOKEN, TOKEN], "").await.0, 401, "said twice");
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    for path in ["GET /api/v1/namespaces/argo/pods/p/exec?command=id", &format!("GET {WORKFLOWS}?watch=true")] {
        assert_eq!(api.ask(path, &upgrade, "").await.0, 401, "{path}");
        let foreign = [&upgrade[..], &["Origin: https://evil.example", TOKEN]].concat();
        assert_eq!(api.ask(path, &foreign, "").await.0, 403, "{path}");
    }
    for path in ["/healthz", "/readyz", "/livez"] {
        let (code, answer) = api.ask(&format!("GET {path}"), &[], "").await;
        assert!(code == 200 && answer.ends_with("\r\n\r\nok"), "{answer}");
    }
    assert_eq!(api.ask(&requests[0], &["authorization: bearer {token}"], "").await.0, 200);
}

#[tokio::test]
async fn a_body_states_what_it_is() {
    let api = Listening::start().await;
    let create = format!("POST {WORKFLOWS}");
    for header in [
        "X: y",
        "Content-Type:",
        "Content-Type: text/plain",
        "Content-Type: multipart/form-data",
        "Content-Type: application/jsonp",
    ] {
        assert_eq!(api.ask(&create, &[header, TOKEN], WORKFLOW).await.0, 415, "{header}");
        assert_eq!(api.ask(&format!("DELETE {WORKFLOWS}"), &[header, TOKEN], "{}").await.0, 415, "{header}");
        let review = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert_eq!(api.ask(review, &[header, TOKEN], "{}").await.0, 415, "{header}");
    }
    assert_eq!(api.ask(&create, &["Content-Type: application/json; charset=utf-8", TOKEN], WORKFLOW).await.0, 201);
    assert_eq!(api.ask(&format!("DELETE {WORKFLOWS}"), &[TOKEN], "").await.0, 200, "there is no body to state");
}

#[tokio::test]
async fn the_kubeconfig_is_enough_and_stays_good() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.json");
    let kept = Access::open(&path).expect("made");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("kept").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Access::open(&path).expect("read").token(), kept.token());
    assert_ne!(Access::new().expect("made").token(), kept.token());
    std::fs::write(&path, "{}").expect("written");
    assert!(Access::open(&path).is_err(), "one that is damaged is not replaced in silence");

    let api = Listening::start().await;
    let client = async |text: &str| {
        let config = kube::config::Kubeconfig::from_yaml(text).expect("valid");
        let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.expect("usable");
        let resource = kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
        Api::<DynamicObject>::namespaced_with(kube::Client::try_from(config).expect("a client"), "argo", &resource)
    };
    let text = api.access.kubeconfig(api.address);
    client(&text).await.list(&ListParams::default()).await.expect("answered");
    for host in ["localhost", "[::1]"] {
        // The certificate is good for these too; nobody listens on ::1 here.
        let text = text.replace("127.0.0.1", host);
        let listed = client(&text).await.list(&ListParams::default()).await;
        assert!(listed.is_ok() || host == "[::1]", "{host}: {listed:?}");
    }
    let stranger = Access::new().expect("made").kubeconfig(api.address);
    // Who trusts another certificate does not so much as send the token.
    assert!(client(&stranger).await.list(&ListParams::default()).await.is_err());
}

#[tokio::test]
async fn clients_that_say_nothing_hold_nobody_up() {
    let api = Listening::start().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(api.address).await.expect("connected"));
    }
    assert_eq!(api.ask("GET /readyz", &[], "").await.0, 200);
    drop(silent);
}
