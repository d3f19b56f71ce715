//! The engine on SQLite with 1, 16 and 64 callers, every answer durable (`synchronous=FULL`). Beside it, in the same run
//! and on the same disk, the raw limit: the rows that the engine writes, in transactions by hand as large as the store's
//! were on average.
//!
//! `cargo bench --profile fast -p otp-benches --bench sqlite_store`, with `OTP_BENCH_QUICK=1` in a tenth of the time

#![allow(clippy::disallowed_methods)] // measures real time

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use otp_benches::capture::{Capture, Rows};
use otp_benches::child::own_cpu;
use otp_benches::load::Latencies;
use otp_benches::race::{is_quick, race};
use otp_benches::raw;
use otp_benches::row::{Row, per_second, percent, rate, time};
use otp_benches::world::{World, address, now};
use otp_core::{Address, OtpVerification};
use otp_store_sqlite::SqliteStore;
use tokio::runtime::Runtime;

/// Callers, and the calls they make together.
const LEVELS: [(usize, usize); 3] = [(1, 2_000), (16, 16_000), (64, 32_000)];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for (callers, calls) in LEVELS {
        level(&runtime, callers, if is_quick() { calls / 10 } else { calls });
    }
}

/// One run of one sort of call.
struct Run {
    calls: usize,
    took: Duration,
    latencies: Latencies,
    cpu: Duration,
    per_commit: f64,
}

fn level(runtime: &Runtime, callers: usize, calls: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("otp.db");
    let world = runtime.block_on(World::on(SqliteStore::open(&path).expect("a fresh file")));
    let world = Arc::new(world);
    let addresses: Vec<Address> = (0..calls).map(|number| address("user", number)).collect();
    let (requests, verifications) = (Arc::new(addresses), Arc::new(std::sync::Mutex::new(Vec::new())));

    let requested = watch(&path, calls, || {
        let (requests, verifications) = (Arc::clone(&requests), Arc::clone(&verifications));
        let world = Arc::clone(&world);
        race(runtime, callers, calls, move |number| {
            let (world, address, verifications) =
                (Arc::clone(&world), requests[number].clone(), Arc::clone(&verifications));
            async move {
                let challenge = world.request(address.clone()).await;
                verifications.lock().expect("no panic").push((address, challenge));
            }
        })
    });
    let asked = std::mem::take(&mut *verifications.lock().expect("no panic"));
    let said: Vec<OtpVerification> =
        asked.into_iter().map(|(address, challenge)| world.verification(address, challenge)).collect();
    let said = Arc::new(said);
    let verified = watch(&path, calls, || {
        let world = Arc::clone(&world);
        race(runtime, callers, calls, move |number| {
            let (world, verification) = (Arc::clone(&world), said[number].clone());
            async move { drop(world.verify(verification).await) }
        })
    });

    let by_hand = by_hand(calls, requested.per_commit, verified.per_commit);
    for ((name, run), raw) in [("request", requested), ("verify", verified)].into_iter().zip(by_hand) {
        print(name, callers, &run, &raw);
    }
}

fn print(name: &str, callers: usize, run: &Run, raw: &Run) {
    let [p50, p99] = [0.5, 0.99].map(|share| time(run.latencies.quantile(share)));
    let measured = format!("{}, p50 {p50}, p99 {p99}", rate(run.calls, run.took));
    let baseline = format!("by hand {} at {:.1} a commit", rate(raw.calls, raw.took), raw.per_commit);
    let ratio = percent(per_second(run.calls, run.took), per_second(raw.calls, raw.took));
    let plural = if callers == 1 { "caller" } else { "callers" };
    let cpu = run.cpu / run.calls as u32;
    Row::new(format!("sqlite_store/{name}, {callers} {plural}"), measured).against(baseline, ratio).cpu(cpu).print();
}

fn watch(path: &Path, calls: usize, act: impl FnOnce() -> (Duration, Latencies)) -> Run {
    let (commits, cpu) = (raw::commits(path), own_cpu());
    let (took, latencies) = act();
    let (commits, cpu) = (raw::commits(path) - commits, own_cpu() - cpu);
    Run { calls, took, latencies, cpu, per_commit: calls as f64 / f64::from(commits) }
}

/// The same rows in a fresh file.
fn by_hand(calls: usize, requests_a_commit: f64, verifications_a_commit: f64) -> [Run; 2] {
    let capture = Arc::new(Capture::default());
    let world = now(World::on(Arc::clone(&capture)));
    capture.take();
    let asked: Vec<_> = (0..calls).map(|number| now(world.request(address("user", number)))).collect();
    let requests = capture.take();
    for (number, challenge) in asked.into_iter().enumerate() {
        now(world.verify(world.verification(address("user", number), challenge)));
    }
    let verifications = capture.take();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("otp.db");
    let connection = raw::open(&path);
    let mut writer = raw::Writer::new(&connection);
    // The file becomes what the engine's was: log and index there, tables not empty.
    writer.commit(&requests[..1]).expect("a commit");
    let mut write = |rows: &[Rows], size: f64| {
        let size = size.round().max(1.0) as usize;
        watch(&path, rows.len(), || {
            let started = Instant::now();
            let spans = rows.chunks(size).map(|batch| {
                let started = Instant::now();
                writer.commit(batch).expect("a commit");
                started.elapsed()
            });
            let latencies = Latencies::new(spans.collect());
            (started.elapsed(), latencies)
        })
    };
    let requests = write(&requests[1..], requests_a_commit);
    [requests, write(&verifications, verifications_a_commit)]
}
