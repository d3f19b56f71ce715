//! One connection: its protocol, its deadlines, its end.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::greeting::{self, Protocol};
use super::house::{House, Seat};
use super::pulse::{Pulse, Verdict};
use super::request::answer;
use super::wire::Wire;

/// What a connection buffers of bodies in either direction; a request body is at most as large in most places.
const BODY_BUFFER: u32 = 64 * 1024;
/// What the streams of one HTTP/2 connection together may send unread.
const CONNECTION_WINDOW: u32 = 4 * BODY_BUFFER;

/// What a connection, its requests and their handlers share. The seat is free when the last of them is done, so that a client
/// gains nothing by hanging up on running handlers.
pub(super) struct Connection {
    pub(super) seat: Seat,
    pub(super) peer: SocketAddr,
    pub(super) pulse: Pulse,
    pub(super) router: Router,
    /// Requests under way, whether or not somebody still waits for their answer.
    pub(super) running: AtomicU32,
    /// The last request was answered before its body had been read to the end.
    pub(super) left_unread: AtomicBool,
}

impl Connection {
    pub(super) fn house(&self) -> &House {
        &self.seat.house
    }
}

/// How driving a connection ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Finished,
    Failed,
    Overdue,
}

/// Serves one accepted connection to its end.
pub(super) async fn run(mut stream: TcpStream, peer: SocketAddr, seat: Seat, router: Router) {
    // Only latency is lost without it.
    let _ = stream.set_nodelay(true);
    let closed = seat.house.closed();
    if seat.house.is_closing() {
        return;
    }
    let heard = tokio::select! {
        heard = greeting::hear(&mut stream, &seat.house.limits) => heard,
        () = closed => None,
    };
    let Some((protocol, greeting)) = heard else { return };
    let pulse = Pulse::new(protocol, greeting.began_at);
    let (running, left_unread) = (AtomicU32::new(0), AtomicBool::new(false));
    let connection = Arc::new(Connection { seat, peer, pulse, router, running, left_unread });
    let wire = Wire::new(stream, greeting, Arc::clone(&connection));
    match protocol {
        Protocol::Http1 => http1(wire, &connection).await,
        Protocol::Http2 => http2(wire, &connection).await,
    }
}

async fn http1(mut wire: Wire, connection: &Arc<Connection>) {
    let ended = {
        let mut builder = http1::Builder::new();
        // hyper's own head deadline would also end idle connections; the pulse tells the two apart.
        builder.half_close(true).header_read_timeout(None).max_buf_size(BODY_BUFFER as usize);
        builder.max_header_size(connection.house().limits.header_bytes as usize);
        let service = service_fn(|request| answer(connection, request));
        let conn = builder.serve_connection(TokioIo::new(&mut wire), service);
        drive(pin!(conn), |conn| conn.graceful_shutdown(), connection).await
    };
    if ended == Ended::Failed || (ended == Ended::Finished && connection.left_unread.load(Ordering::Relaxed)) {
        wire.linger().await;
    }
}

async fn http2(wire: Wire, connection: &Arc<Connection>) {
    let limits = &connection.house().limits;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    // The limits on reset streams stay hyper's and h2's.
    builder.max_concurrent_streams(limits.streams).max_header_list_size(limits.header_bytes);
    builder.initial_stream_window_size(BODY_BUFFER).initial_connection_window_size(CONNECTION_WINDOW);
    builder.max_send_buf_size(BODY_BUFFER as usize);
    let service = service_fn(|request| answer(connection, request));
    let conn = builder.serve_connection(TokioIo::new(wire), service);
    drive(pin!(conn), |conn| conn.graceful_shutdown(), connection).await;
}

/// Polls a connection until it ends by itself or by a deadline; asks it to close when it is idle or the house closes.
async fn drive<C>(mut conn: Pin<&mut C>, ask_to_close: impl Fn(Pin<&mut C>), connection: &Connection) -> Ended
where
    C: Future<Output = hyper::Result<()>>,
{
    let house = connection.house();
    let limits = &house.limits;
    let mut alarm = pin!(sleep(limits.shortest()));
    let mut closed = pin!(house.closed());
    let mut closing_since = None;
    let mut watching = false;
    poll_fn(|cx| {
        // Polled once, the future keeps this task's waker. After that the flag is enough, and no request pays for a look
        // into the list that all connections share.
        if !watching {
            watching = true;
            let _ = closed.as_mut().poll(cx);
        }
        loop {
            if let Poll::Ready(result) = conn.as_mut().poll(cx) {
                return Poll::Ready(if result.is_ok() { Ended::Finished } else { Ended::Failed });
            }
            if closing_since.is_none() && house.is_closing() {
                closing_since = Some(Instant::now());
                ask_to_close(conn.as_mut());
                continue;
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            match connection.pulse.verdict(limits, closing_since, now) {
                Verdict::Until(next) => alarm.as_mut().reset(next),
                Verdict::Overdue => return Poll::Ready(Ended::Overdue),
                Verdict::Idle => {
                    closing_since = Some(now);
                    ask_to_close(conn.as_mut());
                    alarm.as_mut().reset(now + limits.shortest());
                }
            }
        }
    })
    .await
}
