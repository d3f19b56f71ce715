//! A receiver of events that answers as a script says and keeps what it was sent.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use otp_core::Timestamp;
use otp_core::webhook::{Answer, Failure, InvalidSignature, ReceiverKey, Request, Signed, WebhookTransport, verify};
use serde_json::Value;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub within: Option<Duration>,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no header {name}"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn verify(&self, secret: &str, now: Timestamp) -> Result<(), InvalidSignature> {
        let headers = Signed {
            id: self.header("webhook-id"),
            timestamp: self.header("webhook-timestamp"),
            signature: self.header("webhook-signature"),
        };
        verify(&[ReceiverKey::parse(secret).unwrap()], headers, &self.body, now)
    }
}

#[derive(Default)]
pub struct Receiver {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<Result<Answer, Failure>>>,
    usual: Mutex<Option<Result<Answer, Failure>>>,
    /// Whether it says nothing for now; whoever waits looks again when polled.
    pub hangs: AtomicBool,
}

pub fn answer(status: u16) -> Result<Answer, Failure> {
    Ok(Answer { status, retry_after: None, body: b"so\n be it".to_vec() })
}

impl Receiver {
    /// The next answers, one after another; then 200, or what is usual.
    pub fn answers(&self, answers: impl IntoIterator<Item = Result<Answer, Failure>>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub fn always(&self, answer: Result<Answer, Failure>) {
        *self.usual.lock().unwrap() = Some(answer);
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn last(&self) -> Received {
        self.all().pop().expect("nothing was received")
    }

    pub fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

#[async_trait]
impl WebhookTransport for Receiver {
    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let Request { url, headers, body, within } = request;
        let headers = headers.into_iter().map(|(name, value)| (name.into_owned(), value.expose().to_owned())).collect();
        self.received.lock().unwrap().push(Received { url, headers, body, within });
        poll_fn(|_| if self.hangs.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }).await;
        let usual = || self.usual.lock().unwrap().clone();
        let next = self.answers.lock().unwrap().pop_front();
        next.or_else(usual).unwrap_or_else(|| answer(200))
    }
}
