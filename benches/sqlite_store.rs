//! The engine on SQLite with 1, 16 and 64 callers, every answer durable (`synchronous=FULL`). Beside it, by turns and on
//! the same disk, the raw limit: the rows that the engine writes, in transactions by hand as large as the store's were on
//! average.
//!
//! `cargo bench --profile fast -p otp-benches --bench sqlite_store`, with `OTP_BENCH_QUICK=1` in a tenth of the time

#![allow(clippy::disallowed_methods)] // measures real time

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use otp_benches::capture::{Capture, Rows};
use otp_benches::child::own_cpu;
use otp_benches::race::{is_quick, race};
use otp_benches::raw;
use otp_benches::row::{Row, rate};
use otp_benches::run::{Run, TURNS};
use otp_benches::world::{World, address, now};
use otp_core::ChallengeId;
use otp_store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Callers, and the calls they make together.
const LEVELS: [(usize, usize); 3] = [(1, 2_000), (16, 16_000), (64, 32_000)];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for (callers, calls) in LEVELS {
        level(&runtime, callers, if is_quick() { calls / 10 } else { calls });
    }
}

fn level(runtime: &Runtime, callers: usize, calls: usize) {
    let engine = Engine::new(runtime, callers);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let connection = raw::open(&folder.path().join("otp.db"));
    let mut by_hand = raw::Writer::new(&connection);
    let mut sums: [(Run, Run); 2] = Default::default();
    for turn in 0..TURNS {
        let numbers = turn * calls / TURNS..(turn + 1) * calls / TURNS;
        let measured = engine.sign_in(numbers.clone());
        let rows = rows(numbers);
        for ((sum, measured), rows) in sums.iter_mut().zip(measured).zip(rows) {
            sum.1.add(write(&mut by_hand, &rows, measured.per_commit()));
            sum.0.add(measured);
        }
    }
    let plural = if callers == 1 { "caller" } else { "callers" };
    for (name, (measured, base)) in ["request", "verify"].into_iter().zip(sums) {
        let beside = format!("by hand {} at {:.1} a commit", rate(base.calls, base.took), base.per_commit());
        let ratio = format!("{}, CPU {}", measured.rate_beside(&base), measured.cpu_beside(&base));
        Row::new(format!("sqlite_store/{name}, {callers} {plural}"), measured.words())
            .against(beside, ratio)
            .cpu(measured.cpu_per_call())
            .print();
    }
}

struct Engine<'a> {
    runtime: &'a Runtime,
    callers: usize,
    world: Arc<World>,
    folder: TempDir,
}

impl<'a> Engine<'a> {
    fn new(runtime: &'a Runtime, callers: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SqliteStore::open(folder.path().join("otp.db")).expect("a fresh file");
        Self { runtime, callers, world: Arc::new(runtime.block_on(World::on(store))), folder }
    }

    /// Signs these users in: all ask for codes, then all say them.
    fn sign_in(&self, numbers: Range<usize>) -> [Run; 2] {
        let asked: Arc<Mutex<Vec<(usize, ChallengeId)>>> = Arc::default();
        let (world, noted) = (Arc::clone(&self.world), Arc::clone(&asked));
        let requested = self.watch(numbers, move |number| {
            let (world, noted) = (Arc::clone(&world), Arc::clone(&noted));
            async move {
                let challenge = world.request(address("user", number)).await;
                noted.lock().expect("no panic").push((number, challenge));
            }
        });
        let asked = std::mem::take(&mut *asked.lock().expect("no panic"));
        let said =
            asked.iter().map(|(number, challenge)| self.world.verification(address("user", *number), *challenge));
        let (world, said) = (Arc::clone(&self.world), Arc::new(said.collect::<Vec<_>>()));
        let verified = self.watch(0..said.len(), move |index| {
            let (world, verification) = (Arc::clone(&world), said[index].clone());
            async move { drop(world.verify(verification).await) }
        });
        [requested, verified]
    }

    fn watch<F, A>(&self, numbers: Range<usize>, act: F) -> Run
    where
        F: Fn(usize) -> A + Clone + Send + 'static,
        A: Future<Output = ()> + Send,
    {
        let path = self.folder.path().join("otp.db");
        let before = raw::commits(&path);
        let run = race(self.runtime, self.callers, numbers, act);
        Run { commits: raw::commits(&path) - before, ..run }
    }
}

/// What the engine writes when these users ask for codes, and when they say them.
fn rows(numbers: Range<usize>) -> [Vec<Rows>; 2] {
    let capture = Arc::new(Capture::default());
    let world = now(World::on(Arc::clone(&capture)));
    capture.written();
    let asked: Vec<_> = numbers.clone().map(|number| now(world.request(address("user", number)))).collect();
    let requests = capture.written();
    for (number, challenge) in numbers.zip(asked) {
        now(world.verify(world.verification(address("user", number), challenge)));
    }
    [requests, capture.written()]
}

fn write(by_hand: &mut raw::Writer<'_>, rows: &[Rows], per_commit: f64) -> Run {
    let size = per_commit.round().max(1.0) as usize;
    let (started, cpu) = (Instant::now(), own_cpu());
    for batch in rows.chunks(size) {
        by_hand.commit(batch).expect("a commit");
    }
    let (took, cpu) = (started.elapsed(), own_cpu() - cpu);
    Run { calls: rows.len(), took, cpu, commits: rows.len().div_ceil(size) as u32, spans: Vec::new() }
}
