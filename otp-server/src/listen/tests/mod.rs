//! Real sockets on loopback against the whole loop. Deadlines that a test is about are short, all others an hour.

mod caps;
mod deadlines;
mod drain;
mod http1;
mod http2;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::http::{Request, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Limits, Peer, serve};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(150);
/// Far beyond what any step needs; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    Limits { first_byte: HOUR, headers: HOUR, body: HOUR, request: HOUR, idle: HOUR, drain: HOUR, ..Limits::default() }
}

fn router() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/peer", get(|Extension(Peer(peer)): Extension<Peer>| async move { peer.to_string() }))
        .route("/panic", get(panicking))
}

async fn panicking() -> &'static str {
    panic!("as the test wants it")
}

struct Server {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, router, limits, async {
            let _ = stopped.await;
        }));
        Self { addr, stop, served }
    }

    async fn client(&self) -> Client {
        Client(TcpStream::connect(self.addr).await.unwrap())
    }

    async fn client_from(&self, ip: &str) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
        Client(socket.connect(self.addr).await.unwrap())
    }

    async fn h2(&self) -> (SendRequest<Body>, JoinHandle<hyper::Result<()>>) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (sender, conn) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        (sender, tokio::spawn(conn))
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    }

    /// All that comes until the server closes, by a reset too.
    async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        let _ = in_time(self.0.read_to_end(&mut all)).await;
        String::from_utf8(all).unwrap()
    }

    /// One answer with a `content-length`, as its head and its body.
    async fn answer(&mut self) -> (String, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(in_time(self.0.read_u8()).await.unwrap()));
        }
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        in_time(self.0.read_exact(&mut body)).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    async fn hello(&mut self) {
        self.get("/hello").await;
        let (head, body) = self.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert_eq!(body, "hello");
    }
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("the server does what it should")
}

fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(format!("http://x{path}")).body(body).unwrap()
}

async fn text<B>(response: Response<B>) -> String
where
    B: hyper::body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

fn code(body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["success"], false);
    assert_eq!(problem["type"], "about:blank");
    problem["code"].as_str().unwrap().to_owned()
}

/// A handler at `/gate` that tells when it runs, waits to be let on, and tells when it is done.
struct Gate {
    router: Router,
    entered: mpsc::UnboundedReceiver<()>,
    open: Arc<tokio::sync::Semaphore>,
    left: mpsc::UnboundedReceiver<()>,
}

fn gate() -> Gate {
    let ((enter, entered), (leave, left)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let open = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&open);
    let handler = move || async move {
        enter.send(()).unwrap();
        gate.acquire().await.unwrap().forget();
        let _ = leave.send(());
        "through"
    };
    Gate { router: router().route("/gate", get(handler)), entered, open, left }
}
