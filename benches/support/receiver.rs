//! An endpoint that takes everything at once, and tells when; or one that never answers.

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where it listens, and when each request had arrived.
pub struct Receiver {
    /// Its address.
    pub address: SocketAddr,
    taken: UnboundedReceiver<Instant>,
}

impl Receiver {
    /// Starts one, on a thread of its own.
    pub fn start(answers: bool) -> Self {
        let (told, address) = std::sync::mpsc::channel();
        let (sender, taken) = unbounded_channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("its address")).expect("somebody waits");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(converse(stream, answers, sender.clone()));
                }
            });
        });
        Self { address: address.recv().expect("it listens"), taken }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Waits for so many requests; when the last of them had arrived.
    pub async fn wait_for(&mut self, requests: usize) -> Instant {
        let mut last = None;
        for _ in 0..requests {
            last = self.taken.recv().await;
        }
        last.expect("it runs")
    }
}

async fn converse(stream: TcpStream, answers: bool, taken: UnboundedSender<Instant>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap_or_default();
                }
                _ if line == "\r\n" => break,
                _ => {}
            }
        }
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        if !answers {
            continue;
        }
        let _ = taken.send(Instant::now()); // the bench may be over
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}
