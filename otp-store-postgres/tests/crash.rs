//! The database server crashes and comes back, again and again, under load.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;

use otp_store_postgres::PostgresStore;
use support::{Database, Load, Server};
use tokio_postgres::NoTls;

const CRASHES: usize = 20;

/// The server on which a process was killed takes all connections for broken, throws away its memory, and starts again from
/// its log, as after a crash of the machine that left the disk whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_server_that_crashes_under_load_loses_nothing_and_doubles_nothing() {
    let server = Server::start().unwrap();
    let load = Load::start(PostgresStore::connect(server.url(), Database::new().options()).await.unwrap());
    for _ in 0..CRASHES {
        load.some_more().await;
        crash(&server).await;
    }
    load.some_more().await;
    load.stop_and_check().await;
}

async fn crash(server: &Server) {
    let (client, connection) = loop {
        // It may be about to start again from the crash before.
        if let Ok(connected) = tokio_postgres::connect(server.url(), NoTls).await {
            break connected;
        }
    };
    let ended = tokio::spawn(connection);
    let Ok(row) = client.query_one("SELECT pg_backend_pid()", &[]).await else { return };
    assert!(Command::new("kill").args(["-9", &row.get::<_, i32>(0).to_string()]).status().unwrap().success());
    // The client's end tells that the process is gone; the others are told by then, or will be.
    ended.await.unwrap().unwrap_err();
}
