//! How requests leave: the program that links the library says.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// One request to a receiver.
#[derive(Debug)]
pub struct Request {
    /// Where to: an absolute URL.
    pub url: String,
    /// Names in lower case; the values may be secret.
    pub headers: Vec<(Cow<'static, str>, Secret)>,
    /// JSON.
    pub body: Vec<u8>,
    /// How long it may take in all; 15 seconds, if not said.
    pub within: Option<Duration>,
}

/// What a receiver answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, where it is there and reads.
    pub retry_after: Option<Duration>,
    /// How the body begins.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The host has no address, or the DNS gave no answer.
    Dns,
    /// The host has an address that nothing may be sent to.
    Forbidden,
    /// Nobody takes the connection.
    Connect,
    /// The certificate is not trusted, or it does not speak TLS.
    Tls,
    /// The answer did not begin or did not end in time.
    Timeout,
    /// The connection ended before the answer did, or what came is not HTTP.
    Broken,
    /// There is nothing to send requests with, or the endpoint cannot be read.
    Unavailable,
}

impl Failure {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Failure::Dns => "dns",
            Failure::Forbidden => "forbidden",
            Failure::Connect => "connect",
            Failure::Tls => "tls",
            Failure::Timeout => "timeout",
            Failure::Broken => "broken",
            Failure::Unavailable => "unavailable",
        }
    }
}

/// Sends requests to where tenants want them. It follows no redirect, goes to no address that is not public unless whoever runs
/// the installation allows that, and gives up when the time of the [`Request`] is over.
#[async_trait]
pub trait WebhookTransport: Send + Sync + 'static {
    /// Sends once.
    async fn send(&self, request: Request) -> Result<Answer, Failure>;
}

#[async_trait]
impl<T: WebhookTransport + ?Sized> WebhookTransport for std::sync::Arc<T> {
    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        (**self).send(request).await
    }
}

/// Stands in until a transport is set: deliveries wait for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTransport;

#[async_trait]
impl WebhookTransport for NoTransport {
    async fn send(&self, _request: Request) -> Result<Answer, Failure> {
        Err(Failure::Unavailable)
    }
}
