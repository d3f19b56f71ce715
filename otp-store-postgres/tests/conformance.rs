//! The suite that every store has to pass, each case on tables of its own.

#![allow(clippy::unwrap_used)]

mod support;

use std::future::Future;
use std::sync::Arc;

use otp_core::store::Store;
use otp_core::store::conformance::{Fixture, Task, random_commands};
use support::Database;
use tokio::runtime::{Builder, Runtime};

struct OnServer {
    database: Database,
    runtime: Runtime,
}

impl OnServer {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { database: Database::new(), runtime }
    }
}

impl Fixture for OnServer {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.database.open().await)
    }

    fn block_on<F: Future>(&self, test: F) -> F::Output {
        self.runtime.block_on(test)
    }

    fn spawn(&self, task: Task) {
        self.runtime.spawn(task);
    }
}

otp_core::conformance_tests!(OnServer::new(), #[ignore = "needs PostgreSQL: run cargo xtask test"]);

#[test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
fn random_commands_agree_with_memory_whatever_the_seed() {
    for seed in 2..6 {
        let fixture = OnServer::new();
        fixture.block_on(async { random_commands(&fixture.open().await, seed, 150).await });
    }
}
