//! The engine on PostgreSQL with 64 callers, every answer durable: over 64 tenants, beside the same rows in pipelined
//! transactions by hand on 64 connections; one hot tenant beside the 64; and two services on one database beside one.
//!
//! It starts a PostgreSQL of its own (Debian's `postgresql`), or uses the one that `OTP_TEST_POSTGRES_URL` names.
//!
//! `cargo bench --profile fast -p otp-benches --bench postgres_store`, with `OTP_BENCH_QUICK=1` in a tenth of the time

#![allow(clippy::disallowed_methods)] // measures real time

#[path = "../otp-store-postgres/tests/support/server.rs"]
mod server;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use otp_benches::capture::{Capture, Rows};
use otp_benches::pipelined::Connection;
use otp_benches::race::{is_quick, race};
use otp_benches::row::{Row, rate};
use otp_benches::run::{Run, TURNS};
use otp_benches::tenants::Tenants;
use otp_core::store::Store;
use otp_core::{ChallengeId, KeyRing, SystemRandom};
use otp_store_postgres::{Options, PostgresStore};
use tokio::runtime::Runtime;

const CALLERS: usize = 64;
const TENANTS: usize = 64;
const CALLS: usize = 16_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let calls = if is_quick() { CALLS / 10 } else { CALLS };
    let many = engine(&runtime, "bench_many", TENANTS);
    let hot = engine(&runtime, "bench_hot", 1);
    let by_hand = ByHand::new(&runtime);
    let pair = Pair::new(&runtime);
    let mut sums: [[Run; 2]; 4] = Default::default();
    for turn in 0..TURNS {
        let numbers = turn * calls / TURNS..(turn + 1) * calls / TURNS;
        add(&mut sums[0], sign_in(&runtime, std::slice::from_ref(&many), numbers.clone()));
        add(&mut sums[1], by_hand.write(&runtime, numbers.clone()));
        add(&mut sums[2], sign_in(&runtime, std::slice::from_ref(&hot), numbers.clone()));
        add(&mut sums[3], sign_in(&runtime, &pair.services, numbers));
    }
    let [many, by_hand, hot, pair] = sums;
    print("64 tenants", &many, "by hand", &by_hand);
    print("one hot tenant", &hot, "64 tenants", &many);
    print("two services, one database", &pair, "one service", &many);
}

fn print(name: &str, measured: &[Run; 2], beside: &str, base: &[Run; 2]) {
    for (act, (measured, base)) in ["request", "verify"].into_iter().zip(measured.iter().zip(base)) {
        Row::new(format!("postgres_store/{act}, {name}"), measured.words())
            .against(format!("{beside} {}", rate(base.calls, base.took)), measured.rate_beside(base))
            .cpu(measured.cpu_per_call())
            .print();
    }
}

fn add(sums: &mut [Run; 2], turn: [Run; 2]) {
    sums.iter_mut().zip(turn).for_each(|(sum, turn)| sum.add(turn));
}

async fn store(schema: &str) -> Arc<dyn Store> {
    let options = Options { schema: schema.to_owned(), ..Options::default() };
    Arc::new(PostgresStore::connect(server::url(), options).await.expect("a PostgreSQL"))
}

fn engine(runtime: &Runtime, schema: &str, tenants: usize) -> Arc<Tenants> {
    Arc::new(runtime.block_on(async { Tenants::alone(store(schema).await, tenants).await }))
}

/// Two services with stores of their own, as two servers have.
struct Pair {
    services: [Arc<Tenants>; 2],
}

impl Pair {
    fn new(runtime: &Runtime) -> Self {
        let ring = KeyRing::generate(&SystemRandom);
        let service = || {
            let ring = ring.clone();
            Arc::new(runtime.block_on(async { Tenants::on(store("bench_pair").await, ring, TENANTS / 2).await }))
        };
        Self { services: [service(), service()] }
    }
}

/// Signs these users in: all ask for codes, then all say them, each at one of the services.
fn sign_in(runtime: &Runtime, services: &[Arc<Tenants>], numbers: Range<usize>) -> [Run; 2] {
    let asked: Arc<Mutex<Vec<(usize, ChallengeId)>>> = Arc::default();
    let of = services.to_vec();
    let noted = Arc::clone(&asked);
    let requested = race(runtime, CALLERS, numbers, move |number| {
        let (service, noted) = (Arc::clone(&of[number % of.len()]), Arc::clone(&noted));
        async move {
            let challenge = service.request(number).await;
            noted.lock().expect("no panic").push((number, challenge));
        }
    });
    let asked = Arc::new(std::mem::take(&mut *asked.lock().expect("no panic")));
    let of = services.to_vec();
    let verified = race(runtime, CALLERS, 0..asked.len(), move |index| {
        let (number, challenge) = asked[index];
        let service = Arc::clone(&of[number % of.len()]);
        async move { service.verify(number, challenge).await }
    });
    [requested, verified]
}

/// A connection for each caller.
struct ByHand(Vec<Arc<Connection>>);

impl ByHand {
    fn new(runtime: &Runtime) -> Self {
        runtime.block_on(async {
            drop(store("bench_raw").await);
            let mut connections = Vec::new();
            for _ in 0..CALLERS {
                connections.push(Arc::new(Connection::open(server::url(), "bench_raw").await.expect("a connection")));
            }
            Self(connections)
        })
    }

    fn write(&self, runtime: &Runtime, numbers: Range<usize>) -> [Run; 2] {
        rows(runtime, numbers).map(|rows| {
            let (rows, connections) = (Arc::new(rows), Arc::new(Mutex::new(self.0.clone())));
            race(runtime, CALLERS, 0..rows.len(), move |index| {
                let (rows, connections) = (Arc::clone(&rows), Arc::clone(&connections));
                async move {
                    // There are as many as callers.
                    let connection = connections.lock().expect("no panic").pop().expect("a free connection");
                    connection.commit(&rows[index]).await.expect("written");
                    connections.lock().expect("no panic").push(connection);
                }
            })
        })
    }
}

/// What the engine writes when these users ask for codes, and when they say them.
fn rows(runtime: &Runtime, numbers: Range<usize>) -> [Vec<Rows>; 2] {
    runtime.block_on(async {
        let capture = Arc::new(Capture::default());
        let tenants = Tenants::alone(Arc::clone(&capture) as Arc<dyn Store>, TENANTS).await;
        capture.written();
        let mut asked = Vec::new();
        for number in numbers {
            asked.push((number, tenants.request(number).await));
        }
        let requests = capture.written();
        for (number, challenge) in asked {
            tenants.verify(number, challenge).await;
        }
        [requests, capture.written()]
    })
}
