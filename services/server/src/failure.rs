//! What a caller is told when a request fails: Argo's codes, which are those of gRPC, and their HTTP statuses.

use argosy_client::{chain, edit};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// Why a request fails. Source: the codes of gRPC, and how its gateway maps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists => StatusCode::CONFLICT,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }
}

/// The answer to a request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// The body of the answer. Source: Argo's gateway.
    pub fn to_json(&self) -> Value {
        json!({ "code": self.code as u8, "message": self.message })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.code.status(), Json(self.to_json())).into_response()
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Self::new(Code::Unavailable, format!("the Kubernetes API does not answer: {}", chain(&error)));
        };
        let code = match (status.code, status.reason.as_str()) {
            (401, _) => Code::Unauthenticated,
            (403, _) => Code::PermissionDenied,
            (404, _) => Code::NotFound,
            (409, "AlreadyExists") => Code::AlreadyExists,
            (409, _) => Code::FailedPrecondition,
            (400 | 413 | 415 | 422, _) => Code::InvalidArgument,
            (405, _) => Code::Unimplemented,
            (408 | 504, _) => Code::DeadlineExceeded,
            (429, _) => Code::ResourceExhausted,
            (503, _) => Code::Unavailable,
            _ => Code::Internal,
        };
        Self::new(code, status.message.clone())
    }
}

impl From<argosy_client::Error> for Failure {
    fn from(error: argosy_client::Error) -> Self {
        use argosy_client::Error;
        match error {
            Error::Api(error) => error.into(),
            Error::NotFound(_) | Error::NoWorkflow => Self::new(Code::NotFound, error.to_string()),
            Error::Contended { .. } | Error::NodesElsewhere { .. } | Error::UnchangeableNodes => {
                Self::new(Code::FailedPrecondition, error.to_string())
            }
            Error::BadName(_) => Self::invalid(error.to_string()),
            error => Self::new(Code::Internal, chain(&error)),
        }
    }
}

impl<E: std::error::Error + 'static> From<edit::Error<E>> for Failure {
    fn from(error: edit::Error<E>) -> Self {
        match error {
            edit::Error::Client(error) => error.into(),
            // The state of the workflow does not bear what is asked.
            error => Self::invalid(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_kubernetes_have_argos_codes() {
        let status = |code, reason: &str| {
            let status =
                kube::core::Status { code, reason: reason.to_owned(), message: "m".into(), ..Default::default() };
            Failure::from(kube::Error::Api(Box::new(status))).code
        };
        assert_eq!(status(404, "NotFound"), Code::NotFound);
        assert_eq!(status(409, "AlreadyExists"), Code::AlreadyExists);
        assert_eq!(status(409, "Conflict"), Code::FailedPrecondition);
        assert_eq!(status(401, ""), Code::Unauthenticated);
        assert_eq!(Failure::invalid("m").to_json(), json!({"code": 3, "message": "m"}));
    }
}
