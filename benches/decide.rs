//! What the rules cost: the decision of a request and of a verification, on a snapshot that was read before. No store, no
//! clock, no tokens. Beside it, the cryptography that is within: none in a request, one derived code in a verification.
//!
//! `cargo bench --profile fast -p otp-benches --bench decide`

use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use criterion::{BenchmarkGroup, measurement::WallTime};
use otp_benches::harness::Harness;
use otp_benches::world::{World, address, now};
use otp_core::store::{
    Decide, Item, Kind, Lease, MemoryStore, Place, Read, Reads, Record, Settled, Snapshot, Store, StoreError,
};
use otp_core::{OtpRequest, OtpVerification, TenantId, Timestamp};

/// Takes the next command away instead of running it.
#[derive(Default)]
struct Trap {
    store: MemoryStore,
    caught: Mutex<Option<Vec<(Reads, Decide)>>>,
}

type Caught = (Decide, Snapshot);

impl Trap {
    fn catch(&self, act: impl FnOnce()) -> Caught {
        *self.caught() = Some(Vec::new());
        act();
        let (reads, decide) = self.caught().take().and_then(|mut caught| caught.pop()).expect("a command");
        (decide, now(self.store.read(reads.wanted)).expect("memory"))
    }

    fn caught(&self) -> std::sync::MutexGuard<'_, Option<Vec<(Reads, Decide)>>> {
        self.caught.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Trap {
    async fn transact(&self, reads: Reads, decide: Decide) -> Result<(), StoreError> {
        if let Some(caught) = &mut *self.caught() {
            caught.push((reads, decide));
            return Err(StoreError::Busy);
        }
        self.store.transact(reads, decide).await
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        self.store.read(wanted).await
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.store.claim(queue, lease, limit).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        self.store.settle(settled).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.sweep(now, limit).await
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.store.forget_counts(tenant, limit).await
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.store.inventory(after, limit).await
    }
}

fn main() {
    let mut harness = Harness::default();
    let trap = Arc::new(Trap::default());
    let world = now(World::on(Arc::clone(&trap)));
    let ask =
        |name| trap.catch(|| drop(now(world.service.request_otp(&world.caller, OtpRequest::to(address(name, 0))))));
    let say =
        |verification: OtpVerification| trap.catch(|| drop(now(world.service.verify_otp(&world.caller, verification))));

    let request = ask("new");
    let challenge = now(world.request(address("known", 0)));
    let repeat = ask("known");
    let right = world.verification(address("known", 0), challenge);
    let wrong = OtpVerification { code: "000000000".to_owned(), ..right.clone() };

    let mut group = harness.criterion.benchmark_group("decide");
    bench(&mut group, "request", request);
    bench(&mut group, "request_again", repeat);
    bench(&mut group, "verify_right", say(right));
    bench(&mut group, "verify_wrong", say(wrong));
    let subject = otp_core::subject::SubjectKey::of(&world.codes.keys, b'l', &address("known", 0));
    group.bench_function("code", |bencher| bencher.iter(|| world.codes.code_of(black_box(&subject), challenge)));
    group.bench_function("nothing", |bencher| bencher.iter(|| black_box(())));
    group.finish();

    harness.row_over("decide/request", "decide/nothing", "cryptography");
    harness.row_over("decide/request_again", "decide/nothing", "cryptography");
    harness.row_over("decide/verify_right", "decide/code", "cryptography");
    harness.row_over("decide/verify_wrong", "decide/code", "cryptography");
    harness.criterion.final_summary();
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, (mut decide, seen): Caught) {
    group.bench_function(name, |bencher| bencher.iter(|| decide(black_box(&seen))));
}
