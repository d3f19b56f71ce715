//! Events on their way to where tenants want them.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri};
use otp_core::webhook::{Answer, Failure, Request, WebhookTransport};
use otp_core::{Clock, SystemClock};

use crate::outbound::{Guard, Outbound, Unanswered};

/// How long a receiver has to answer, from the first byte of a connection to the last of the answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// Sends them over HTTP.
pub struct Webhooks(Outbound);

impl Webhooks {
    /// To hosts that the guard lets through.
    ///
    /// # Errors
    /// When the system trusts no authorities.
    pub fn guarded(guard: Guard) -> Result<Self, rustls::Error> {
        Ok(Self(Outbound::guarded(guard)?.within(DEADLINE)))
    }
}

#[async_trait]
impl WebhookTransport for Webhooks {
    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let within = request.within;
        let request = read(request).ok_or(Failure::Unavailable)?;
        let answer = match within {
            Some(within) => self.0.send_within(within, request).await,
            None => self.0.send(request).await,
        };
        let answer = answer.map_err(|error| failure(&error))?;
        Ok(Answer {
            status: answer.status.as_u16(),
            retry_after: answer.retry_after(SystemClock::default().now()),
            body: answer.body().to_vec(),
        })
    }
}

/// The request as it leaves. What the engine hands over was checked when it was written down; what was not reads as `None`.
fn read(request: Request) -> Option<http::Request<Bytes>> {
    let uri: Uri = request.url.parse().ok()?;
    let mut built = http::Request::post(uri).body(Bytes::from(request.body)).ok()?;
    for (name, value) in &request.headers {
        let mut header = HeaderValue::from_str(value.expose()).ok()?;
        header.set_sensitive(true);
        let name = match name {
            Cow::Borrowed(name) => HeaderName::from_static(name),
            Cow::Owned(name) => HeaderName::try_from(name).ok()?,
        };
        built.headers_mut().append(name, header);
    }
    Some(built)
}

fn failure(error: &Unanswered) -> Failure {
    match error {
        Unanswered::NotPublic(_) => Failure::Forbidden,
        Unanswered::NoAddress(_) => Failure::Dns,
        Unanswered::Connect(_) => Failure::Connect,
        Unanswered::Tls(_) => Failure::Tls,
        Unanswered::Silent => Failure::Timeout,
        Unanswered::Broken => Failure::Broken,
    }
}

#[cfg(test)]
mod tests;
