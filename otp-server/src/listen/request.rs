//! One request: its handler runs in a task of its own, so that it finishes whatever the client does.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tower::Service;

use super::Peer;
use super::connection::Connection;

type Handler = JoinHandle<Result<Response<Body>, Infallible>>;
/// How a request's body ended, once it has.
type Upload = Arc<OnceLock<UploadEnd>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UploadEnd {
    Whole,
    Late,
}

/// Why the loop answers in a handler's stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    TooManyHeaders,
    Overloaded,
    SlowBody,
    SlowHandler,
    Panic,
}

/// Starts the handler at once and returns the future of the answer. Dropping that stops nothing.
pub(super) fn answer(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    let asked_at = Instant::now();
    let open = Open::new(connection, asked_at);
    let version = request.version();
    let upload = (!request.body().is_end_stream()).then(Upload::default);
    let handler = start(connection, request, asked_at, upload.clone());
    async move {
        let connection = &open.0;
        let deadline = asked_at + connection.house().limits.request;
        let response = match handler {
            Ok(handler) => finish(handler, version, deadline, upload.as_deref()).await,
            Err(fault) => Err(fault),
        };
        let left_unread = upload.is_some_and(|upload| upload.get() != Some(&UploadEnd::Whole));
        connection.left_unread.store(left_unread, Ordering::Relaxed);
        Ok(response.unwrap_or_else(|fault| fault.response(version)))
    }
}

fn start(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
    asked_at: Instant,
    upload: Option<Upload>,
) -> Result<Handler, Fault> {
    let limits = &connection.house().limits;
    if request.headers().len() > limits.header_count {
        return Err(Fault::TooManyHeaders);
    }
    let running = Running::new(connection);
    if running.before >= limits.streams {
        return Err(Fault::Overloaded);
    }
    let (mut head, incoming) = request.into_parts();
    head.extensions.insert(Peer(connection.peer));
    let body = match upload {
        Some(upload) => Body::new(Payload { incoming, deadline: asked_at + limits.body, alarm: None, upload }),
        None => Body::empty(),
    };
    let mut router = connection.router.clone();
    Ok(tokio::spawn(async move {
        let _running = running;
        router.call(Request::from_parts(head, body)).await
    }))
}

async fn finish(
    handler: Handler,
    version: Version,
    deadline: Instant,
    upload: Option<&OnceLock<UploadEnd>>,
) -> Result<Response<Body>, Fault> {
    let outcome = match version {
        Version::HTTP_2 => timeout_at(deadline, handler).await.ok(),
        _ => unless_late(deadline, handler).await,
    };
    let outcome = outcome.ok_or(Fault::SlowHandler)?;
    if upload.is_some_and(|upload| upload.get() == Some(&UploadEnd::Late)) {
        return Err(Fault::SlowBody);
    }
    match outcome {
        Ok(Ok(response)) => Ok(response),
        Err(error) => {
            tracing::error!(panicked = error.is_panic(), "a request's handler did not return");
            Err(Fault::Panic)
        }
    }
}

/// `timeout_at` without a timer, which would cost as much as the handler's task. It relies on being polled at the deadline:
/// an HTTP/1.1 connection polls its request whenever it is polled itself, as it is by its own alarm.
async fn unless_late<F: Future + Unpin>(deadline: Instant, mut future: F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if Instant::now() >= deadline => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

impl Fault {
    /// The answer, a problem document. Its texts need no JSON escapes.
    fn response(self, version: Version) -> Response<Body> {
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

/// A request that waits for its answer.
struct Open(Arc<Connection>);

impl Open {
    fn new(connection: &Arc<Connection>, asked_at: Instant) -> Self {
        connection.pulse.asked(asked_at);
        Self(Arc::clone(connection))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.pulse.answered();
    }
}

/// A handler that runs. Without a bound on these, a client that resets its HTTP/2 streams could start any number.
struct Running {
    connection: Arc<Connection>,
    before: u32,
}

impl Running {
    fn new(connection: &Arc<Connection>) -> Self {
        let before = connection.running.fetch_add(1, Ordering::Relaxed);
        Self { connection: Arc::clone(connection), before }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.connection.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's body with its deadline. The timer is made only when the body is not there yet.
struct Payload {
    incoming: Incoming,
    deadline: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
    upload: Upload,
}

impl HttpBody for Payload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let payload = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut payload.incoming).poll_frame(cx) {
            if frame.is_none() || (matches!(frame, Some(Ok(_))) && payload.incoming.is_end_stream()) {
                let _ = payload.upload.set(UploadEnd::Whole);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = payload.deadline;
        let alarm = payload.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        alarm.as_mut().poll(cx).map(|()| {
            let _ = payload.upload.set(UploadEnd::Late);
            Some(Err(SlowBody.into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[derive(Debug)]
struct SlowBody;

impl fmt::Display for SlowBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body did not arrive in time")
    }
}

impl Error for SlowBody {}
