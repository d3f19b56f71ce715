//! Services that send messages when they are asked to over HTTP.
//!
//! A `Provider` says how one of them is asked and what its answers mean; [`HttpMailer`] does the asking, for e-mail, text
//! messages and WhatsApp alike.

mod url;
mod verdict;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request};
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::{Clock, Timestamp};
use tokio::sync::Semaphore;

use crate::outbound::{Answer, Outbound, Unanswered};

pub use url::{InvalidProviderUrl, Origin};
pub(crate) use url::{options, parts, percent_decoded, secret};
pub(crate) use verdict::{Refusal, Verdict};

/// Requests to one service at a time; the others wait.
const REQUESTS: usize = 64;

/// How a service is asked, and what its answers mean.
pub(crate) trait Provider: Send + Sync + 'static {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// The request that hands over a message.
    fn request(&self, message: &Outgoing, now: Timestamp) -> Result<Request<Bytes>, SendError>;

    /// What its answer means.
    fn judge(&self, answer: &Answer) -> Result<Receipt, Refusal>;

    /// A request that sends nothing, and shows whether messages could be sent.
    fn probe(&self, now: Timestamp) -> Request<Bytes>;

    /// What the answer to that means: what is wrong and what to do about it, if anything is.
    fn judge_probe(&self, answer: &Answer) -> Result<(), String>;
}

/// Hands each message to a service.
///
/// A retry is the same request but for its time, so that a service that can tell a repeat does.
pub struct HttpMailer {
    provider: Box<dyn Provider>,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    places: Semaphore,
}

/// What is wrong with a service, and what to do about it.
#[derive(Debug)]
pub struct ProviderFault {
    provider: &'static str,
    words: String,
}

impl HttpMailer {
    pub(crate) fn new(provider: impl Provider, outbound: Outbound, clock: Arc<dyn Clock>) -> Self {
        Self { provider: Box::new(provider), outbound, clock, places: Semaphore::new(REQUESTS) }
    }

    /// Asks the service something that sends nothing.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub async fn check(&self) -> Result<(), ProviderFault> {
        let found = match self.outbound.send(self.provider.probe(self.clock.now())).await {
            Ok(answer) => self.provider.judge_probe(&answer),
            Err(error) => Err(format!("{error}; {}", advice(&error))),
        };
        found.map_err(|words| ProviderFault { provider: self.provider.name(), words })
    }
}

fn advice(error: &Unanswered) -> &'static str {
    match error {
        Unanswered::NoAddress(_) | Unanswered::Connect(_) | Unanswered::Silent => {
            "check `endpoint=` if there is one, and that a firewall lets it through"
        }
        Unanswered::Tls(_) => {
            "check `endpoint=` if there is one, and that the system's certificates (ca-certificates) are up to date"
        }
        Unanswered::Broken | Unanswered::NotPublic(_) => "check `endpoint=` if there is one",
    }
}

#[async_trait]
impl Mailer for HttpMailer {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let _place = self.places.acquire().await.expect("the semaphore is never closed");
        let now = self.clock.now();
        let name = self.provider.name();
        let request = self.provider.request(message, now)?;
        let answer = self
            .outbound
            .send(request)
            .await
            .map_err(|error| SendError::Temporary { reason: format!("{name}: {error}"), retry_after: None })?;
        self.provider.judge(&answer).map_err(|refusal| refusal.of(name, &answer, now))
    }
}

impl fmt::Display for ProviderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.words)
    }
}

impl std::error::Error for ProviderFault {}

/// A header whose value no log shows.
pub(crate) fn hidden(value: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(value).expect("credentials were checked to be ASCII");
    value.set_sensitive(true);
    value
}

/// An identifier that a service gave a message, if it is one.
pub(crate) fn message_id(text: &str) -> Option<String> {
    let is_id = (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_id.then(|| text.to_owned())
}
