//! What the loop answers in a handler's stead.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode, Version};

/// Why the loop answers in a handler's stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    TooManyHeaders,
    Overloaded,
    SlowBody,
    SlowHandler,
    Panic,
}

impl Fault {
    /// The answer, a problem document. Its texts need no JSON escapes.
    pub(super) fn response(self, version: Version) -> Response<Body> {
        let (status, code, detail) = self.texts();
        let title = status.canonical_reason().unwrap_or_default();
        let body = format!(
            r#"{{"type":"about:blank","title":"{title}","status":{},"detail":"{detail}","success":false,"code":"{code}"}}"#,
            status.as_u16()
        );
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.ends_connection() && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn texts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TooManyHeaders => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too_many_headers",
                "The request has too many header fields.",
            ),
            Self::Overloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "This connection has too many requests under way.")
            }
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "body_timeout", "The request body did not arrive in time."),
            Self::SlowHandler => {
                (StatusCode::SERVICE_UNAVAILABLE, "timeout", "The request took too long. It may still be carried out.")
            }
            Self::Panic => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side."),
        }
    }

    /// The rest of a slow body is worth nothing, and a slow handler keeps its seat: on another connection the client's next
    /// handler needs another seat, so that the caps count them all.
    fn ends_connection(self) -> bool {
        matches!(self, Self::SlowBody | Self::SlowHandler)
    }
}
