//! One request: its handler finishes whatever the client does.
//!
//! A handler is polled where its answer is awaited, and moves to a task of its own when nobody awaits it any more. A task for
//! every request would do the same, at two microseconds each.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tower::Service;

use super::Peer;
use super::connection::Connection;
use super::fault::Fault;

/// How a request's body ended, once it has.
type Upload = Arc<OnceLock<UploadEnd>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UploadEnd {
    Whole,
    Late,
}

/// The answer to a request. Dropping its future stops no handler, not even one that was never polled.
pub(super) fn answer(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    let asked_at = Instant::now();
    connection.pulse.asked(asked_at);
    let version = request.version();
    let upload = (!request.body().is_end_stream()).then(Upload::default);
    let running = Running::new(connection);
    let handler = start(connection, request, asked_at, upload.clone());
    let mut asked = Asked { running, handler };
    async move {
        let answered = finish(&mut asked, version, asked_at, upload.as_deref()).await;
        let left_unread = upload.is_some_and(|upload| upload.get() != Some(&UploadEnd::Whole));
        asked.running.0.left_unread.store(left_unread, Ordering::Relaxed);
        Ok(answered.unwrap_or_else(|fault| fault.response(version)))
    }
}

fn start(connection: &Connection, request: Request<Incoming>, asked_at: Instant, upload: Option<Upload>) -> Handler {
    let limits = &connection.house().limits;
    if request.headers().len() > limits.header_count {
        return Handler::Refused(Fault::TooManyHeaders);
    }
    if connection.running.load(Ordering::Relaxed) > limits.streams {
        return Handler::Refused(Fault::Overloaded);
    }
    let (mut head, incoming) = request.into_parts();
    head.extensions.insert(Peer(connection.peer));
    let body = match upload {
        Some(upload) => Body::new(Payload { incoming, deadline: asked_at + limits.body, alarm: None, upload }),
        None => Body::empty(),
    };
    let mut router = connection.router.clone();
    Handler::Running(Box::pin(async move { router.call(Request::from_parts(head, body)).await }))
}

async fn finish(
    asked: &mut Asked,
    version: Version,
    asked_at: Instant,
    upload: Option<&OnceLock<UploadEnd>>,
) -> Result<Response<Body>, Fault> {
    let deadline = asked_at + asked.running.0.house().limits.request;
    let outcome = match version {
        Version::HTTP_2 => timeout_at(deadline, asked).await.ok(),
        _ => unless_late(deadline, asked).await,
    };
    let answered = outcome.ok_or(Fault::SlowHandler)?;
    if upload.is_some_and(|upload| upload.get() == Some(&UploadEnd::Late)) {
        return Err(Fault::SlowBody);
    }
    answered
}

/// `timeout_at` without a timer to set and clear for every request. It relies on being polled at the deadline: an HTTP/1.1
/// connection polls its request whenever it is polled itself, as it is by its own alarm.
async fn unless_late<F: Future + Unpin>(deadline: Instant, mut future: F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if Instant::now() >= deadline => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// A request whose answer is awaited.
struct Asked {
    running: Running,
    handler: Handler,
}

enum Handler {
    Running(Pin<Box<Handling>>),
    Refused(Fault),
    Done,
}

type Handling = dyn Future<Output = Result<Response<Body>, Infallible>> + Send;

impl Future for Asked {
    type Output = Result<Response<Body>, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.handler {
            Handler::Running(handling) => catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))),
            Handler::Refused(fault) => return Poll::Ready(Err(*fault)),
            Handler::Done => return Poll::Pending,
        };
        let answered = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => Ok(response),
            Err(_) => {
                tracing::error!("a request's handler panicked");
                Err(Fault::Panic)
            }
        };
        self.handler = Handler::Done;
        Poll::Ready(answered)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.running.0.pulse.answered();
        let Handler::Running(handling) = mem::replace(&mut self.handler, Handler::Done) else { return };
        // Without a runtime the process is ending.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let running = Running::new(&self.running.0);
        runtime.spawn(async move {
            let _running = running;
            handling.await
        });
    }
}

/// Holds the connection's seat for a request and its handler. Without a bound on these, a client that resets its HTTP/2
/// streams could start any number of handlers.
struct Running(Arc<Connection>);

impl Running {
    fn new(connection: &Arc<Connection>) -> Self {
        connection.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
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
