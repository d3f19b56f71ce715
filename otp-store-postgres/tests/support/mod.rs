//! What the tests have in common.

#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::disallowed_methods)] // each test file uses its part

mod load;
mod proxy;
mod server;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use load::{Load, count, counter};
use otp_core::api_key::KeyUse;
use otp_core::store::{Changes, Key, Read, Reads, Scope, Store, StoreError, Stored};
use otp_core::subject::BucketKey;
use otp_core::{KeyId, TenantId, Timestamp};
use otp_store_postgres::{Options, PostgresStore};
pub use proxy::Proxy;
pub use server::{Server, url};
use tokio_postgres::{Client, NoTls};

/// A place for tables of one test, on the server that all share.
pub struct Database {
    schema: String,
}

impl Database {
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let at = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        Self { schema: format!("t{number}_{}_{at}", std::process::id()) }
    }

    /// Patient: many tests share two cores and one disk.
    pub fn options(&self) -> Options {
        let patient = Duration::from_secs(30);
        Options {
            schema: self.schema.clone(),
            statement_timeout: patient,
            lock_timeout: patient,
            idle_in_transaction_timeout: patient,
            ..Options::default()
        }
    }

    /// The server's address, under a name that tells this test's connections.
    pub fn url(&self) -> String {
        let url = url();
        format!("{url}{}application_name={}", if url.contains('?') { '&' } else { '?' }, self.schema)
    }

    /// The same by way of a proxy.
    pub async fn proxy(&self) -> (Proxy, String) {
        let url = self.url();
        let place = url.split(['@', '/']).nth(3).unwrap();
        let proxy = Proxy::to(place.to_owned()).await;
        let url = url.replacen(place, &format!("127.0.0.1:{}", proxy.port()), 1);
        (proxy, url)
    }

    pub fn schema(&self) -> &str {
        &self.schema
    }

    pub async fn open(&self) -> PostgresStore {
        PostgresStore::connect(&self.url(), self.options()).await.unwrap()
    }

    /// A connection of somebody else's, which sees the same tables.
    pub async fn other(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path TO \"{}\"", self.schema)).await.unwrap();
        client
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

/// The scope of one of many recipients.
pub fn scope(number: u64) -> Scope {
    let mut bucket = [0; 32];
    bucket[..8].copy_from_slice(&number.to_be_bytes());
    Scope::Subject(tenant(), BucketKey::from_bytes(bucket))
}

pub fn reads(number: u64) -> Reads {
    Reads { scope: scope(number), wanted: Vec::new() }
}

/// Writes records as one command in the scope of the first.
pub async fn put(store: &PostgresStore, records: impl IntoIterator<Item = KeyUse>) -> Result<(), StoreError> {
    let records: Vec<KeyUse> = records.into_iter().collect();
    let number = records.first().map_or(0, |first| u128::from_be_bytes(*first.key.as_bytes()) as u64);
    let changes = Changes { puts: records.into_iter().map(Into::into).collect(), ..Changes::none() };
    store.transact(reads(number), Box::new(move |_| changes.clone())).await
}

/// What a record holds, if it is there.
pub async fn value(store: &PostgresStore, number: u64) -> Option<i64> {
    let key: Key = register(number, 0).key();
    let seen = store.read(vec![Read::Record(key)]).await.unwrap();
    seen.one::<KeyUse>().map(|found| found.last_used_at.as_millis())
}
