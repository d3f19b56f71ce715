//! Request bodies: JSON within 64 KiB, with every mistake named.

use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Bytes of the largest body.
const LARGEST: usize = 64 * 1024;

/// A JSON body. The bytes are kept, because an idempotency key stands for exactly them.
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// The bytes it was read from.
    pub raw: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        check_content_type(&request)?;
        let raw = read(request).await?;
        Ok(Self { value: parse(&raw)?, raw })
    }
}

/// A JSON body that may be left out; an absent one reads as `{}`.
pub struct OptionalBody<T>(Bytes, PhantomData<T>);

impl<T: DeserializeOwned> OptionalBody<T> {
    /// What it says, and the bytes it was read from.
    pub fn parse(self) -> Result<Body<T>, Problem> {
        let text: &[u8] = if self.0.is_empty() { b"{}" } else { &self.0 };
        Ok(Body { value: parse(text)?, raw: self.0 })
    }
}

impl<T: Send, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let checked = check_content_type(&request);
        let raw = read(request).await?;
        if !raw.is_empty() {
            checked?;
        }
        Ok(Self(raw, PhantomData))
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

async fn read(request: Request) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "keep the body within 64 KiB");
    let body = request.into_body();
    if http_body::Body::size_hint(&body).lower() > LARGEST as u64 {
        return Err(too_large());
    }
    match Limited::new(body, LARGEST).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(_) => {
            let detail = "the body did not arrive in time or was cut off";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_incomplete", detail))
        }
    }
}

fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(raw).map_err(|error| {
        let message = error.to_string();
        if error.is_data() {
            if let Some(field) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
                let detail = format!("the field `{field}` is not known here");
                return Problem::new(StatusCode::BAD_REQUEST, "unknown_field", detail);
            }
            return Problem::new(StatusCode::BAD_REQUEST, "invalid_request", message);
        }
        Problem::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is no JSON: {message}"))
    })
}
