//! The accept loop: every connection has deadlines and a place under a cap, and shutdown is graceful.
//!
//! One plain port speaks HTTP/1.1 and HTTP/2 with prior knowledge. A connection passes through
//! `house` (caps, drain), `greeting` (which protocol), `connection` (deadlines) and `request` (handlers).
//!
//! A connection over a cap is accepted and reset at once, unanswered. Left in the kernel's backlog it would wait behind the
//! very clients that fill the house, and would learn nothing until its own timeout; an answer before the request was read
//! costs work that a flood should not buy. A reset also leaves no `TIME_WAIT` behind.

mod connection;
mod fault;
mod greeting;
mod house;
mod pulse;
mod request;
mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use house::{House, Refusal};

/// How long the loop rests when it cannot accept, for want of file descriptors or memory.
const BACKOFF: Duration = Duration::from_millis(100);
/// At most one line is logged about refused connections in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// The address a request came from: the TCP peer, which may be a proxy. In the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Which peers are not counted against [`Limits::per_ip`].
pub type Exempt = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// What one client, and all of them together, may take.
#[derive(Clone)]
pub struct Limits {
    /// From the connection's start to its first byte; also what a peer has to react when it is asked to close.
    pub first_byte: Duration,
    /// From the first byte of a request's head to its last. HTTP/2: from the preface to the first request.
    pub headers: Duration,
    /// From the end of a request's head to the end of its body. Then reading fails and the answer is 408.
    pub body: Duration,
    /// From the end of a request's head to the head of the answer, after which the answer is 503 `timeout`; also how long a
    /// peer may take none of the bytes it is sent.
    pub request: Duration,
    /// Without a request, a connection is closed after this. Over HTTP/2 an answer's body has this long to be taken.
    pub idle: Duration,
    /// What is in flight at shutdown has this long to finish.
    pub drain: Duration,
    /// Connections at a time, including those whose client is gone while its handler still runs.
    pub connections: usize,
    /// The same from one IPv4 address or one IPv6 /64 network, which is what one IPv6 subscriber has.
    pub per_ip: usize,
    /// Peers free of `per_ip`. Loopback by default: that peer is a reverse proxy on this machine, and all clients come from
    /// its address. Add proxies elsewhere here too.
    pub exempt: Exempt,
    /// Header fields of a request; over HTTP/1.1 never more than 100.
    pub header_count: usize,
    /// Bytes of a request's head, or of HTTP/2 trailers and HTTP/1.1 chunk trailers.
    pub header_bytes: u32,
    /// HTTP/2 streams of a connection, and handlers running for it, counting those whose stream was reset.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            body: Duration::from_secs(10),
            request: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            connections: 10_000,
            per_ip: 100,
            exempt: Arc::new(|ip| ip.is_loopback()),
            header_count: 64,
            header_bytes: 16 * 1024,
            streams: 64,
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("connections", &self.connections)
            .field("per_ip", &self.per_ip)
            .finish_non_exhaustive()
    }
}

impl Limits {
    /// The shortest deadline of a connection. Checked this often, none is missed, and no request has to set a timer for it.
    fn shortest(&self) -> Duration {
        self.first_byte.min(self.headers).min(self.request).min(self.idle).min(self.drain)
    }
}

/// Serves `router` until `shutdown` is ready, then stops accepting and returns when all requests in flight are answered and
/// their handlers done, or [`Limits::drain`] has passed.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: impl Future<Output = ()>) {
    let house = House::open(limits);
    let router = router.with_state(());
    let mut complaints = Complaints::default();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            accepted = accept(&listener) => accepted,
        };
        match house.seat(peer.ip().to_canonical()) {
            Ok(seat) => {
                tokio::spawn(connection::run(stream, peer, seat, router.clone()));
            }
            Err(refusal) => {
                complaints.add(refusal);
                // Without it the socket closes in the ordinary way, which serves as well.
                let _ = stream.set_zero_linger();
            }
        }
    }
    drop(listener);
    house.close().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections, trying again");
                sleep(BACKOFF).await;
            }
        }
    }
}

fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Keeps a flood of refused connections from becoming a flood of log lines.
#[derive(Default)]
struct Complaints {
    refused: u64,
    silent_until: Option<Instant>,
}

impl Complaints {
    fn add(&mut self, refusal: Refusal) {
        self.refused += 1;
        let now = Instant::now();
        if self.silent_until.is_some_and(|until| now < until) {
            return;
        }
        tracing::warn!(refused = self.refused, last = %refusal, "connections were refused");
        *self = Self { refused: 0, silent_until: Some(now + COMPLAIN_EVERY) };
    }
}
