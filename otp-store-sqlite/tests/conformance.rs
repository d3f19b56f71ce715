//! The suite that every store has to pass, on a file of its own for each case.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use otp_core::store::Store;
use otp_core::store::conformance::{Fixture, random_commands};
use otp_store_sqlite::SqliteStore;
use tempfile::TempDir;

struct OneFile(TempDir);

impl OneFile {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Fixture for OneFile {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.0.path().join("otp.db")).unwrap())
    }
}

otp_core::conformance_tests!(OneFile::new());

#[test]
fn random_commands_agree_with_memory_whatever_the_seed() {
    for seed in 2..8 {
        let fixture = OneFile::new();
        fixture.block_on(async { random_commands(&fixture.open().await, seed, 150).await });
    }
}
