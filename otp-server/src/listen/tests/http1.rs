//! HTTP/1.1 as clients speak it, well and badly.

use super::*;

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = Server::start(router(), limits()).await;
    let mut client = server.client().await;
    client.hello().await;
    client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nping").await;
    assert_eq!(client.answer().await.1, "ping");
    client.hello().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(router(), limits()).await;
    let mut client = server.client().await;
    let posts = ["one", "two", "three"]
        .map(|word| format!("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{word}", word.len()));
    client.send(&posts.concat()).await;
    for word in ["one", "two", "three"] {
        assert_eq!(client.answer().await.1, word);
    }
}

#[tokio::test]
async fn a_client_that_has_closed_its_side_gets_its_answer() {
    let mut gate = gate();
    let server = Server::start(gate.router, limits()).await;
    let mut client = server.client().await;
    client.get("/gate").await;
    client.0.shutdown().await.unwrap();
    in_time(gate.entered.recv()).await.unwrap();
    gate.open.add_permits(1);
    assert!(client.rest().await.ends_with("through"));
}

#[tokio::test]
async fn the_protocol_is_found_whatever_the_pieces() {
    let server = Server::start(router().route("/", axum::routing::any(|| async { "any" })), limits()).await;
    let mut client = server.client().await;
    client.0.set_nodelay(true).unwrap();
    for byte in "PRI / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".chars() {
        client.send(&byte.to_string()).await;
        tokio::task::yield_now().await;
    }
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("any"), "{answer}");
}

#[tokio::test]
async fn a_handler_sees_its_peer() {
    let server = Server::start(router(), limits()).await;
    let mut client = server.client().await;
    client.get("/peer").await;
    assert_eq!(client.answer().await.1, client.0.local_addr().unwrap().to_string());
}

#[tokio::test]
async fn a_head_without_end_is_refused_and_closed() {
    let server = Server::start(router(), limits()).await;
    let (mut from, mut to) = server.client().await.0.into_split();
    let flood = tokio::spawn(async move {
        let field = format!("x: {}\r\n", "a".repeat(1018));
        to.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n").await?;
        for _ in 0..10 * 1024 {
            to.write_all(field.as_bytes()).await?;
        }
        std::io::Result::Ok(())
    });
    let mut answer = Vec::new();
    let _ = in_time(from.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let _ = in_time(flood).await.unwrap();
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused_though_it_ends() {
    let server = Server::start(router(), limits()).await;
    let mut client = server.client().await;
    client.send(&format!("GET /hello HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(16 * 1024))).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn the_65th_header_field_is_one_too_many() {
    let server = Server::start(router(), limits()).await;
    let mut client = server.client().await;
    for (fields, status) in [(63, "200 OK"), (64, "431 Request Header Fields Too Large")] {
        let fields: String = (0..fields).map(|n| format!("x-{n}: y\r\n")).collect();
        client.send(&format!("GET /hello HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).await;
        let (head, body) = client.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert!(body == "hello" || code(&body) == "too_many_headers", "{body}");
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused() {
    let server = Server::start(router(), limits()).await;
    let mut client = server.client().await;
    client.send("GET /hello\r\n\r\n").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_arrives() {
    let refusing = Router::new().route("/refuse", post(|| async { "no" }));
    let server = Server::start(refusing, limits()).await;
    let mut client = server.client().await;
    client.send("POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, "no");
    client.send(&"x".repeat(1_000_000)).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_panic_costs_one_answer() {
    let server = Server::start(router(), limits()).await;
    let mut client = server.client().await;
    client.get("/panic").await;
    let (head, body) = client.answer().await;
    assert!(head.starts_with("HTTP/1.1 500"), "{head}");
    assert!(head.contains("content-type: application/problem+json\r\n"), "{head}");
    assert_eq!(code(&body), "internal_error");
    client.hello().await;
}

#[tokio::test]
async fn a_handler_finishes_though_its_client_is_gone() {
    let mut gate = gate();
    let server = Server::start(gate.router, limits()).await;
    let mut client = server.client().await;
    client.get("/gate").await;
    in_time(gate.entered.recv()).await.unwrap();
    client.0.set_zero_linger().unwrap();
    drop(client);
    gate.open.add_permits(1);
    in_time(gate.left.recv()).await.unwrap();
}
