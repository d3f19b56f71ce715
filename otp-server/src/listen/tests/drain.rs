//! Shutdown: what is in flight finishes, nothing else begins.

use super::*;

#[tokio::test]
async fn what_is_in_flight_is_answered_and_nobody_else_comes_in() {
    let mut gate = gate();
    let server = Server::start(gate.router, limits()).await;
    let (mut busy, mut idle) = (server.client().await, server.client().await);
    let mut silent = server.client().await;
    busy.get("/gate").await;
    idle.hello().await;
    in_time(gate.entered.recv()).await.unwrap();
    server.stop.send(()).unwrap();
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    assert!(TcpStream::connect(server.addr).await.is_err());
    assert!(!server.served.is_finished());
    gate.open.add_permits(1);
    let answer = busy.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("through"), "{answer}");
    in_time(server.served).await.unwrap();
}

#[tokio::test]
async fn http2_streams_in_flight_are_answered() {
    let mut gate = gate();
    let server = Server::start(gate.router, limits()).await;
    let (mut sender, conn) = server.h2().await;
    let answer = tokio::spawn(sender.send_request(request("GET", "/gate", Body::empty())));
    in_time(gate.entered.recv()).await.unwrap();
    server.stop.send(()).unwrap();
    gate.open.add_permits(1);
    assert_eq!(text(in_time(answer).await.unwrap().unwrap()).await, "through");
    in_time(conn).await.unwrap().unwrap();
    in_time(server.served).await.unwrap();
}

#[tokio::test]
async fn idle_http2_connections_are_closed() {
    let server = Server::start(router(), limits()).await;
    let (mut sender, conn) = server.h2().await;
    let answer = in_time(sender.send_request(request("GET", "/hello", Body::empty()))).await.unwrap();
    assert_eq!(text(answer).await, "hello");
    server.stop.send(()).unwrap();
    in_time(conn).await.unwrap().unwrap();
    in_time(server.served).await.unwrap();
}

#[tokio::test]
async fn handlers_without_a_client_are_waited_for() {
    let mut gate = gate();
    let server = Server::start(gate.router, limits()).await;
    let mut client = server.client().await;
    client.get("/gate").await;
    in_time(gate.entered.recv()).await.unwrap();
    drop(client);
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.served.is_finished());
    gate.open.add_permits(1);
    in_time(server.served).await.unwrap();
    gate.left.try_recv().expect("the handler was done before the server returned");
}

#[tokio::test]
async fn the_wait_ends_with_the_drain_time() {
    let mut gate = gate();
    let server = Server::start(gate.router, Limits { drain: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.get("/gate").await;
    in_time(gate.entered.recv()).await.unwrap();
    server.stop.send(()).unwrap();
    in_time(server.served).await.unwrap();
    assert!(gate.left.try_recv().is_err(), "the handler still waits at its gate");
}
