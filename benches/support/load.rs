//! Load over HTTP/1.1: keep-alive connections on one thread, each with one request under way.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What a run of requests came to.
pub struct Answers {
    /// The bodies, in the order of the requests.
    pub bodies: Vec<Vec<u8>>,
    /// From each request's first byte to its answer's last, in any order.
    pub spans: Vec<Duration>,
    /// From the first request to the last answer.
    pub took: Duration,
}

/// One JSON request, as it goes over the wire.
pub fn post(path: &str, credential: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {credential}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends the requests over so many connections. Panics on any answer but 200 and 201.
pub fn run(address: SocketAddr, connections: usize, requests: &[Vec<u8>]) -> Answers {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, drive(address, connections, requests))
}

struct Work {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    done: RefCell<Vec<(usize, Vec<u8>, Duration)>>,
}

async fn drive(address: SocketAddr, connections: usize, requests: &[Vec<u8>]) -> Answers {
    let done = RefCell::new(Vec::with_capacity(requests.len()));
    let work = Rc::new(Work { requests: requests.to_vec(), next: Cell::new(0), done });
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket option");
        streams.push(stream);
    }
    let started = Instant::now();
    let clients = streams.into_iter().map(|stream| tokio::task::spawn_local(client(stream, Rc::clone(&work))));
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client that does not panic");
    }
    let took = started.elapsed();
    let mut done = work.done.take();
    done.sort_unstable_by_key(|(number, ..)| *number);
    let spans = done.iter().map(|(_, _, span)| *span).collect();
    Answers { bodies: done.into_iter().map(|(_, body, _)| body).collect(), spans, took }
}

async fn client(mut stream: TcpStream, work: Rc<Work>) {
    let mut buffer = Vec::with_capacity(4_096);
    loop {
        let number = work.next.replace(work.next.get() + 1);
        let Some(request) = work.requests.get(number) else { return };
        let started = Instant::now();
        stream.write_all(request).await.expect("the server reads");
        let body = answer(&mut stream, &mut buffer).await;
        work.done.borrow_mut().push((number, body, started.elapsed()));
    }
}

/// Reads one answer with a `Content-Length`, as all here have.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Vec<u8> {
    buffer.clear();
    let head = loop {
        let count = stream.read_buf(buffer).await.expect("the server answers");
        assert!(count > 0, "the server hung up");
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head]).expect("a head in ASCII");
    let named = text.lines().filter_map(|line| line.split_once(": "));
    let mut length = named.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value);
    let length: usize =
        length.next_back().and_then(|value| value.parse().ok()).expect("an answer that tells its length");
    let is_good = text.starts_with("HTTP/1.1 20");
    while buffer.len() < head + length {
        assert!(stream.read_buf(buffer).await.expect("the server answers") > 0, "the server hung up");
    }
    assert!(is_good, "{}", String::from_utf8_lossy(buffer));
    buffer[head..].to_vec()
}
