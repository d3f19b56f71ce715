//! Request bodies: JSON within 64 KiB, with every mistake named.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::problem::Problem;

/// Bytes of the largest body.
const LARGEST: usize = 64 * 1024;
/// Where templates may be in it.
const LARGEST_WITH_TEMPLATES: usize = 256 * 1024;

/// Characters of a parser's message that are passed on.
const LONGEST_QUOTE: usize = 200;

/// A JSON body that has not been read: whoever may not call is told so before anybody looks at what was sent.
pub struct Unread<T>(Request, PhantomData<fn() -> T>);

/// A JSON body. The bytes are kept, because an idempotency key stands for exactly them.
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// The bytes it was read from.
    pub raw: Bytes,
}

impl<T, S: Send + Sync> FromRequest<S> for Unread<T> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(request, PhantomData))
    }
}

impl<T: DeserializeOwned> Unread<T> {
    /// Reads it.
    pub async fn read(self) -> Result<Body<T>, Problem> {
        self.read_up_to(LARGEST).await
    }

    /// Reads one that may have templates in it.
    pub async fn read_with_templates(self) -> Result<Body<T>, Problem> {
        self.read_up_to(LARGEST_WITH_TEMPLATES).await
    }

    async fn read_up_to(self, largest: usize) -> Result<Body<T>, Problem> {
        check_content_type(&self.0)?;
        let raw = read(self.0, largest).await?;
        Ok(Body { value: parse(&raw)?, raw })
    }

    /// The bytes as they are, where it is no JSON.
    pub async fn raw(self) -> Result<Bytes, Problem> {
        read(self.0, LARGEST).await
    }

    /// Reads it, where it may be left out: then it reads as `{}`.
    pub async fn read_if_any(self) -> Result<Body<T>, Problem> {
        let checked = check_content_type(&self.0);
        let raw = read(self.0, LARGEST).await?;
        if raw.is_empty() {
            return Ok(Body { value: parse(b"{}")?, raw });
        }
        checked?;
        Ok(Body { value: parse(&raw)?, raw })
    }
}

fn check_content_type(request: &Request) -> Result<(), Problem> {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    let detail = "send the body as JSON with Content-Type: application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

/// The bytes of a body.
pub async fn read(request: Request, largest: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("keep the body within {} KiB", largest / 1024);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    let body = request.into_body();
    if http_body::Body::size_hint(&body).lower() > largest as u64 {
        return Err(too_large());
    }
    match Limited::new(body, largest).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(_) => {
            let detail = "the body did not arrive in time or was cut off";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_incomplete", detail))
        }
    }
}

fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    let is_object = raw.trim_ascii_start().first() == Some(&b'{');
    if !is_object {
        // Serde would take the elements of an array for the fields in their order.
        serde_json::from_slice::<IgnoredAny>(raw).map_err(|error| problem(&error))?;
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_request", "the body has to be a JSON object"));
    }
    serde_json::from_slice(raw).map_err(|error| problem(&error))
}

fn problem(error: &serde_json::Error) -> Problem {
    // It quotes the body, of which there may be a lot.
    let message: String = error.to_string().chars().take(LONGEST_QUOTE).collect();
    if !error.is_data() {
        return Problem::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is no JSON: {message}"));
    }
    let field = |prefix| message.strip_prefix(prefix).and_then(|rest: &str| rest.split('`').next()).map(str::to_owned);
    if let Some(field) = field("unknown field `") {
        let detail = format!("the field `{field}` is not known here");
        return Problem::field("unknown_field", field, detail);
    }
    if let Some(field) = field("missing field `") {
        let detail = format!("name {field}");
        return Problem::field("missing_field", field, detail);
    }
    Problem::new(StatusCode::BAD_REQUEST, "invalid_request", message)
}
