//! What is not opened, why, and that it is left as it was.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use otp_core::store::conformance::{everything_goes_in_its_time, everything_is_found_by_its_owner};
use otp_core::store::{Item, Store};
use otp_store_sqlite::{OpenError, Options, SqliteStore};
use support::{Database, put, value};

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let database = Database::new();
    let store = database.open();
    put(&store, [support::register(1, 7)]).await.unwrap();
    drop(store);
    assert!(!database.beside("otp.db-wal").exists(), "all of it is in the one file");
    assert_eq!(value(&database.open(), 1).await, Some(7));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let database = Database::new();
    drop(database.open());
    database.other().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(database.path()).unwrap();
    let refused = SqliteStore::open(database.path());
    assert!(matches!(refused, Err(OpenError::NewerSchema { found: 99, known: 2 })), "{refused:?}");
    assert_eq!(fs::read(database.path()).unwrap(), before);
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let database = Database::new();
    let text = "PATH=/usr/bin\n".repeat(500);
    fs::write(database.path(), &text).unwrap();
    let refused = SqliteStore::open(database.path());
    assert!(matches!(refused, Err(OpenError::NotADatabase(_))), "{refused:?}");
    assert_eq!(fs::read_to_string(database.path()).unwrap(), text);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let database = Database::new();
    database.other().execute_batch("CREATE TABLE notes (text)").unwrap();
    let before = fs::read(database.path()).unwrap();
    let refused = SqliteStore::open(database.path());
    assert!(matches!(refused, Err(OpenError::Foreign)), "{refused:?}");
    assert_eq!(fs::read(database.path()).unwrap(), before);
}

#[test]
fn a_file_that_another_process_locks_is_told_as_locked() {
    let database = Database::new();
    let other = database.other();
    other.execute_batch("BEGIN EXCLUSIVE; CREATE TABLE held (x)").unwrap();
    let options = Options { busy_for: std::time::Duration::from_millis(20), ..Options::default() };
    let refused = SqliteStore::open_with(database.path(), options);
    assert!(matches!(refused, Err(OpenError::Locked(_))), "{refused:?}");
}

#[test]
fn a_path_that_leads_nowhere_or_may_not_be_written_is_told_apart() {
    let database = Database::new();
    let refused = SqliteStore::open(database.beside("no/such/directory/otp.db"));
    assert!(matches!(refused, Err(OpenError::Io(_))), "{refused:?}");
    // Whoever is root may write everything but the kernel's own file systems.
    if fs::metadata("/sys/kernel").is_ok() {
        let refused = SqliteStore::open("/sys/kernel/otp.db");
        assert!(matches!(refused, Err(OpenError::ReadOnly(_))), "{refused:?}");
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let database = Database::new();
    let _store = database.open();
    for file in fs::read_dir(database.directory()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn a_name_is_noted_once_and_by_whoever_was_first() {
    let database = Database::new();
    let store = database.open();
    assert_eq!(store.meta("mark").unwrap(), None);
    assert_eq!(store.set_meta_once("mark", b"first").unwrap(), b"first");
    assert_eq!(store.set_meta_once("mark", b"second").unwrap(), b"first");
    drop(store);
    assert_eq!(database.open().meta("mark").unwrap(), Some(b"first".to_vec()));
}

/// Before a version is replaced everywhere its rows are read by the next one, and an old file is opened years later.
#[tokio::test]
async fn rows_of_the_first_version_are_read_by_this_one() {
    let database = Database::new();
    let old = database.other();
    old.execute_batch(include_str!("../src/1.sql")).unwrap();
    old.execute_batch(include_str!("fixtures/rows_1.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x4f54_5061).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let store = database.open();
    let items = store.inventory(None, 1_000).await.unwrap();
    let counts = items.iter().filter(|item| matches!(item, Item::Count(..))).count();
    assert_eq!((items.len(), counts), (26, 3));
    everything_is_found_by_its_owner(&store).await;
    everything_goes_in_its_time(&store).await;
    assert!(store.meta("master_key.0").unwrap().is_some());
}
