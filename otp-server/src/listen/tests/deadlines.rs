//! Slow clients and slow handlers. Each test has one short deadline, so that only this one can have ended what it saw end.

use super::*;

#[tokio::test]
async fn a_client_that_sends_nothing_is_closed() {
    let server = Server::start(router(), Limits { first_byte: SHORT, ..limits() }).await;
    assert_eq!(server.client().await.rest().await, "");
}

#[tokio::test]
async fn half_a_preface_is_closed() {
    let server = Server::start(router(), Limits { headers: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.send("PRI * HTTP/2.0\r\n").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn half_a_head_is_closed() {
    let server = Server::start(router(), Limits { headers: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.send("GET /hello HTTP/1.1\r\nhost:").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn more_of_a_head_buys_no_time() {
    let server = Server::start(router(), Limits { headers: SHORT, ..limits() }).await;
    let (mut from, mut to) = server.client().await.0.into_split();
    let drip = tokio::spawn(async move {
        let _ = to.write_all(b"GET /hello HTTP/1.1\r\n").await;
        while to.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    let mut answer = Vec::new();
    let _ = in_time(from.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    in_time(drip).await.unwrap();
}

#[tokio::test]
async fn half_of_a_later_head_is_closed() {
    let server = Server::start(router(), Limits { headers: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.hello().await;
    client.send("GET /hello HT").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Server::start(router(), Limits { idle: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.hello().await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_dripping_body_fails_for_its_reader_and_answers_408() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let reading = Router::new().route(
        "/read",
        post(|body: Body| async move {
            let read = body.collect().await.map(|body| body.to_bytes());
            tell.send(read.map_err(|error| error.to_string())).unwrap();
            "whatever"
        }),
    );
    let server = Server::start(reading, Limits { body: SHORT, ..limits() }).await;
    let (from, mut to) = server.client().await.0.into_split();
    let drip = tokio::spawn(async move {
        let _ = to.write_all(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await;
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    let error = in_time(told.recv()).await.unwrap().unwrap_err();
    assert_eq!(error, "the request body did not arrive in time");
    let mut answer = String::new();
    let _ = in_time({ from }.read_to_string(&mut answer)).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408") && head.contains("connection: close"), "{head}");
    assert_eq!(code(body), "body_timeout");
    in_time(drip).await.unwrap();
}

#[tokio::test]
async fn a_slow_handler_answers_503_and_still_finishes() {
    let mut gate = gate();
    let server = Server::start(gate.router, Limits { request: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.get("/gate").await;
    let answer = client.rest().await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("connection: close"), "{head}");
    assert_eq!(code(body), "timeout");
    gate.open.add_permits(1);
    in_time(gate.left.recv()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_closed() {
    struct Large(Vec<u8>, mpsc::UnboundedSender<()>);
    impl AsRef<[u8]> for Large {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Large {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let large = move || async move { Bytes::from_owner(Large(vec![b'x'; 64 * 1024 * 1024], tell)) };
    let server = Server::start(Router::new().route("/large", get(large)), Limits { request: SHORT, ..limits() }).await;
    let mut client = server.client().await;
    client.get("/large").await;
    in_time(told.recv()).await.unwrap();
    assert!(client.rest().await.len() < 64 * 1024 * 1024);
}

#[tokio::test]
async fn a_client_that_takes_an_answer_bit_by_bit_gets_all_of_it() {
    const LENGTH: usize = 16 * 1024 * 1024;
    let large = Router::new().route("/large", get(|| async { vec![b'x'; LENGTH] }));
    let server = Server::start(large, Limits { request: 3 * SHORT, ..limits() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut client = Client(socket.connect(server.addr).await.unwrap());
    client.send("GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut taken = Vec::new();
    while in_time((&mut client.0).take(128 * 1024).read_to_end(&mut taken)).await.unwrap() > 0 {
        tokio::time::sleep(SHORT / 15).await;
    }
    assert!(taken.len() > LENGTH);
}
