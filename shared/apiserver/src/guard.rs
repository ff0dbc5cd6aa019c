//! What a request that came over TCP must show before anything of it is looked at.
//!
//! Other users of the machine and pages in the user's browser reach loopback too; neither knows the token.

use std::net::SocketAddr;
use std::sync::Arc;

use argosy_listen::Hosts;
use axum::body::Body;
use http::{HeaderMap, Method, Request, header};

use super::access::Access;
use super::failure::{Failure, Result};

/// Paths that say only that the server lives, and may be read without the token.
const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/livez"];

/// Checks the requests to one address.
pub(super) struct Guard {
    access: Arc<Access>,
    hosts: Hosts,
}

impl Guard {
    pub fn new(access: Arc<Access>, address: SocketAddr) -> Self {
        Self { access, hosts: Hosts::new(address) }
    }

    /// Errors: 403 for a foreign page or an unknown Host, 401 without the token.
    pub fn check(&self, request: &Request<Body>) -> Result<()> {
        self.hosts.check(request).map_err(|refused| Failure::forbidden(refused.to_string()))?;
        let is_health = request.method() == Method::GET && HEALTH.contains(&request.uri().path());
        if is_health || self.token(request.headers()) { Ok(()) } else { Err(Failure::unauthorized()) }
    }

    fn token(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else { return false };
        let token = value.to_str().ok().and_then(|text| text.split_once(' '));
        token.is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && self.access.admits(token.trim()))
    }
}
