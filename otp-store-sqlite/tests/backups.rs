//! Backups: whole, checked, private, and never in the place of anything.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use otp_core::delivery::DeliveryStatus;
use otp_core::event::{Event, EventData};
use otp_core::message::Channel;
use otp_core::store::{Changes, Due, Key, Kind, Lease, Record, Store, Stored};
use otp_core::tenant::{Mode, Space};
use otp_core::{EventId, MessageId, Timestamp};
use otp_store_sqlite::{BackupError, SqliteStore};
use support::{Database, put, register, tenant, value, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_is_one_moment_of_the_database() {
    let database = Database::new();
    let store = Arc::new(database.open());
    store.set_meta_once("mark", b"kept").unwrap();
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writing = {
        let (store, stop, written) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&written));
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                // Two that are always equal.
                put(&store, [register(number, number as i64), register(number + 1_000_000, number as i64)])
                    .await
                    .unwrap();
                number += 1;
                written.store(number, Ordering::SeqCst);
            }
        })
    };
    while written.load(Ordering::SeqCst) < 50 {
        tokio::task::yield_now().await;
    }
    let known = written.load(Ordering::SeqCst);
    let target = database.beside("backup.db");
    let (copied, to) = (Arc::clone(&store), target.clone());
    tokio::task::spawn_blocking(move || copied.backup(&to)).await.unwrap().unwrap();
    stop.store(true, Ordering::SeqCst);
    writing.await.unwrap();

    let copy = SqliteStore::open(&target).unwrap();
    copy.quick_check().unwrap();
    assert_eq!(copy.meta("mark").unwrap(), Some(b"kept".to_vec()));
    let mut numbers = 0;
    while let Some(found) = value(&copy, numbers).await {
        assert_eq!(found, numbers as i64);
        assert_eq!(value(&copy, numbers + 1_000_000).await, Some(found));
        numbers += 1;
    }
    assert!(numbers >= known, "what was acknowledged before is in it");
    assert_eq!(value(&copy, numbers + 1_000_000).await, None);
}

/// What waits is known by its row, and a copy of a table with gaps could number them anew.
#[tokio::test]
async fn what_waits_in_a_backup_is_what_waited() {
    let database = Database::new();
    let store = database.open();
    put(&store, (0..6).map(event)).await.unwrap();
    let deletes = [0, 1, 4].map(|number| event(number).key()).to_vec();
    write(&store, Changes { deletes, ..Changes::none() }).await.unwrap();
    let copied = database.beside("backup.db");
    store.backup(&copied).unwrap();

    let lease = Lease { id: [7; 16], now: Timestamp::from_millis(10), until: Timestamp::from_millis(20) };
    let copy = SqliteStore::open(&copied).unwrap();
    let waits: Vec<Key> = copy.claim(Kind::Event, lease, 10).await.unwrap().iter().map(Record::key).collect();
    assert_eq!(waits, [2, 3, 5].map(|number| event(number).key()));
}

/// One that waits.
fn event(number: u8) -> Event {
    Event {
        id: EventId::from_bytes([number; 16]),
        space: Space { tenant: tenant(), mode: Mode::Live },
        at: Timestamp::from_millis(0),
        person: None,
        data: EventData::MessageFailed {
            message_id: MessageId::from_bytes([number; 16]),
            channel: Channel::Sms,
            reason: String::new(),
            status: DeliveryStatus::Failed,
        },
        endpoints: Vec::new(),
        due: Due { at: Some(Timestamp::from_millis(i64::from(number))), lease: None },
    }
}

#[test]
fn a_backup_replaces_nothing_and_leaves_nothing_unfinished() {
    let database = Database::new();
    let store = database.open();
    let taken = database.beside("taken.db");
    fs::write(&taken, "precious").unwrap();
    let refused = store.backup(&taken);
    assert!(matches!(refused, Err(BackupError::Exists(_))), "{refused:?}");
    assert_eq!(fs::read_to_string(&taken).unwrap(), "precious");

    let refused = store.backup(&database.beside("no/such/directory/backup.db"));
    assert!(matches!(refused, Err(BackupError::Io(_))), "{refused:?}");

    // What a copy that was interrupted left behind is in nobody's way.
    fs::write(database.beside("backup.db.unfinished"), "half a copy").unwrap();
    store.backup(&database.beside("backup.db")).unwrap();
    let mut files: Vec<_> = fs::read_dir(database.directory()).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["backup.db", "otp.db", "otp.db-shm", "otp.db-wal", "taken.db"]);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;

    let database = Database::new();
    let backup = database.beside("backup.db");
    database.open().backup(&backup).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
}
