//! Errors, as a client gets them. Owns which status a failure has; must not know what failed.

use http::StatusCode;
use kitaru_core::Error;

use crate::api;

/// Why a request is not carried out.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Problem { status, code, detail: detail.into() }
    }

    pub(crate) fn misuse(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "misuse", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn closed() -> Self {
        let detail = "cannot answer: the store was closed; ask again once it is open";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "closed", detail)
    }

    pub(crate) fn body(&self) -> api::Problem {
        api::Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = match &error {
            error if error.is_misuse() => (StatusCode::BAD_REQUEST, "misuse"),
            error if error.is_conflict() => (StatusCode::CONFLICT, "conflict"),
            error if error.is_stuck() => (StatusCode::CONFLICT, "stuck"),
            error if error.is_cancelled() => (StatusCode::CONFLICT, "cancelled"),
            error if error.is_too_large() => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            error if error.is_storage_full() => (StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
            error if error.is_closed() => (StatusCode::SERVICE_UNAVAILABLE, "closed"),
            error if error.is_store() => (StatusCode::SERVICE_UNAVAILABLE, "store"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        Problem::new(status, code, format!("{error:#}"))
    }
}
