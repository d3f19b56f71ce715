//! The socket of a connection: gives the greeting once more, and tells the pulse of every byte.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::Connection;
use super::greeting::Greeting;

/// A peer that still sends has this long to read the answer that ends its connection.
const LINGER_FOR: Duration = Duration::from_secs(1);
/// What is read away meanwhile.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

pub(super) struct Wire {
    stream: TcpStream,
    greeting: Greeting,
    given: usize,
    connection: Arc<Connection>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, greeting: Greeting, connection: Arc<Connection>) -> Self {
        Self { stream, greeting, given: 0, connection }
    }

    /// Closes without losing the last answer: a socket closed over unread input resets the connection, and the reset may
    /// overtake the answer.
    pub(super) async fn linger(mut self) {
        let read_away = async {
            self.stream.shutdown().await?;
            let mut sink = vec![0; 16 * 1024];
            let mut left = LINGER_BYTES;
            while left > 0 {
                match self.stream.read(&mut sink).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            io::Result::Ok(())
        };
        // However it ends, the connection is over.
        let _ = timeout(LINGER_FOR, read_away).await;
    }

    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(Ok(_)) => self.connection.pulse.sent(),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.connection.pulse.blocked(),
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let rest = &wire.greeting.bytes()[wire.given..];
        if !rest.is_empty() {
            let given = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..given]);
            wire.given += given;
            // What follows usually waits already, and a head that is read in one piece is parsed once. Should this read
            // fail, the next one fails too.
            if buf.remaining() > 0 {
                let _ = Pin::new(&mut wire.stream).poll_read(cx, buf);
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut wire.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            wire.connection.pulse.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
