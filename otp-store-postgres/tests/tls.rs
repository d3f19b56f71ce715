//! Whose certificate is accepted, and that what is said is encrypted.

#![allow(clippy::unwrap_used)]

mod support;

use otp_core::store::Store;
use otp_store_postgres::{OpenError, PostgresStore};
use support::{Database, Server, put, register, value};
use tokio_postgres::NoTls;

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn the_address_tells_whose_certificate_is_accepted() {
    let server = Server::start_with_tls().unwrap();
    let (port, authority) = (server.port(), server.authority());
    let authority = authority.to_str().unwrap();
    let database = Database::new();
    for (host, query, encrypted) in [
        ("localhost", "sslmode=disable".to_owned(), Some(false)),
        ("localhost", String::new(), Some(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Some(true)),
        ("localhost", format!("sslmode=verify-full&sslrootcert={authority}"), Some(true)),
        // Another name than the certificate's, and an authority that this machine does not know.
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={authority}"), None),
        ("localhost", "sslmode=verify-full".to_owned(), None),
    ] {
        let url = format!("postgres://postgres@{host}:{port}/postgres?application_name=tls&{query}");
        let opened = PostgresStore::connect(&url, database.options()).await;
        let Some(encrypted) = encrypted else {
            assert!(matches!(opened, Err(OpenError::Unreachable(_))), "{url}: {opened:?}");
            continue;
        };
        let store = opened.unwrap();
        put(&store, [register(1, 1)]).await.unwrap();
        assert_eq!(value(&store, 1).await, Some(1));
        assert_eq!(connections(&server).await, [encrypted], "{url}");
        store.close().await;
        store.read(Vec::new()).await.unwrap_err();
        while !connections(&server).await.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    let missing =
        format!("postgres://postgres@localhost:{port}/postgres?sslmode=verify-full&sslrootcert=/no/such/file");
    let refused = PostgresStore::connect(&missing, database.options()).await;
    assert!(matches!(refused, Err(OpenError::Tls(_))), "{refused:?}");
}

/// Which ways the store's connections are, each once.
async fn connections(server: &Server) -> Vec<bool> {
    let (client, connection) = tokio_postgres::connect(server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql =
        "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE application_name = 'tls'";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
