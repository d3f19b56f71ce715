//! Connections over a cap are refused, and seats come free again.

use super::*;

fn no_exemption(limits: Limits) -> Limits {
    Limits { exempt: Arc::new(|_| false), ..limits }
}

#[tokio::test]
async fn the_101st_connection_of_a_peer_is_refused() {
    let server = Server::start(router(), no_exemption(limits())).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = server.client_from("127.0.0.2").await;
        client.hello().await;
        clients.push(client);
    }
    assert_eq!(server.client_from("127.0.0.2").await.rest().await, "");
    server.client_from("127.0.0.3").await.hello().await;
    clients[99].hello().await;
}

#[tokio::test]
async fn a_client_that_leaves_makes_room() {
    let server = Server::start(router(), no_exemption(Limits { per_ip: 1, ..limits() })).await;
    let mut first = server.client().await;
    first.hello().await;
    first.send("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(first.rest().await.ends_with("hello"));
    in_time(async { while !served(&mut server.client().await).await {} }).await;
}

#[tokio::test]
async fn a_handler_keeps_the_seat_of_a_client_that_hung_up() {
    let mut gate = gate();
    let server = Server::start(gate.router, no_exemption(Limits { per_ip: 1, ..limits() })).await;
    let mut client = server.client().await;
    client.get("/gate").await;
    in_time(gate.entered.recv()).await.unwrap();
    drop(client);
    assert!(!served(&mut server.client().await).await);
    gate.open.add_permits(1);
    in_time(async { while !served(&mut server.client().await).await {} }).await;
}

#[tokio::test]
async fn a_full_house_refuses_everyone() {
    let server = Server::start(router(), Limits { connections: 2, ..limits() }).await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.hello().await;
    two.hello().await;
    assert!(!served(&mut server.client().await).await);
    one.hello().await;
}

/// Whether the server answers rather than resets.
async fn served(client: &mut Client) -> bool {
    let request = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.0.write_all(request).await.is_ok() && client.rest().await.ends_with("hello")
}
