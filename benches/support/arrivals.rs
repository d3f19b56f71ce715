//! Peers that take what they are sent, on threads of their own, and tell when it arrived: a mail server, and an endpoint.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// A running peer.
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    arrivals: Arc<Arrivals>,
}

/// When an endpoint answers what it has read.
#[derive(Clone, Copy)]
pub enum Answers {
    /// As soon as it has read it.
    AtOnce,
    /// So much later, and up to a millisecond more.
    After(Duration),
    /// It hangs.
    Never,
}

/// When everything arrived. Whoever waits is woken once, so that it takes no time from what is measured.
#[derive(Default)]
struct Arrivals {
    state: Mutex<State>,
    complete: Notify,
}

#[derive(Default)]
struct State {
    all: Vec<Instant>,
    awaited: usize,
}

impl Arrivals {
    fn note(&self) {
        let mut state = self.state();
        state.all.push(Instant::now());
        if state.all.len() == state.awaited {
            self.complete.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// A mail server that takes everything at once.
    pub fn mail_server() -> Self {
        Self::start(take_mails)
    }

    /// Its URL, over which mail leaves on 16 connections.
    pub fn smtp_url(&self) -> String {
        format!("smtp://{}?tls=none&connections=16", self.address)
    }

    /// An endpoint that takes everything.
    pub fn endpoint(answers: Answers) -> Self {
        Self::start(move |stream, arrived| take_requests(stream, answers, arrived))
    }

    /// Its URL.
    pub fn http_url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Waits for so many arrivals; when the last of them was.
    pub async fn wait_for(&mut self, count: usize) -> Instant {
        let awaited = {
            let mut state = self.arrivals.state();
            state.awaited += count;
            state.awaited
        };
        loop {
            if let Some(last) = self.arrivals.state().all.get(awaited - 1) {
                return *last;
            }
            self.arrivals.complete.notified().await;
        }
    }

    fn start<C, F>(converse: C) -> Self
    where
        C: Fn(TcpStream, Arc<Arrivals>) -> F + Send + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let (told, address) = std::sync::mpsc::channel();
        let arrivals = Arc::<Arrivals>::default();
        let noting = Arc::clone(&arrivals);
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("its address")).expect("somebody waits");
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).expect("a socket");
                    tokio::spawn(converse(stream, Arc::clone(&noting)));
                }
            });
        });
        Self { address: address.recv().expect("it listens"), arrivals }
    }
}

async fn take_mails(stream: TcpStream, arrivals: Arc<Arrivals>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 peer.test\r\n").await?;
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
                arrivals.note();
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

async fn take_requests(stream: TcpStream, answers: Answers, arrivals: Arc<Arrivals>) -> io::Result<()> {
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
        match answers {
            Answers::AtOnce => {}
            Answers::After(pause) => tokio::time::sleep(pause).await,
            Answers::Never => continue,
        }
        arrivals.note();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}
