//! How fast events leave: 10,000 that wait, to one endpoint and to four that answer at once, and some to one that takes a
//! moment, beside a bare loop of reqwest over as many connections; what they cost whoever signs in; and events beside an
//! endpoint that hangs.
//! Every answer and every delivery is durable in SQLite (`synchronous=FULL`).
//!
//! `cargo bench --profile fast -p otp-server -p otp-benches --bench webhooks`, with `OTP_BENCH_QUICK=1` in a tenth of the time.

#![allow(clippy::disallowed_methods)] // measures real time

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use otp_benches::arrivals::{Answers, Peer};
use otp_benches::backstage::{Backstage, Neighbours};
use otp_benches::child::own_cpu;
use otp_benches::race::{is_quick, race};
use otp_benches::row::{Row, percent, rate, time};
use otp_benches::run::{Run, TURNS};
use otp_benches::world::{World, address};
use otp_core::destination::Reach;
use otp_core::webhook::Signing;
use otp_core::{Caller, ChallengeId, NewEndpoint, Service};
use otp_server::outbound::Guard;
use otp_server::webhook::Webhooks;
use otp_store_sqlite::SqliteStore;
use reqwest::header::HeaderMap;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const EVENTS: usize = 10_000;
/// Connections to one endpoint.
const CONNECTIONS: usize = 4;
/// Bytes of an event as it is sent, and its headers with theirs.
const BODY: usize = 450;
const HEADERS: [(&str, usize); 8] = [
    ("content-type", 16),
    ("webhook-id", 26),
    ("webhook-timestamp", 10),
    ("webhook-signature", 47),
    ("x-otp-event", 13),
    ("x-otp-timestamp", 10),
    ("x-otp-signature", 80),
    ("user-agent", 16),
];
const SIGN_INS: usize = 16_000;
const CALLERS: usize = 64;
const SINGLE: usize = 1_000;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let scaled = |count: usize| if is_quick() { count / 10 } else { count };
    for endpoints in [1, 4] {
        runtime.block_on(waiting(scaled(EVENTS), endpoints, Answers::AtOnce));
    }
    runtime.block_on(waiting(scaled(EVENTS / 5), 1, Answers::After(Duration::from_millis(1))));
    sign_ins(&runtime, scaled(SIGN_INS));
    runtime.block_on(beside(scaled(SINGLE)));
}

/// On a fresh file in this folder.
fn server(folder: &TempDir) -> Backstage {
    let store = SqliteStore::open(folder.path().join("otp.db")).expect("a fresh file");
    let webhooks = Webhooks::guarded(Guard::anywhere()).expect("certificates");
    Backstage::new(store, |builder| builder.webhooks(webhooks).webhook_reach(Reach::Anywhere))
}

async fn subscribe(service: &Service, caller: &Caller, url: String, events: &str) {
    let endpoint = NewEndpoint {
        url,
        description: String::new(),
        events: vec![events.to_owned()],
        signing: Signing::Hmac,
        secret: None,
        headers: Vec::new(),
        per_second: None,
        idempotency: None,
    };
    service.create_endpoint(caller, endpoint).await.expect("an endpoint");
}

/// By turns, like all that is compared: both run into whatever else the machine does.
async fn waiting(events: usize, endpoints: usize, answers: Answers) {
    let mut receiver = Peer::endpoint(answers);
    let connections = endpoints * CONNECTIONS;
    bare(&mut receiver, events / 10, connections).await;
    let [mut ours, mut base]: [Run; 2] = Default::default();
    for _ in 0..TURNS {
        base.add(bare(&mut receiver, events, connections).await);
        ours.add(drained(&mut receiver, events, endpoints).await);
    }
    let plural = if endpoints == 1 { "endpoint" } else { "endpoints" };
    let when = if let Answers::After(_) = answers { " that takes 1 to 2 ms" } else { "" };
    Row::new(format!("webhooks/{events} events that wait, {endpoints} {plural}{when}"), rate(ours.calls, ours.took))
        .against(
            format!("reqwest in a loop, {connections} connections {}", rate(base.calls, base.took)),
            format!("{}, CPU {}", ours.rate_beside(&base), ours.cpu_beside(&base)),
        )
        .cpu(ours.cpu_per_call())
        .print();
}

/// What it takes a server that starts with so many waiting.
async fn drained(receiver: &mut Peer, events: usize, endpoints: usize) -> Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    let caller = server.tenant().await;
    for _ in 0..endpoints {
        subscribe(&server.service, &caller, receiver.http_url(), "otp.requested").await;
    }
    let requests = (0..events / endpoints).map(|_| server.request(&caller));
    stream::iter(requests).buffer_unordered(CALLERS).collect::<()>().await;
    server.send_mails().await;
    let begun = (Instant::now(), own_cpu());
    let workers = server.work();
    let run = arrived(receiver, events, begun).await;
    workers.stop().await;
    run
}

