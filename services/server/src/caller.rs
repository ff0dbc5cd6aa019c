//! Who calls, and how the Kubernetes API is asked for him.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use argosy_engine::ops::user::User;
use http::{HeaderMap, header};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use kube::api::{Api, PostParams};
use kube::config::AuthInfo;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::failure::{Code, Failure, Result};

/// How callers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By a token of the Kubernetes API, which decides what it may do.
    Client,
    /// Not at all: everybody acts as this server.
    Server,
}

/// A word that names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither client nor server")]
pub struct UnknownMode(String);

impl std::str::FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> std::result::Result<Self, UnknownMode> {
        match text {
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            _ => Err(UnknownMode(text.to_owned())),
        }
    }
}

/// Callers that are remembered, and for how long: making a client costs a connection, and knowing its user a request.
const REMEMBERED_MAX: usize = 256;
const REMEMBERED_FOR: Duration = Duration::from_secs(300);
/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Source: Argo's own words.
const NOT_VALID: &str = "token not valid. see https://argo-workflows.readthedocs.io/en/latest/faq/";

/// Who calls.
#[derive(Clone)]
pub struct Caller {
    /// The Kubernetes API, asked as the caller.
    pub client: kube::Client,
    /// Who the Kubernetes API says he is.
    pub info: UserInfo,
}

impl Caller {
    /// As labels and messages name him; nobody where the server acts for everybody.
    pub fn user(&self) -> Option<User> {
        let subject = self.info.username.clone().filter(|name| !name.is_empty())?;
        Some(User { subject, ..User::default() })
    }
}

/// Makes callers of requests. Errors of `of`: nobody is known by what the headers show.
pub(crate) struct Callers {
    /// The Kubernetes API, without credentials.
    api: kube::Config,
    /// This server's own client, where it may act for callers without a token.
    own: Option<kube::Client>,
    knows_tokens: bool,
    remembered: Mutex<HashMap<[u8; 32], (Caller, Instant)>>,
}

impl Callers {
    /// Errors: no client can be made of the configuration.
    pub fn new(config: &kube::Config, modes: &[Mode]) -> std::result::Result<Self, kube::Error> {
        let mut api = config.clone();
        api.auth_info = AuthInfo::default();
        let own = modes.contains(&Mode::Server).then(|| kube::Client::try_from(config.clone())).transpose()?;
        Ok(Self { api, own, knows_tokens: modes.contains(&Mode::Client), remembered: Mutex::default() })
    }

    pub async fn of(&self, headers: &HeaderMap) -> Result<Caller> {
        match (token(headers), &self.own) {
            (Some(token), _) if self.knows_tokens => self.of_token(token).await,
            (None, Some(client)) | (Some(_), Some(client)) => {
                Ok(Caller { client: client.clone(), info: UserInfo::default() })
            }
            (Some(_) | None, None) => Err(Failure::new(Code::Unauthenticated, NOT_VALID)),
        }
    }

    async fn of_token(&self, token: &str) -> Result<Caller> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some((caller, since)) = self.remembered.lock().get(&key)
            && since.elapsed() < REMEMBERED_FOR
        {
            return Ok(caller.clone());
        }
        let mut config = self.api.clone();
        config.auth_info.token = Some(token.to_owned().into());
        let client = kube::Client::try_from(config).map_err(|_| Failure::new(Code::Unauthenticated, NOT_VALID))?;
        let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
        let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await;
        let info = match review {
            Ok(review) => review.status.and_then(|status| status.user_info).unwrap_or_default(),
            Err(kube::Error::Api(status)) if status.code == 401 => {
                return Err(Failure::new(Code::Unauthenticated, NOT_VALID));
            }
            // An API that knows the token and no such review, or does not let this user ask.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => UserInfo::default(),
            Err(error) => return Err(error.into()),
        };
        let caller = Caller { client, info };
        self.remember(key, &caller);
        Ok(caller)
    }

    fn remember(&self, key: [u8; 32], caller: &Caller) {
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, (_, since)| since.elapsed() < REMEMBERED_FOR);
        }
        if remembered.len() >= REMEMBERED_MAX
            && let Some(oldest) = remembered.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key)
        {
            remembered.remove(&oldest);
        }
        remembered.insert(key, (caller.clone(), Instant::now()));
    }
}

/// The token that a request shows: in `Authorization`, or in the cookie of a page.
fn token(headers: &HeaderMap) -> Option<&str> {
    let of_header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let of_cookie = || {
        let mut all = cookies.flat_map(|text| text.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        all.find(|(name, _)| *name == "authorization").map(|(_, value)| value)
    };
    let shown = of_header.or_else(of_cookie)?;
    let shown = shown.trim_matches('"');
    let (scheme, token) = shown.split_once("%20").or_else(|| shown.split_once(' '))?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_token_is_in_the_header_or_in_a_cookie() {
        assert_eq!(token(&headers(header::AUTHORIZATION, "Bearer abc")), Some("abc"));
        assert_eq!(token(&headers(header::AUTHORIZATION, "bearer  abc ")), Some("abc"));
        assert_eq!(token(&headers(header::AUTHORIZATION, "Basic abc")), None);
        assert_eq!(token(&headers(header::AUTHORIZATION, "abc")), None);
        assert_eq!(token(&headers(header::COOKIE, "a=b; authorization=Bearer%20abc; c=d")), Some("abc"));
        assert_eq!(token(&headers(header::COOKIE, "authorization=\"Bearer abc\"")), Some("abc"));
        assert_eq!(token(&HeaderMap::new()), None);
    }
}
