//! A mail server that takes everything at once, and tells when.

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where it listens, and when each mail had arrived.
pub struct Sink {
    /// Its address.
    pub address: SocketAddr,
    taken: UnboundedReceiver<Instant>,
}

impl Sink {
    /// Starts one, on a thread of its own.
    pub fn start() -> Self {
        let (told, address) = std::sync::mpsc::channel();
        let (sender, taken) = unbounded_channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("its address")).expect("somebody waits");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(converse(stream, sender.clone()));
                }
            });
        });
        Self { address: address.recv().expect("it listens"), taken }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none&connections=16", self.address)
    }

    /// Waits for so many mails; when the last of them had arrived.
    pub async fn wait_for(&mut self, mails: usize) -> Instant {
        let mut last = None;
        for _ in 0..mails {
            last = self.taken.recv().await;
        }
        last.expect("it runs")
    }
}

async fn converse(stream: TcpStream, taken: UnboundedSender<Instant>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink.test\r\n").await?;
    let (mut line, mut is_mail) = (Vec::new(), false);
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        if is_mail && line != b".\r\n" {
            continue;
        }
        let answer: &[u8] = match line.first_chunk::<4>() {
            _ if is_mail => {
                is_mail = false;
                let _ = taken.send(Instant::now()); // the bench may be over
                b"250 queued\r\n"
            }
            Some(b"DATA") => {
                is_mail = true;
                b"354 go on\r\n"
            }
            Some(b"QUIT") => return Ok(()),
            _ => b"250 OK\r\n",
        };
        stream.write_all(answer).await?;
    }
}
