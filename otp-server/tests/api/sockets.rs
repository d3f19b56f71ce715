//! The routes behind the server's own accept loop, over real sockets: races, clients that hang up, peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use otp_core::challenge::Challenge;
use otp_core::event::EventKind;
use otp_core::{ChallengeId, Mode};
use otp_server::listen::{Limits, serve};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Barrier, oneshot};

use crate::call::{Call, Reply, delete, get, post};
use crate::harness::{ADMIN, SignedIn, World};

/// Far beyond what any step needs; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("the server does what it should")
}

/// A world on a port of its own.
pub struct Server {
    pub world: Arc<World>,
    pub addr: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub async fn start(world: World) -> Self {
        let router = world.router.clone();
        Self::start_with(world, router).await
    }

    pub async fn start_with(world: World, router: axum::Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, router, Limits::default(), async {
            let _ = stopped.await;
        }));
        Self { world: Arc::new(world), addr, _stop: stop }
    }

    async fn line(&self) -> Line {
        self.line_from("127.0.0.1").await
    }

    async fn line_from(&self, ip: &str) -> Line {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
        let stream = socket.connect(self.addr).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Line(sender)
    }

    async fn lines(&self, count: usize) -> Vec<Line> {
        join_all((0..count).map(|_| self.line())).await
    }

    /// Sends the calls at the same moment, each over a connection of its own.
    async fn storm(&self, calls: Vec<Call>) -> Vec<Reply> {
        let lines = self.lines(calls.len()).await;
        let barrier = Arc::new(Barrier::new(calls.len()));
        let racers = lines.into_iter().zip(calls).map(|(mut line, call)| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                line.send(call).await
            })
        });
        let racers: Vec<_> = racers.collect();
        in_time(join_all(racers)).await.into_iter().map(|reply| reply.unwrap()).collect()
    }
}

/// One connection.
struct Line(http1::SendRequest<Body>);

impl Line {
    async fn send(&mut self, call: Call) -> Reply {
        let (method, path) = (call.method.clone(), call.path.clone());
        in_time(self.0.ready()).await.unwrap();
        let response = in_time(self.0.send_request(call.header("host", "otp.example").request())).await.unwrap();
        let (head, body) = response.into_parts();
        let body = in_time(body.collect()).await.unwrap().to_bytes();
        let reply = Reply { method, path, status: head.status, headers: head.headers, body };
        reply.check();
        reply
    }
}

