//! What goes wrong while it runs: each command is told the truth, and the store recovers.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, poll_immediate};
use otp_core::api_key::{ApiKey, KeyState, KeyType};
use otp_core::secret::Digest32;
use otp_core::store::{Add, Changes, Key, Read, Store, StoreError, Stored};
use otp_core::usage::{Counter, CounterKey, Span};
use otp_core::{KeyId, Mode, Space, Timestamp};
use otp_store_sqlite::{Options, SqliteStore};
use support::{Database, put, reads, register, tenant, value};

#[tokio::test]
async fn while_another_process_writes_commands_fail_as_busy_and_nothing_is_lost() {
    let database = Database::new();
    let store = database.open_impatient();
    put(&store, [register(1, 1)]).await.unwrap();
    let other = database.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = put(&store, [register(1, 2)]).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert_eq!(value(&store, 1).await, Some(1));

    other.execute_batch("COMMIT").unwrap();
    put(&store, [register(1, 3)]).await.unwrap();
    assert_eq!(value(&store, 1).await, Some(3));
}

#[tokio::test]
async fn a_full_disk_refuses_what_needs_room_and_keeps_what_there_is() {
    let database = Database::new();
    let options = Options { max_bytes: Some(600 << 10), ..Options::default() };
    let store = SqliteStore::open_with(database.path(), options).unwrap();
    let block = |number: u64| (0..20).map(move |offset| register(number * 20 + offset, number as i64));
    let mut written = 0;
    let refused = loop {
        match put(&store, block(written)).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(written > 0);
    assert_eq!(value(&store, written * 20).await, None, "not even the first of them");
    for number in 0..written * 20 {
        assert_eq!(value(&store, number).await, Some((number / 20) as i64));
    }
    // What needs no room goes on, and makes some.
    let deletes: Vec<Key> = (0..written * 10).map(|number| register(number, 0).key()).collect();
    let changes = Changes { deletes, ..Changes::none() };
    store.transact(reads(), Box::new(move |_| changes.clone())).await.unwrap();
    put(&store, block(written)).await.unwrap();
    assert_eq!(value(&store, written * 20).await, Some(written as i64));
    store.quick_check().unwrap();
}

/// A key whose digest is another's: SQLite refuses it in the middle of the batch.
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
async fn in_one_batch_only_those_fail_that_have_to() {
    let database = Database::new();
    let store = Arc::new(SqliteStore::open(database.path()).unwrap());
    let space = Space { tenant: tenant(), mode: Mode::Live };
    let counter = CounterKey::at(space, Counter::OtpRequests, Span::Ever, Timestamp::from_millis(0));
    // Held back until all are queued, so that they share a batch.
    let other = database.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let commands = (0..100).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let decide = move |_: &_| {
                let mut changes = Changes { adds: vec![Add::one(counter)], ..Changes::none() };
                changes.put(register(number, 1));
                match number % 4 {
                    0 => std::panic::resume_unwind(Box::new("one command panics")),
                    1 => changes.put(key(number, 7)),
                    2 => changes.adds.push(Add { counter, by: 1, at_most: Some(0) }),
                    _ => {}
                }
                changes
            };
            (number, store.transact(reads(), Box::new(decide)).await)
        })
    });
    let commands = join_all(commands.collect::<Vec<_>>());
    tokio::task::yield_now().await;
    other.execute_batch("COMMIT").unwrap();

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
    assert_eq!(store.read(vec![Read::Counter(counter)]).await.unwrap().counter(&counter), 26);
}

#[tokio::test]
async fn a_queue_that_is_full_says_so_at_once_and_does_what_it_took() {
    let database = Database::new();
    let options = Options { busy_for: Duration::from_secs(60), ..Options::default() };
    let store = SqliteStore::open_with(database.path(), options).unwrap();
    let other = database.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let (mut waiting, mut refused) = (Vec::new(), 0);
    for number in 0..10_000 {
        let mut command = Box::pin(put(&store, [register(number, 1)]));
        match poll_immediate(&mut command).await {
            None => waiting.push((number, command)),
            Some(Err(StoreError::Busy)) => refused += 1,
            Some(answer) => panic!("{answer:?}"),
        }
    }
    // The queue, and the batch that was taken from it before.
    assert!((1_024..=1_280).contains(&waiting.len()), "{} wait", waiting.len());
    assert_eq!(waiting.len() + refused, 10_000);

    other.execute_batch("COMMIT").unwrap();
    for (number, command) in waiting {
        command.await.unwrap();
        assert_eq!(value(&store, number).await, Some(1));
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let database = Database::new();
    let options = Options { busy_for: Duration::from_secs(60), ..Options::default() };
    let store = SqliteStore::open_with(database.path(), options).unwrap();
    let other = database.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The first keeps the writer waiting, so that the second is still in the queue when it is dropped.
    let mut first = Box::pin(put(&store, (0..10).map(|number| register(number, 1))));
    assert!(poll_immediate(&mut first).await.is_none());
    for number in 300..900 {
        let mut dropped = Box::pin(put(&store, [register(number, 1), register(number + 1_000, 1)]));
        assert!(poll_immediate(&mut dropped).await.is_none());
    }
    other.execute_batch("COMMIT").unwrap();
    first.await.unwrap();
    put(&store, [register(2_000, 1)]).await.unwrap();
    let mut done = 0;
    for number in 300..900 {
        let both = (value(&store, number).await, value(&store, number + 1_000).await);
        assert!(both == (None, None) || both == (Some(1), Some(1)), "{number}: {both:?}");
        done += u64::from(both.0.is_some());
    }
    assert!(done <= 256, "{done} were done: more than the batch that had begun");
}

#[tokio::test]
async fn a_closed_store_refuses_to_write_and_still_reads() {
    let database = Database::new();
    let store = database.open();
    put(&store, [register(1, 1)]).await.unwrap();
    store.close();
    assert_eq!(std::fs::metadata(database.beside("otp.db-wal")).unwrap().len(), 0, "the log is written into the file");
    let refused = put(&store, [register(1, 2)]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(value(&store, 1).await, Some(1));
    store.close();
}

#[tokio::test]
async fn damage_is_told_as_corruption_wherever_it_is_met() {
    let database = Database::new();
    let store = database.open();
    put(&store, [register(1, 1), register(2, 2)]).await.unwrap();
    let other = database.other();
    other
        .execute("UPDATE key_use SET body = '{\"key\": 1}' WHERE id = ?1", [register(1, 0).key().id.as_slice()])
        .unwrap();
    let key = register(1, 0).key();
    let refused = store.read(vec![Read::Record(key)]).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let mut wanted = reads();
    wanted.wanted.push(Read::Record(key));
    let refused = store.transact(wanted, Box::new(|_| Changes::none())).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert_eq!(value(&store, 2).await, Some(2), "its neighbour can be read");
    store.quick_check().unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_noticed() {
    let database = Database::new();
    let store = database.open();
    put(&store, (0..500).map(|number| register(number, 1))).await.unwrap();
    drop(store);
    let mut file = std::fs::read(database.path()).unwrap();
    // The last pages hold records, the first ones the schema.
    let records = file.len() - 10 * 4_096;
    file[records..].fill(0x55);
    std::fs::write(database.path(), file).unwrap();
    let store = database.open();
    let damage = store.quick_check();
    assert!(matches!(damage, Err(StoreError::Corrupt(_))), "{damage:?}");
}
