//! Callers that write without a pause, while something is done to the database; and whether they were told the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use otp_core::store::{Add, Changes, Read, Reads, Scope, Store, StoreError, Stored};
use otp_core::usage::{Counter, CounterKey, Span};
use otp_core::{Mode, Space, TenantId, Timestamp};
use otp_store_postgres::PostgresStore;
use tokio::task::JoinHandle;

use super::{register, scope, tenant};

const CALLERS: u64 = 32;
const PAUSE: Duration = Duration::from_millis(50);

type Told = Vec<(u64, Result<(), StoreError>)>;

/// Callers of one store.
pub struct Load {
    store: Arc<PostgresStore>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Told>>,
}

impl Load {
    pub fn start(store: PostgresStore) -> Self {
        let mut load =
            Self { store: Arc::new(store), stop: Arc::default(), acknowledged: Arc::default(), callers: Vec::new() };
        load.callers = (0..CALLERS).map(|caller| load.call(caller)).collect();
        load
    }

    fn call(&self, caller: u64) -> JoinHandle<Told> {
        let (store, stop, acknowledged) =
            (Arc::clone(&self.store), Arc::clone(&self.stop), Arc::clone(&self.acknowledged));
        tokio::spawn(async move {
            let mut told = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = caller + CALLERS * told.len() as u64;
                let outcome = create_two(&store, number).await;
                acknowledged.fetch_add(usize::from(outcome.is_ok()), Ordering::Relaxed);
                if outcome.is_err() {
                    // As callers do who are told to come again later.
                    tokio::time::sleep(PAUSE).await;
                }
                told.push((number, outcome));
            }
            told
        })
    }

    /// Waits until some more are acknowledged.
    pub async fn some_more(&self) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        while self.acknowledged.load(Ordering::Relaxed) < before + 10 {
            tokio::task::yield_now().await;
        }
    }

    /// Stops the callers, and looks whether what is there is what they were told.
    pub async fn stop_and_check(self) {
        self.stop.store(true, Ordering::Relaxed);
        let told: Told = join_all(self.callers).await.into_iter().flat_map(Result::unwrap).collect();
        let (mut unknown, mut refused, mut there) = (0, 0, 0);
        for (number, outcome) in told {
            let found = found(&self.store, number).await;
            let fits = match &outcome {
                Ok(()) => found == 2,
                Err(StoreError::Unknown(_)) => found == 2 || found == 0,
                Err(StoreError::Busy | StoreError::Unavailable(_)) => found == 0,
                Err(StoreError::Corrupt(_)) => false,
            };
            assert!(fits, "{number}: {found} of 2 after {outcome:?}");
            unknown += usize::from(matches!(outcome, Err(StoreError::Unknown(_))));
            refused += usize::from(matches!(outcome, Err(StoreError::Busy | StoreError::Unavailable(_))));
            there += found as u64 / 2;
        }
        assert_eq!(count(&self.store).await, there, "each is counted once");
        println!("{:?} acknowledged, {unknown} unknown, {refused} refused, {there} there", self.acknowledged);
    }
}

/// Creates two records and counts them as one.
async fn create_two(store: &PostgresStore, number: u64) -> Result<(), StoreError> {
    let [one, other] = [number * 2, number * 2 + 1].map(|number| register(number, 1).into());
    let changes = Changes { creates: vec![one, other], adds: vec![Add::one(counter())], ..Changes::none() };
    // Of many tenants, so that they are run in several transactions at once.
    let tenant = TenantId::from_bytes(u128::from(number % 16).to_be_bytes());
    let Scope::Subject(_, bucket) = scope(number) else { unreachable!() };
    let reads = Reads { scope: Scope::Subject(tenant, bucket), wanted: Vec::new() };
    store.transact(reads, Box::new(move |_| changes.clone())).await
}

/// How many of the two are there.
async fn found(store: &PostgresStore, number: u64) -> usize {
    let wanted = [number * 2, number * 2 + 1].map(|number| Read::Record(register(number, 0).key()));
    loop {
        match store.read(wanted.to_vec()).await {
            Ok(seen) => return seen.records.len(),
            // The server may not be back yet.
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A count that is kept.
pub fn counter() -> CounterKey {
    let space = Space { tenant: tenant(), mode: Mode::Live };
    CounterKey::at(space, Counter::OtpRequests, Span::Ever, Timestamp::from_millis(0))
}

pub async fn count(store: &PostgresStore) -> u64 {
    store.read(vec![Read::Counter(counter())]).await.unwrap().counter(&counter())
}