fn tally(replies: &[Reply], outcome: &str) -> usize {
    replies.iter().filter(|reply| reply.outcome() == outcome).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_right_codes_at_once_one_begins_a_session() {
    let world = World::new();
    let customer = world.customer().await;
    let server = Server::start(world).await;
    let world = &server.world;
    for (round, by_address) in [(0, false), (1, true), (2, false), (3, true)] {
        let email = format!("ann{round}@example.org");
        let asked = world.ask(&customer.key, &email).await;
        let body = if by_address { json!({"email": email, "otp": asked.code}) } else { asked.body() };
        let calls = (0..64).map(|_| post("/auth/verify-otp", body.clone()).bearer(&customer.key)).collect();
        let replies = server.storm(calls).await;
        assert_eq!((tally(&replies, "200"), tally(&replies, "404 otp_not_found")), (1, 63));
        let winner = replies.iter().find(|reply| reply.status == 200).unwrap();
        let user = SignedIn::of(&winner.ok());
        let sessions = world.send(get("/auth/sessions").bearer(&user.token)).await.ok();
        assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
    }
    assert_eq!(world.events(customer.space(Mode::Live), EventKind::UserCreated).await, 4);
    assert_eq!(world.events(customer.space(Mode::Live), EventKind::UserLoggedIn).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_wrong_guesses_at_once_exactly_the_budget_is_judged() {
    let world = World::new();
    let customer = world.customer().await;
    let server = Server::start(world).await;
    let world = &server.world;
    for (round, by_address) in [(0, false), (1, true)] {
        let email = format!("ann{round}@example.org");
        let asked = world.ask(&customer.key, &email).await;
        let guess = |number| match (by_address, asked.wrong(number)) {
            (true, wrong) => json!({"email": email, "otp": wrong["otp"]}),
            (false, wrong) => wrong,
        };
        let calls = (0..200).map(|number| post("/auth/verify-otp", guess(number)).bearer(&customer.key)).collect();
        let replies = server.storm(calls).await;
        assert_eq!((tally(&replies, "401 otp_invalid"), tally(&replies, "401 otp_attempts_exceeded")), (5, 195));
        let mut left: Vec<_> = replies.iter().filter_map(|reply| reply.json()["remainingAttempts"].as_u64()).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4]);
        assert_eq!(world.events(customer.space(Mode::Live), EventKind::OtpFailed).await, 5 * (round + 1));
        // The right code comes too late for this budget, and is still good for the other.
        let same = if by_address { json!({"email": email, "otp": asked.code}) } else { asked.body() };
        world.verify(&customer.key, same).await.problem(401, "otp_attempts_exceeded");
        let other = if by_address { asked.body() } else { json!({"email": email, "otp": asked.code}) };
        world.verify(&customer.key, other).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_requests_at_once_a_free_day_serves_50() {
    let world = World::new();
    let customer = world.customer_on("free").await;
    let server = Server::start(world).await;
    let ask =
        |to: usize| post("/auth/request-otp", json!({"email": format!("ann{to}@example.org")})).bearer(&customer.key);
    let replies = server.storm((0..64).map(ask).collect()).await;
    assert_eq!((tally(&replies, "200"), tally(&replies, "429 quota_exceeded")), (50, 14));
    server.world.service.deliver_pending(1_000).await.unwrap();
    assert_eq!(server.world.inbox.count(), 50 + 2, "and at 80 and 100 % the customer is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_requests_for_one_recipient_three_are_sent() {
    let world = World::new();
    let customer = world.customer().await;
    let server = Server::start(world).await;
    let ask = |_| post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&customer.key);
    let replies = server.storm((0..64).map(ask).collect()).await;
    assert_eq!((tally(&replies, "200"), tally(&replies, "429 rate_limit_exceeded")), (3, 61));
    server.world.service.deliver_pending(1_000).await.unwrap();
    assert_eq!(server.world.inbox.count(), 3);
}

/// A revoked key opens nothing from the answer to its revocation on, whatever its 64 users and the note of its last use
/// are doing at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_never_works_again() {
    let world = World::new();
    let customer = world.customer().await;
    let server = Server::start(world).await;
    let world = &server.world;
    let mut lines = server.lines(64).await;
    let mut administrator = server.line().await;
    for _ in 0..10 {
        let (key, id) = world.key(&customer, json!({})).await;
        let revoked = Arc::new(AtomicBool::new(false));
        let warm = Arc::new(Barrier::new(lines.len() + 1));
        let users =
            lines.drain(..).map(|line| tokio::spawn(use_until_dead(line, key.clone(), revoked.clone(), warm.clone())));
        let users: Vec<_> = users.collect();
        let notes = tokio::spawn(note_uses(world.clone(), revoked.clone()));
        warm.wait().await;
        administrator.send(delete(customer.path(&format!("/api-keys/{id}"))).bearer(ADMIN)).await.ok();
        revoked.store(true, Ordering::SeqCst);
        lines.extend(in_time(join_all(users)).await.into_iter().map(|line| line.unwrap()));
        notes.await.unwrap();

        world.service.flush_key_uses().await.unwrap();
        world.advance(5);
        lines[0].send(get("/admin/customers/me").bearer(&key)).await.problem(401, "invalid_api_key");
        let listed = world.send(get(customer.path("/api-keys")).bearer(ADMIN)).await.ok();
        let listed =
            listed["keys"].as_array().unwrap().iter().find(|listed| listed["keyId"] == id.as_str()).cloned().unwrap();
        assert_eq!(listed["status"], "revoked");
    }
}

async fn use_until_dead(mut line: Line, key: String, revoked: Arc<AtomicBool>, warm: Arc<Barrier>) -> Line {
    line.send(get("/admin/customers/me").bearer(&key)).await.ok();
    warm.wait().await;
    let mut refused = 0;
    while refused < 3 {
        let is_revoked = revoked.load(Ordering::SeqCst);
        let reply = line.send(get("/admin/customers/me").bearer(&key)).await;
        match is_revoked {
            true => {
                reply.problem(401, "invalid_api_key");
                refused += 1;
            }
            false => assert!(["200", "401 invalid_api_key"].contains(&reply.outcome().as_str()), "{reply}"),
        }
    }
    line
}

async fn note_uses(world: Arc<World>, until: Arc<AtomicBool>) {
    while !until.load(Ordering::SeqCst) {
        world.service.flush_key_uses().await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// The guess is counted although nobody waits for the answer any more.
#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_after_a_wrong_guess_saves_no_guess() {
    let world = World::new();
    let customer = world.customer().await;
    let server = Server::start(world).await;
    let world = &server.world;
    let asked = world.ask(&customer.key, "ann@example.org").await;
    let id: ChallengeId = asked.challenge.parse().unwrap();
    let wrong = async || world.record::<Challenge>(customer.tenant(), id.as_bytes()).await.wrong_bound;
    for number in 0..5 {
        let gate = world.store.hold();
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        let body = asked.wrong(number).to_string();
        let head = format!(
            "POST /auth/verify-otp HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n\
             content-length: {}\r\n\r\n",
            customer.key,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        in_time(gate.entered()).await;
        stream.set_zero_linger().unwrap();
        drop(stream);
        assert_eq!(usize::from(wrong().await), number);
        gate.open();
        in_time(async {
            while usize::from(wrong().await) != number + 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        world.store.release();
    }
    world.verify(&customer.key, asked.body()).await.problem(401, "otp_attempts_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_of_the_socket_counts_unless_it_is_a_trusted_proxy() {
    let world = World::behind(&["127.0.0.2/32"]);
    let customer = world.customer().await;
    world.settings(&customer, |settings| settings.limits.per_ip = 2).await;
    let key = world.publishable_key(&customer).await;
    let server = Server::start(world).await;
    let mut statuses = Vec::new();
    for (number, (peer, forwarded)) in [
        ("127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.2"),
        ("127.0.0.1", "198.51.100.3"),
        ("127.0.0.2", "198.51.100.1"),
        ("127.0.0.2", "198.51.100.1"),
        ("127.0.0.2", "198.51.100.1"),
        ("127.0.0.2", "198.51.100.2"),
        ("127.0.0.2", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"email": format!("ann{number}@example.org")});
        let call = post("/auth/request-otp", body).bearer(&key).header("x-forwarded-for", forwarded);
        statuses.push(server.line_from(peer).await.send(call).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429, 200, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_over_http_2() {
    let world = World::new();
    let customer = world.customer().await;
    let key = world.test_key(&customer).await;
    let server = Server::start(world).await;
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = async |mut call: Call| {
        call.path = format!("http://otp.example{}", call.path);
        let response = in_time(sender.clone().send_request(call.request())).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let sent = ask(post("/auth/request-otp", json!({"email": "ann@example.org"})).bearer(&key)).await;
    let said = json!({"challengeId": sent["challengeId"], "otp": sent["testCode"]});
    let signed_in = ask(post("/auth/verify-otp", said).bearer(&key)).await;
    let me = ask(get("/auth/me").bearer(signed_in["token"].as_str().unwrap())).await;
    assert_eq!(me["email"], "ann@example.org");
}
