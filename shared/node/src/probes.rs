//! Readiness probes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerPort, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::env::expand;
use super::pod::PodRun;
use super::status::POD_IP;

/// A first line of an HTTP answer is no longer than this. Bytes.
const STATUS_LINE_MAX: usize = 64;

/// Keeps the readiness of a container up to date; never ends.
pub async fn readiness(pod: &Arc<PodRun>, container: &Container, env: BTreeMap<String, String>) {
    if let Some(probe) = &container.readiness_probe {
        let seconds =
            |n: Option<i32>, default| Duration::from_secs(n.and_then(|n| n.try_into().ok()).unwrap_or(default));
        let count = |n: Option<i32>, default: u32| n.and_then(|n| n.try_into().ok()).unwrap_or(default);
        let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
        let timeout = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
        let (up, down) = (count(probe.success_threshold, 1), count(probe.failure_threshold, 3));
        let (mut good, mut bad) = (0, 0);
        tokio::time::sleep(seconds(probe.initial_delay_seconds, 0)).await;
        // a process needs a moment to open its port: ask soon again, then by the period
        let mut pause = Duration::from_millis(20);
        loop {
            let ok = tokio::time::timeout(timeout, once(pod, container, probe, &env)).await.unwrap_or(false);
            (good, bad) = if ok { (good + 1, 0) } else { (0, bad + 1) };
            if good >= up {
                pod.set_ready(&container.name, true);
                pause = period;
            } else if bad >= down {
                pod.set_ready(&container.name, false);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(period);
        }
    }
    std::future::pending::<()>().await;
}

async fn once(pod: &PodRun, container: &Container, probe: &Probe, env: &BTreeMap<String, String>) -> bool {
    if let Some(exec) = &probe.exec {
        let argv = exec.command.iter().flatten().map(|text| expand(text, env)).collect();
        return pod.node.backend.probe(pod, container, argv, env).await.unwrap_or(false);
    }
    if let Some(get) = &probe.http_get {
        return http(container, get).await.unwrap_or(false);
    }
    if let Some(tcp) = &probe.tcp_socket {
        let Some(port) = port(container, &tcp.port) else {
            return false;
        };
        return TcpStream::connect((tcp.host.as_deref().unwrap_or(POD_IP), port)).await.is_ok();
    }
    false
}

async fn http(container: &Container, get: &HTTPGetAction) -> std::io::Result<bool> {
    let Some(port) = port(container, &get.port) else {
        return Ok(false);
    };
    let host = get.host.as_deref().unwrap_or(POD_IP);
    let mut stream = TcpStream::connect((host, port)).await?;
    if get.scheme.as_deref() == Some("HTTPS") {
        // without a certificate to check there is nothing more to learn than that somebody listens
        return Ok(true);
    }
    let path = get.path.as_deref().unwrap_or("/");
    let headers: String = get.http_headers.iter().flatten().map(|h| format!("{}: {}\r\n", h.name, h.value)).collect();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: kube-probe/1\r\n{headers}Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut part = [0; STATUS_LINE_MAX];
    while head.len() < STATUS_LINE_MAX && !head.contains(&b'\n') {
        match stream.read(&mut part).await? {
            0 => break,
            n => head.extend_from_slice(&part[..n]),
        }
    }
    // "HTTP/1.1 200 OK"
    let text = String::from_utf8_lossy(&head);
    let code = text.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()).unwrap_or(0);
    Ok((200..400).contains(&code))
}

fn port(container: &Container, port: &IntOrString) -> Option<u16> {
    match port {
        IntOrString::Int(n) => u16::try_from(*n).ok(),
        IntOrString::String(name) => {
            let named = |p: &&ContainerPort| p.name.as_deref() == Some(name);
            let found = container.ports.iter().flatten().find(named).map(|p| p.container_port);
            found.and_then(|n| u16::try_from(n).ok()).or_else(|| name.parse().ok())
        }
    }
}