/// As many requests of the same size and with as many headers, by a loop on each connection.
async fn bare(receiver: &mut Peer, requests: usize, connections: usize) -> Run {
    let mut headers = HeaderMap::new();
    for (name, length) in HEADERS {
        headers.insert(name, "x".repeat(length).parse().expect("a header"));
    }
    let client = reqwest::Client::new();
    let body = Bytes::from(vec![b'x'; BODY]);
    let begun = (Instant::now(), own_cpu());
    for number in 0..connections {
        let (client, headers, body, url) = (client.clone(), headers.clone(), body.clone(), receiver.http_url());
        let share = requests / connections + usize::from(number < requests % connections);
        tokio::spawn(async move {
            for _ in 0..share {
                let request = client.post(&url).headers(headers.clone()).body(body.clone());
                let answer = request.send().await.expect("it takes everything");
                answer.bytes().await.expect("an empty body");
            }
        });
    }
    arrived(receiver, requests, begun).await
}

/// What it took since then until all are there, with what the receiver took.
async fn arrived(receiver: &mut Peer, calls: usize, (started, cpu): (Instant, Duration)) -> Run {
    let took = receiver.wait_for(calls).await - started;
    Run { calls, took, cpu: own_cpu() - cpu, ..Run::default() }
}

/// People sign in by turns with nobody to be told of it, and with an endpoint that wants to hear of everything.
fn sign_ins(runtime: &Runtime, calls: usize) {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let worlds = folders.each_ref().map(|folder| {
        let store = SqliteStore::open(folder.path().join("otp.db")).expect("a fresh file");
        Arc::new(runtime.block_on(World::on(store)))
    });
    let listening = &worlds[1];
    // Nothing is sent to it: what is measured is what is written.
    let url = "https://hooks.example.com/events".to_owned();
    runtime.block_on(subscribe(&listening.service, &listening.caller, url, "*"));
    let mut sums: [Run; 2] = Default::default();
    for turn in 0..TURNS {
        for (world, sum) in worlds.iter().zip(&mut sums) {
            sum.add(sign_in(runtime, world, turn * calls / TURNS..(turn + 1) * calls / TURNS));
        }
    }
    let [alone, told] = sums;
    Row::new(format!("webhooks/sign in, {CALLERS} callers, an endpoint for all events"), told.words())
        .against(
            format!("no endpoint {}", alone.words()),
            format!("{}, CPU {}", told.rate_beside(&alone), told.cpu_beside(&alone)),
        )
        .cpu(told.cpu_per_call())
        .print();
}

/// All ask for codes, then all say them.
fn sign_in(runtime: &Runtime, world: &Arc<World>, numbers: std::ops::Range<usize>) -> Run {
    let asked: Arc<Mutex<Vec<(usize, ChallengeId)>>> = Arc::default();
    let mut sum = race(runtime, CALLERS, numbers, {
        let (world, asked) = (Arc::clone(world), Arc::clone(&asked));
        move |number| {
            let (world, asked) = (Arc::clone(&world), Arc::clone(&asked));
            async move {
                let challenge = world.request(address("user", number)).await;
                asked.lock().expect("no panic").push((number, challenge));
            }
        }
    });
    let asked = std::mem::take(&mut *asked.lock().expect("no panic"));
    let said: Vec<_> = asked.iter().map(|(user, id)| world.verification(address("user", *user), *id)).collect();
    let (world, said) = (Arc::clone(world), Arc::new(said));
    sum.add(race(runtime, CALLERS, 0..said.len(), move |index| {
        let (world, verification) = (Arc::clone(&world), said[index].clone());
        async move { drop(world.verify(verification).await) }
    }));
    sum
}

/// Two tenants, each with an endpoint, and the other one's endpoint.
async fn neighbours(folder: &TempDir, hangs: bool) -> (Neighbours, Peer) {
    let (receiver, others) =
        (Peer::endpoint(Answers::AtOnce), Peer::endpoint(if hangs { Answers::Never } else { Answers::AtOnce }));
    let server = server(folder);
    let (acme, other) = (server.tenant().await, server.tenant().await);
    for (caller, receiver) in [(&acme, &receiver), (&other, &others)] {
        subscribe(&server.service, caller, receiver.http_url(), "otp.requested").await;
    }
    (Neighbours::new(server, receiver, acme, other), others)
}

async fn beside(events: usize) {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let ((hangs, _hanging), (works, _working)) =
        (neighbours(&folders[0], true).await, neighbours(&folders[1], false).await);
    let [with, without] = Neighbours::compare([hangs, works], events).await;
    let p99 = |run: &Run| run.quantile(0.99);
    let words = |run: &Run| format!("p50 {}, p99 {}", time(run.quantile(0.5)), time(p99(run)));
    Row::new("webhooks/an event, from what happens to its arrival, beside an endpoint that hangs", words(&with))
        .against(
            format!("beside one that works {}", words(&without)),
            percent(p99(&with).as_secs_f64(), p99(&without).as_secs_f64()),
        )
        .print();
}
