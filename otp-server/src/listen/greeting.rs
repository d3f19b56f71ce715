//! The first bytes of a connection decide its protocol, under a deadline of their own.
//!
//! hyper-util's protocol detection waits for ever for a client that sends nothing, or a part of the HTTP/2 preface.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Limits;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What was read to find out, to be read again by the protocol.
pub(super) struct Greeting {
    bytes: [u8; PREFACE.len()],
    read: usize,
    pub(super) began_at: Instant,
}

impl Greeting {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.read]
    }

    /// The protocol, once the bytes are or cannot become the preface.
    fn protocol(&self) -> Option<Protocol> {
        match self.bytes() {
            bytes if bytes == PREFACE => Some(Protocol::Http2),
            bytes if PREFACE.starts_with(bytes) => None,
            _ => Some(Protocol::Http1),
        }
    }
}

/// Reads until the protocol is known; `None` if the peer is too slow or leaves.
pub(super) async fn hear(stream: &mut TcpStream, limits: &Limits) -> Option<(Protocol, Greeting)> {
    let opened_at = Instant::now();
    let mut greeting = Greeting { bytes: [0; PREFACE.len()], read: 0, began_at: opened_at };
    let mut deadline = opened_at + limits.first_byte;
    loop {
        let rest = &mut greeting.bytes[greeting.read..];
        let read = timeout_at(deadline, stream.read(rest)).await.ok()?.ok().filter(|read| *read > 0)?;
        if greeting.read == 0 {
            greeting.began_at = Instant::now();
            deadline = greeting.began_at + limits.headers;
        }
        greeting.read += read;
        if let Some(protocol) = greeting.protocol() {
            return Some((protocol, greeting));
        }
    }
}
