//! Parameters of the query, such as `listOptions.labelSelector`.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::Timestamp;
use kube::api::{ListParams, WatchParams};

use crate::failure::{Failure, Result};

/// The longest a watch lasts at the Kubernetes API before it is taken up again, in seconds.
const WATCH_SECONDS: u32 = 290;

/// The query's parameters; of several of one name the last counts.
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// The value, unless it is empty or not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// The value as another type. Errors: it is none.
    pub fn read<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>> {
        let read = |text: &str| text.parse().map_err(|error| Failure::invalid(format!("{name}={text}: {error}")));
        self.get(name).map(read).transpose()
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.read(name)?.unwrap_or(false))
    }

    pub fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        self.read(name)
    }

    pub fn labels(&self) -> Option<String> {
        self.get("listOptions.labelSelector").map(str::to_owned)
    }

    pub fn fields(&self) -> Option<String> {
        self.get("listOptions.fieldSelector").map(str::to_owned)
    }

    /// For lists that the Kubernetes API makes by itself.
    pub fn list_params(&self) -> Result<ListParams> {
        Ok(ListParams {
            label_selector: self.labels(),
            field_selector: self.fields(),
            limit: self.read("listOptions.limit")?,
            continue_token: self.get("listOptions.continue").map(str::to_owned),
            ..ListParams::default()
        })
    }

    pub fn watch_params(&self) -> Result<WatchParams> {
        Ok(WatchParams {
            label_selector: self.labels(),
            field_selector: self.fields(),
            timeout: Some(
                self.read("listOptions.timeoutSeconds")?.map_or(WATCH_SECONDS, |s: u32| s.min(WATCH_SECONDS)),
            ),
            bookmarks: true,
            ..WatchParams::default()
        })
    }

    /// From where a watch begins; `0` is from what there is.
    pub fn version(&self) -> String {
        self.get("listOptions.resourceVersion").unwrap_or("0").to_owned()
    }
}
