//! Of what the path of a request speaks.

use std::sync::Arc;

use argosy_objects::names::is_path_part;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::app::App;
use crate::failure::{Failure, Result};

/// Of what a path speaks.
pub(crate) struct Place {
    /// Empty for all namespaces.
    pub namespace: String,
    pub name: String,
    pub pod: String,
}

impl Place {
    /// The namespace. Errors: none is named.
    pub fn one_namespace(&self) -> Result<&str> {
        if self.namespace.is_empty() { Err(Failure::invalid("name a namespace")) } else { Ok(&self.namespace) }
    }
}

impl FromRequestParts<Arc<App>> for Place {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|error| Failure::invalid(format!("the path: {error}")))?;
        let get =
            |name: &str| params.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value).to_owned();
        let mut namespace = get("namespace");
        if namespace.is_empty() {
            namespace.clone_from(&app.options.managed_namespace);
        }
        let place = Self { namespace, name: get("name"), pod: get("pod") };
        // They become parts of paths at the Kubernetes API.
        for (what, text) in [("namespace", &place.namespace), ("name", &place.name), ("pod", &place.pod)] {
            if !is_path_part(text) {
                return Err(Failure::invalid(format!("no {what} is called {text:?}")));
            }
        }
        Ok(place)
    }
}
