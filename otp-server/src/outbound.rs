//! Requests over HTTP: to services that an operator named, and to hosts that tenants named, which a [`Guard`] stands before.
//!
//! An answer is waited for ten seconds in all and read up to 64 KiB. Redirects are not followed, and the proxies that the
//! environment names are not used: a request goes to the host that was named, or nowhere.

mod endpoint;
mod guard;

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use otp_core::Timestamp;
use otp_core::destination::NotPublic;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::Verifier;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

pub(crate) use endpoint::is_loopback;
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use guard::{Guard, Unreachable};

use self::guard::Guarded;

/// From the first byte of a connection to the last of the answer.
const DEADLINE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// Providers answer with a few hundred bytes.
const LARGEST_ANSWER: usize = 64 * 1024;
/// Less than the shortest time that a load balancer keeps a connection for.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 16;
const USER_AGENT: &str = concat!("otp-server/", env!("CARGO_PKG_VERSION"));

/// Sends requests, over connections that are kept and used again. Clones share them.
#[derive(Clone)]
pub struct Outbound {
    client: Client<HttpsConnector<Guarded>, Full<Bytes>>,
    deadline: Duration,
}

/// What came back.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    headers: HeaderMap,
    /// Empty where there was more of it than any provider says.
    body: Bytes,
}

/// Why nothing came back. The words repeat nothing of the request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unanswered {
    /// A tenant named a host that the server does not ask for tenants.
    #[error("{0}")]
    NotPublic(NotPublic),
    /// The host has no address, or the DNS says nothing of it.
    #[error("it cannot be connected to: {0}")]
    NoAddress(String),
    /// There is no connection.
    #[error("it cannot be connected to: {0}")]
    Connect(String),
    /// The certificate is not trusted, or it does not speak TLS.
    #[error("no encrypted connection: {0}")]
    Tls(rustls::Error),
    /// The answer did not begin or did not end in time.
    #[error("no answer in time")]
    Silent,
    /// The connection ended before the answer did, or what came is not HTTP.
    #[error("no whole answer in HTTP")]
    Broken,
}

impl Outbound {
    /// For hosts that the operator named. Trusts the authorities that the system trusts.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> Result<Self, rustls::Error> {
        Self::guarded(Guard::anywhere())
    }

    /// For hosts that the guard lets through.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn guarded(guard: Guard) -> Result<Self, rustls::Error> {
        Ok(Self::of(Verifier::new(Arc::new(ring::default_provider()))?, guard))
    }

    fn of(verifier: Verifier, guard: Guard) -> Self {
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the suites of TLS 1.2 and 1.3")
            .dangerous() // the name of the method; the verifier is the system's
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let tcp = |guard| {
            let mut tcp = HttpConnector::new_with_resolver(guard);
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(Some(CONNECT));
            tcp
        };
        // `Endpoint` has seen to it that `http` stays on the machine.
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector.wrap_connector(Guarded::new(guard, tcp)));
        Self { client, deadline: DEADLINE }
    }

    /// The same with a deadline of its own.
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// Why there is no answer; the request may have arrived all the same.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Answer, Unanswered> {
        self.send_within(self.deadline, request).await
    }

    /// As [`send`](Self::send), with a deadline of its own.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_within(&self, deadline: Duration, mut request: Request<Bytes>) -> Result<Answer, Unanswered> {
        request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        timeout(deadline, self.answer(request.map(Full::new))).await.unwrap_or(Err(Unanswered::Silent))
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Answer, Unanswered> {
        let answer = self.client.request(request).await.map_err(|error| Unanswered::of(&error))?;
        let (head, body) = answer.into_parts();
        let body = match Limited::new(body, LARGEST_ANSWER).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Bytes::new(),
            Err(_) => return Err(Unanswered::Broken),
        };
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

impl Answer {
    /// The body as it is.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, if it is JSON of this form.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as it came.
    pub(crate) fn bytes(&self) -> Bytes {
        self.body.clone()
    }

    /// A header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header, if it is a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// How long it asks to be left alone (`Retry-After`, RFC 9110 section 10.2.3). A date is held against the answer's own,
    /// where it has one, so that the clocks need not agree; one that is past says nothing.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        if let Some(seconds) = self.number("retry-after") {
            return Some(Duration::from_secs(seconds));
        }
        let date = |name| httpdate::parse_http_date(self.header(name)?.trim()).ok();
        let until = date("retry-after")?;
        let at = date("date").or_else(|| {
            let since_epoch = Duration::from_millis(u64::try_from(now.as_millis()).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since_epoch)
        })?;
        until.duration_since(at).ok()
    }
}

impl Unanswered {
    fn of(error: &Error) -> Self {
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return Unanswered::Tls(tls.clone());
            }
            match cause.downcast_ref() {
                Some(Unreachable::NotPublic(why)) => return Unanswered::NotPublic(*why),
                Some(unreachable @ (Unreachable::NoAddress | Unreachable::Dns(_))) => {
                    return Unanswered::NoAddress(unreachable.to_string());
                }
                Some(Unreachable::System(_)) | None => {}
            }
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                return Self::of_io(cause, error.is_connect());
            }
            source = cause.source();
        }
        if error.is_connect() { Unanswered::Connect("the host has no address".to_owned()) } else { Unanswered::Broken }
    }

    fn of_io(mut cause: &io::Error, connecting: bool) -> Self {
        // The TLS connector wraps the error of the TLS stream, which wraps that of rustls.
        while let Some(inner) = cause.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
            cause = inner;
        }
        match cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Unanswered::Tls(tls.clone()),
            None if cause.kind() == io::ErrorKind::TimedOut => Unanswered::Silent,
            // The text is the system's own.
            None if connecting => Unanswered::Connect(cause.to_string()),
            None => Unanswered::Broken,
        }
    }
}

#[cfg(test)]
mod tests;
