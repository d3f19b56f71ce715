//! HTTP/2 with prior knowledge, on the same port.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Frame;

use super::*;

/// A body whose chunks the test sends.
struct Chunks(mpsc::UnboundedReceiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let server = Server::start(router(), limits()).await;
    let (mut sender, _conn) = server.h2().await;
    let answers: Vec<_> = (0..50)
        .map(|n| tokio::spawn(sender.send_request(request("POST", "/echo", Body::from(n.to_string())))))
        .collect();
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(text(in_time(answer).await.unwrap().unwrap()).await, n.to_string());
    }
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let unlimited = router().layer(axum::extract::DefaultBodyLimit::disable());
    let server = Server::start(unlimited, limits()).await;
    let (mut sender, _conn) = server.h2().await;
    let large = "0123456789".repeat(200_000);
    let answer = in_time(sender.send_request(request("POST", "/echo", Body::from(large.clone())))).await.unwrap();
    assert!(in_time(text(answer)).await == large);
}

#[tokio::test]
async fn a_panic_costs_one_stream() {
    let server = Server::start(router(), limits()).await;
    let (mut sender, _conn) = server.h2().await;
    let answer = in_time(sender.send_request(request("GET", "/panic", Body::empty()))).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(code(&text(answer).await), "internal_error");
    let answer = in_time(sender.send_request(request("GET", "/hello", Body::empty()))).await.unwrap();
    assert_eq!(text(answer).await, "hello");
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Server::start(router(), limits()).await;
    let (mut sender, _conn) = server.h2().await;
    let mut large = request("GET", "/hello", Body::empty());
    for n in 0..10 {
        let name = axum::http::HeaderName::try_from(format!("x-{n}")).unwrap();
        large.headers_mut().insert(name, "a".repeat(2000).parse().unwrap());
    }
    assert_eq!(in_time(sender.send_request(large)).await.unwrap().status(), 431);
}

#[tokio::test]
async fn a_slow_body_fails_for_its_reader_and_answers_408() {
    let server = Server::start(router(), Limits { body: SHORT, ..limits() }).await;
    let (mut sender, _conn) = server.h2().await;
    let (drip, chunks) = mpsc::unbounded_channel();
    drip.send(Bytes::from_static(b"never the end")).unwrap();
    let answer = in_time(sender.send_request(request("POST", "/echo", Body::new(Chunks(chunks))))).await.unwrap();
    assert_eq!(answer.status(), 408);
    assert_eq!(code(&text(answer).await), "body_timeout");
    let answer = in_time(sender.send_request(request("GET", "/hello", Body::empty()))).await.unwrap();
    assert_eq!(text(answer).await, "hello");
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let server = Server::start(router(), Limits { idle: SHORT, first_byte: SHORT, ..limits() }).await;
    let (mut sender, conn) = server.h2().await;
    let answer = in_time(sender.send_request(request("GET", "/hello", Body::empty()))).await.unwrap();
    assert_eq!(text(answer).await, "hello");
    in_time(conn).await.unwrap().unwrap();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn a_connection_that_only_greets_is_closed() {
    let server = Server::start(router(), Limits { headers: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut settings = Vec::new();
    let _ = in_time(client.0.read_to_end(&mut settings)).await;
    assert_eq!(settings.get(3), Some(&4), "the server sends its settings, then the end");
}

#[tokio::test]
async fn a_handler_finishes_though_its_stream_was_reset() {
    let mut gate = gate();
    let server = Server::start(gate.router, limits()).await;
    let (mut sender, _conn) = server.h2().await;
    let answer = tokio::spawn(sender.send_request(request("GET", "/gate", Body::empty())));
    in_time(gate.entered.recv()).await.unwrap();
    answer.abort();
    let after_the_reset = in_time(sender.send_request(request("GET", "/hello", Body::empty()))).await.unwrap();
    assert_eq!(text(after_the_reset).await, "hello");
    gate.open.add_permits(1);
    in_time(gate.left.recv()).await.unwrap();
}

#[tokio::test]
async fn streams_that_were_reset_still_count_while_their_handlers_run() {
    let mut gate = gate();
    let server = Server::start(gate.router, Limits { streams: 4, ..limits() }).await;
    let (mut sender, _conn) = server.h2().await;
    for _ in 0..4 {
        let answer = tokio::spawn(sender.send_request(request("GET", "/gate", Body::empty())));
        in_time(gate.entered.recv()).await.unwrap();
        answer.abort();
    }
    let answer = in_time(sender.send_request(request("GET", "/gate", Body::empty()))).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(code(&text(answer).await), "overloaded");
    gate.open.add_permits(4);
    for _ in 0..4 {
        in_time(gate.left.recv()).await.unwrap();
    }
}
