//! What the tests have in common.

#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part

use std::path::{Path, PathBuf};
use std::time::Duration;

use otp_core::api_key::KeyUse;
use otp_core::store::{Changes, Key, Read, Reads, Record, Scope, Store, StoreError, Stored};
use otp_core::{KeyId, TenantId, Timestamp};
use otp_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

/// A directory with a database in it, both gone when it is dropped.
pub struct Database {
    directory: TempDir,
}

impl Database {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.beside("otp.db")
    }

    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap()
    }

    /// Gives up soon when somebody else holds the file.
    pub fn open_impatient(&self) -> SqliteStore {
        let options = Options { busy_for: Duration::from_millis(20), ..Options::default() };
        SqliteStore::open_with(self.path(), options).unwrap()
    }

    /// A connection of somebody else's.
    pub fn other(&self) -> rusqlite::Connection {
        let other = rusqlite::Connection::open(self.path()).unwrap();
        other.busy_timeout(Duration::from_secs(5)).unwrap();
        other
    }
}

pub fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

/// A record with a number in it.
pub fn register(number: u64, value: i64) -> KeyUse {
    let key = KeyId::from_bytes(u128::from(number).to_be_bytes());
    KeyUse { key, tenant: tenant(), last_used_at: Timestamp::from_millis(value), last_used_ip: None, calls: 0 }
}

pub fn reads() -> Reads {
    Reads { scope: Scope::Tenant(tenant()), wanted: Vec::new() }
}

/// Writes records as one command.
pub async fn put(store: &SqliteStore, records: impl IntoIterator<Item = impl Into<Record>>) -> Result<(), StoreError> {
    let puts = records.into_iter().map(Into::into).collect();
    write(store, Changes { puts, ..Changes::none() }).await
}

/// One command that writes these.
pub async fn write(store: &SqliteStore, changes: Changes) -> Result<(), StoreError> {
    store.transact(reads(), Box::new(move |_| changes.clone())).await
}

/// What a record holds, if it is there.
pub async fn value(store: &SqliteStore, number: u64) -> Option<i64> {
    let key: Key = register(number, 0).key();
    let seen = store.read(vec![Read::Record(key)]).await.unwrap();
    seen.one::<KeyUse>().map(|found| found.last_used_at.as_millis())
}
