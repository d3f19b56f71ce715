//! What goes wrong while it runs: each command is told the truth, and the store recovers.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, poll_immediate};
use otp_core::api_key::{ApiKey, KeyState, KeyType};
use otp_core::secret::Digest32;
use otp_core::store::{Add, Changes, Key, Kind, Read, Reads, Store, StoreError, Stored};
use otp_core::{KeyId, Mode, Timestamp};
use otp_store_postgres::{Options, PostgresStore};
use support::{Database, Load, count, counter, put, reads, register, scope, tenant, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn connections_cut_under_load_lose_nothing_and_double_nothing() {
    let database = Database::new();
    let load = Load::start(database.open().await);
    let other = database.other().await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = $1 AND state <> 'idle'";
    let mut cuts = 0;
    while cuts < 100 {
        cuts += other.query_one(cut, &[&database.schema()]).await.unwrap().get::<_, i64>(0);
        load.some_more().await;
    }
    load.stop_and_check().await;
}

/// Somebody in whose way commands are, until told to go on.
async fn hold(database: &Database) -> tokio_postgres::Client {
    let other = database.other().await;
    other.batch_execute("BEGIN; LOCK TABLE key_use IN ACCESS EXCLUSIVE MODE").await.unwrap();
    other
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn what_would_wait_too_long_fails_as_busy_and_leaves_nothing() {
    let database = Database::new();
    let impatient = Options { lock_timeout: Duration::from_millis(50), ..database.options() };
    let store = PostgresStore::connect(&database.url(), impatient).await.unwrap();
    put(&store, [register(1, 1)]).await.unwrap();
    let other = hold(&database).await;
    let refused = put(&store, [register(1, 2)]).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    let refused = store.read(vec![Read::Record(register(1, 0).key())]).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(value(&store, 1).await, Some(1));
    put(&store, [register(1, 3)]).await.unwrap();
    assert_eq!(value(&store, 1).await, Some(3));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_server_that_falls_silent_is_not_waited_for() {
    let database = Database::new();
    let (proxy, url) = database.proxy().await;
    let impatient = Options { statement_timeout: Duration::from_millis(100), ..database.options() };
    let store = PostgresStore::connect(&url, impatient).await.unwrap();
    put(&store, [register(1, 1)]).await.unwrap();
    assert_eq!(value(&store, 1).await, Some(1));
    proxy.hold();
    let refused = put(&store, [register(1, 2)]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let refused = store.read(vec![Read::Record(register(1, 0).key())]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    proxy.let_go();
    assert_eq!(value(&store, 1).await, Some(1));
    put(&store, [register(1, 3)]).await.unwrap();
    assert_eq!(value(&store, 1).await, Some(3));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_queue_that_is_full_says_so_at_once_and_does_what_it_took() {
    let database = Database::new();
    let store = database.open().await;
    let other = hold(&database).await;
    let (mut waiting, mut refused) = (Vec::new(), 0);
    for number in 0..3_000 {
        let mut command = Box::pin(put(&store, [register(number, 1)]));
        match poll_immediate(&mut command).await {
            None => waiting.push((number, command)),
            Some(Err(StoreError::Busy)) => refused += 1,
            Some(answer) => panic!("{answer:?}"),
        }
    }
    // The queue, and the batch that may have been taken from it before.
    assert!((1_024..=1_280).contains(&waiting.len()), "{} wait", waiting.len());
    assert_eq!(waiting.len() + refused, 3_000);
    other.batch_execute("COMMIT").await.unwrap();
    for (number, command) in waiting {
        command.await.unwrap();
        assert_eq!(value(&store, number).await, Some(1));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn callers_that_go_away_leave_no_transaction_open() {
    let database = Database::new();
    let store = database.open().await;
    let other = hold(&database).await;
    for number in 0..200 {
        let mut write = Box::pin(put(&store, [register(number, 1), register(number + 1_000, 1)]));
        assert!(poll_immediate(&mut write).await.is_none());
        let wanted = [number, number + 1].map(|number| Read::Record(register(number, 0).key()));
        let mut read = store.read(wanted.to_vec());
        assert!(poll_immediate(&mut read).await.is_none());
        tokio::task::yield_now().await;
    }
    other.batch_execute("COMMIT").await.unwrap();
    // What was begun is done, and what was not begun is not; each scope is free.
    for number in 0..200 {
        put(&store, [register(number + 2_000, 1)]).await.unwrap();
        let both = (value(&store, number).await, value(&store, number + 1_000).await);
        assert!(both == (None, None) || both == (Some(1), Some(1)), "{number}: {both:?}");
    }
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND xact_start IS NOT NULL";
    while other.query_one(open, &[&database.schema()]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
}

/// A key whose digest is another's: the database refuses it in the middle of the batch.
fn key(number: u64, digest: u8) -> ApiKey {
    ApiKey {
        id: KeyId::from_bytes(u128::from(number).to_be_bytes()),
        tenant: tenant(),
        name: "key".into(),
        key_type: KeyType::Secret,
        mode: Mode::Live,
        digest: Digest32([digest; 32]),
        last4: "wxyz".into(),
        allowed_origins: Vec::new(),
        allowed_ips: Vec::new(),
        scopes: Vec::new(),
        created_at: Timestamp::from_millis(0),
        expires_at: None,
        state: KeyState::Active,
        end_is_known: false,
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn in_one_batch_only_those_fail_that_have_to() {
    let database = Database::new();
    let store = Arc::new(database.open().await);
    // Held back until all are queued, so that they share a batch.
    let other = hold(&database).await;
    let commands = (0..100).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let decide = move |_: &_| {
                let mut changes = Changes { adds: vec![Add::one(counter())], ..Changes::none() };
                changes.put(register(number, 1));
                match number % 4 {
                    0 => std::panic::resume_unwind(Box::new("one command panics")),
                    1 => changes.put(key(number, 7)),
                    2 => changes.adds.push(Add { counter: counter(), by: 1, at_most: Some(0) }),
                    _ => {}
                }
                changes
            };
            (number, store.transact(reads(number), Box::new(decide)).await)
        })
    });
    let commands = join_all(commands.collect::<Vec<_>>());
    tokio::task::yield_now().await;
    other.batch_execute("COMMIT").await.unwrap();
    let mut keys = 0;
    for outcome in commands.await {
        let (number, outcome) = outcome.unwrap();
        let fits = match number % 4 {
            0 => matches!(outcome, Err(StoreError::Corrupt(_))),
            // The first of them is the only one with that digest; the others contradict it.
            1 if outcome.is_ok() => keys == 0,
            1 => matches!(outcome, Err(StoreError::Corrupt(_))),
            2 => matches!(outcome, Err(StoreError::Busy)),
            _ => outcome.is_ok(),
        };
        assert!(fits, "{number}: {outcome:?}");
        keys += usize::from(number % 4 == 1 && outcome.is_ok());
        assert_eq!(value(&store, number).await.is_some(), outcome.is_ok(), "{number}");
    }
    assert_eq!(keys, 1);
    assert_eq!(count(&store).await, 26);
}

/// Two servers: what one has counted since the other read it makes the other read again, although its commit was on its
/// way already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_guard_is_exact_over_two_servers() {
    const LIMIT: u64 = 50;
    let database = Database::new();
    let stores = [Arc::new(database.open().await), Arc::new(database.open().await)];
    let racers = (0..200_u64).map(|number| {
        let store = Arc::clone(&stores[number as usize % 2]);
        tokio::spawn(async move {
            let decide = move |seen: &otp_core::store::Snapshot| {
                let mut changes = Changes::none();
                if seen.counter(&counter()) < LIMIT {
                    changes.adds.push(Add { counter: counter(), by: 1, at_most: Some(LIMIT) });
                    changes.create(register(number, 1));
                }
                changes
            };
            let reads = Reads { scope: scope(number), wanted: vec![Read::Counter(counter())] };
            store.transact(reads, Box::new(decide)).await.unwrap();
        })
    });
    join_all(racers.collect::<Vec<_>>()).await.into_iter().for_each(Result::unwrap);
    assert_eq!(count(&stores[0]).await, LIMIT);
    let wanted: Vec<Read> = (0..200).map(|number| Read::Record(register(number, 0).key())).collect();
    assert_eq!(stores[0].read(wanted).await.unwrap().records.len() as u64, LIMIT);
}

/// The same scope on two servers: what one writes, the other sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_scope_is_had_by_one_of_two_servers() {
    let database = Database::new();
    let stores = [Arc::new(database.open().await), Arc::new(database.open().await)];
    let racers = (0..100).map(|number| {
        let store = Arc::clone(&stores[number % 2]);
        tokio::spawn(async move {
            let wanted = vec![Read::Record(register(1, 0).key())];
            let decide = |seen: &otp_core::store::Snapshot| {
                let next =
                    seen.one::<otp_core::api_key::KeyUse>().map_or(0, |found| found.last_used_at.as_millis()) + 1;
                Changes { puts: vec![register(1, next).into()], ..Changes::none() }
            };
            store.transact(Reads { scope: scope(1), wanted }, Box::new(decide)).await.unwrap();
        })
    });
    join_all(racers.collect::<Vec<_>>()).await.into_iter().for_each(Result::unwrap);
    assert_eq!(value(&stores[0], 1).await, Some(100));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn damage_is_told_as_corruption_to_whom_it_concerns() {
    let database = Database::new();
    let store = database.open().await;
    put(&store, [register(1, 1), register(2, 2)]).await.unwrap();
    let other = database.other().await;
    let key: Key = register(1, 0).key();
    assert_eq!(key.kind, Kind::KeyUse);
    let damage = "UPDATE key_use SET body = '{\"key\": 1}' WHERE id = $1";
    assert_eq!(other.execute(damage, &[&key.id.as_slice()]).await.unwrap(), 1);
    let refused = store.read(vec![Read::Record(key)]).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let wanted = Reads { scope: scope(1), wanted: vec![Read::Record(key)] };
    let refused = store.transact(wanted, Box::new(|_| Changes::none())).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(value(&store, 2).await, Some(2), "its neighbour can be read");
}
