//! Under which names a server answers, and to which pages.
//!
//! A page in the user's browser reaches loopback too. That the Host is known stops one that gave its own name our address,
//! and that there is no foreign Origin tells it apart from a client, should it ever learn a token.

use std::net::SocketAddr;

use axum::body::Body;
use http::{HeaderMap, Request, header};

/// The names under which clients reach a server.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Each with its port; none where any will do.
    known: Option<Vec<String>>,
}

/// Why a request is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Its Host is none of ours.
    #[error("this API does not answer under the name {0:?}")]
    Name(String),
    /// It has none.
    #[error("a request must name its Host")]
    Nameless,
    /// A page of another origin sent it.
    #[error("this API does not answer pages of other origins")]
    Origin,
    /// A browser says that another site made it.
    #[error("this API does not answer pages of other sites")]
    Site,
}

impl Hosts {
    /// The names of loopback and the address itself.
    pub fn new(address: SocketAddr) -> Self {
        let port = address.port();
        let mut known: Vec<String> =
            ["127.0.0.1", "localhost", "[::1]"].iter().map(|name| format!("{name}:{port}")).collect();
        let own = address.to_string();
        if !address.ip().is_unspecified() && !known.contains(&own) {
            known.push(own);
        }
        // Clients leave out the port that their scheme has by itself.
        if matches!(port, 80 | 443) {
            let bare: Vec<String> = known.iter().filter_map(|host| Some(host.rsplit_once(':')?.0.to_owned())).collect();
            known.extend(bare);
        }
        Self { known: Some(known) }
    }

    /// Any name, as behind a proxy or an ingress that knows it: pages must still be of the host that they ask.
    pub fn any() -> Self {
        Self { known: None }
    }

    /// Whether the request names one of these hosts and comes from no page of another.
    ///
    /// Errors: see [`Refused`].
    pub fn check(&self, request: &Request<Body>) -> Result<(), Refused> {
        let host = self.host(request)?;
        self.page(request.headers(), host)
    }

    fn is_ours(&self, host: &str) -> bool {
        self.known.as_ref().is_none_or(|known| known.iter().any(|known| known.eq_ignore_ascii_case(host)))
    }

    /// The Host header, and what stands for it in HTTP/2 and in absolute URIs.
    fn host<'a>(&self, request: &'a Request<Body>) -> Result<&'a str, Refused> {
        let headers = request.headers().get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or(""));
        let mut last = None;
        for host in headers.chain(request.uri().authority().map(http::uri::Authority::as_str)) {
            if !self.is_ours(host) {
                return Err(Refused::Name(host.to_owned()));
            }
            last = Some(host);
        }
        last.ok_or(Refused::Nameless)
    }

    /// That no page of a browser sent it, but for one of this server itself.
    fn page(&self, headers: &HeaderMap, asked: &str) -> Result<(), Refused> {
        for origin in headers.get_all(header::ORIGIN) {
            let host = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, host)| host);
            let is_own = |host: &str| match &self.known {
                Some(_) => self.is_ours(host),
                None => host.eq_ignore_ascii_case(asked),
            };
            if !host.is_some_and(is_own) {
                return Err(Refused::Origin);
            }
        }
        for site in headers.get_all("sec-fetch-site") {
            if !matches!(site.as_bytes(), b"none" | b"same-origin") {
                return Err(Refused::Site);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &Hosts, headers: &[(&str, &str)]) -> Result<(), Refused> {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        hosts.check(&request.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn names_of_loopback_and_own_pages_are_answered() {
        let hosts = Hosts::new(([127, 0, 0, 1], 2746).into());
        assert_eq!(check(&hosts, &[("host", "localhost:2746")]), Ok(()));
        assert_eq!(check(&hosts, &[("host", "LOCALHOST:2746"), ("origin", "http://127.0.0.1:2746")]), Ok(()));
        assert_eq!(check(&hosts, &[("host", "evil.example:2746")]), Err(Refused::Name("evil.example:2746".into())));
        assert_eq!(check(&hosts, &[("host", "localhost")]), Err(Refused::Name("localhost".into())));
        assert_eq!(check(&hosts, &[]), Err(Refused::Nameless));
        assert_eq!(
            check(&hosts, &[("host", "localhost:2746"), ("origin", "https://evil.example")]),
            Err(Refused::Origin)
        );
        assert_eq!(check(&hosts, &[("host", "localhost:2746"), ("origin", "null")]), Err(Refused::Origin));
        assert_eq!(check(&hosts, &[("host", "localhost:2746"), ("sec-fetch-site", "cross-site")]), Err(Refused::Site));
    }

    #[test]
    fn behind_a_proxy_pages_are_of_the_host_that_they_ask() {
        let hosts = Hosts::any();
        assert_eq!(check(&hosts, &[("host", "argo.example"), ("origin", "https://argo.example")]), Ok(()));
        assert_eq!(
            check(&hosts, &[("host", "argo.example"), ("origin", "https://evil.example")]),
            Err(Refused::Origin)
        );
        assert_eq!(check(&hosts, &[]), Err(Refused::Nameless));
    }
}
