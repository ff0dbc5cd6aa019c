//! What a request that came over TCP must show before anything of it is looked at.
//!
//! A page in the user's browser and other users of the machine reach loopback too. A page cannot know the token, which
//! would do; that the Host is known stops one that gave its own name our address, and that there is no foreign Origin
//! tells it apart from a client, should it ever learn the token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Method, Request, header};

use super::access::Access;
use super::failure::{Failure, Result};

/// Paths that say only that the server lives, and may be read without the token.
const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/livez"];

/// Checks the requests to one address.
pub(super) struct Guard {
    access: Arc<Access>,
    /// Names under which clients reach the server, each with its port.
    hosts: Vec<String>,
}

impl Guard {
    pub fn new(access: Arc<Access>, address: SocketAddr) -> Self {
        let port = address.port();
        let mut hosts: Vec<String> =
            ["127.0.0.1", "localhost", "[::1]"].iter().map(|name| format!("{name}:{port}")).collect();
        let own = address.to_string();
        if !address.ip().is_unspecified() && !hosts.contains(&own) {
            hosts.push(own);
        }
        // Clients leave out the port that their scheme has by itself.
        if matches!(port, 80 | 443) {
            let bare: Vec<String> = hosts.iter().filter_map(|host| Some(host.rsplit_once(':')?.0.to_owned())).collect();
            hosts.extend(bare);
        }
        Self { access, hosts }
    }

    /// Errors: 403 for a foreign page or an unknown Host, 401 without the token.
    pub fn check(&self, request: &Request<Body>) -> Result<()> {
        self.host(request)?;
        self.page(request.headers())?;
        let is_health = request.method() == Method::GET && HEALTH.contains(&request.uri().path());
        if is_health || self.token(request.headers()) { Ok(()) } else { Err(Failure::unauthorized()) }
    }

    fn is_ours(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// The Host header, and what stands for it in HTTP/2 and in absolute URIs.
    fn host(&self, request: &Request<Body>) -> Result<()> {
        let headers = request.headers().get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or(""));
        let mut count = 0;
        for host in headers.chain(request.uri().authority().map(http::uri::Authority::as_str)) {
            count += 1;
            if !self.is_ours(host) {
                return Err(Failure::forbidden(format!("this API does not answer under the name {host:?}")));
            }
        }
        if count == 0 { Err(Failure::forbidden("a request must name its Host")) } else { Ok(()) }
    }

    /// That no page of a browser sent it, but for one of this server itself.
    fn page(&self, headers: &HeaderMap) -> Result<()> {
        for origin in headers.get_all(header::ORIGIN) {
            let host = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, host)| host);
            if !host.is_some_and(|host| self.is_ours(host)) {
                return Err(Failure::forbidden("this API does not answer pages of other origins"));
            }
        }
        for site in headers.get_all("sec-fetch-site") {
            if !matches!(site.as_bytes(), b"none" | b"same-origin") {
                return Err(Failure::forbidden("this API does not answer pages of other sites"));
            }
        }
        Ok(())
    }

    fn token(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else { return false };
        let token = value.to_str().ok().and_then(|text| text.split_once(' '));
        token.is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && self.access.admits(token.trim()))
    }
}
