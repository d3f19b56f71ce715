//! What is not opened, why, and that it is left as it was.

#![allow(clippy::unwrap_used)]

mod support;

use futures_util::future::join_all;
use otp_core::store::Store;
use otp_core::store::conformance::{everything_goes_in_its_time, everything_is_found_by_its_owner};
use otp_store_postgres::{OpenError, Options, PostgresStore};
use support::{Database, put, register, value};

async fn refusal(database: &Database) -> OpenError {
    PostgresStore::connect(&database.url(), database.options()).await.unwrap_err()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn what_was_written_is_there_after_reopening() {
    let database = Database::new();
    let store = database.open().await;
    put(&store, [register(1, 7)]).await.unwrap();
    store.close().await;
    assert!(put(&store, [register(1, 8)]).await.is_err());
    assert_eq!(value(&database.open().await, 1).await, Some(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn servers_that_start_together_make_the_tables_once() {
    let database = Database::new();
    let stores = join_all((0..8).map(|_| database.open())).await;
    for (number, store) in (0..).zip(&stores) {
        put(store, [register(number, 1)]).await.unwrap();
    }
    for number in 0..8 {
        assert_eq!(value(&stores[7 - number as usize], number).await, Some(1));
    }
    let versions = database.other().await.query("SELECT version FROM schema_version", &[]).await.unwrap();
    assert_eq!(versions.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [2]);
}

/// As `otp-store-sqlite` has them, in the words of this database.
fn rows_of_version_1() -> String {
    let rows = include_str!("../../otp-store-sqlite/tests/fixtures/rows_1.sql");
    let records = rows.lines().filter(|line| !line.starts_with("INSERT INTO counter"));
    let records: Vec<&str> = records.collect();
    let binary = records.join("\n").replace("(x'", "('\\x").replace(", x'", ", '\\x");
    binary.replace("INSERT INTO user ", "INSERT INTO \"user\" ")
}

/// Servers of the old version and of this one run beside each other while the one is replaced by the other.
#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn rows_of_the_first_version_are_read_by_this_one() {
    let database = Database::new();
    let other = database.other().await;
    let schema = database.schema();
    let mark = "CREATE TABLE schema_version (version bigint NOT NULL); INSERT INTO schema_version VALUES (1)";
    other.batch_execute(&format!("CREATE SCHEMA {schema}; {mark}")).await.unwrap();
    other.batch_execute(include_str!("../src/1.sql")).await.unwrap();
    other.batch_execute(&rows_of_version_1()).await.unwrap();
    let store = database.open().await;
    assert_eq!(store.inventory(None, 1_000).await.unwrap().len(), 23);
    everything_is_found_by_its_owner(&store).await;
    everything_goes_in_its_time(&store).await;
    // What the old one writes meanwhile names no owner.
    other.batch_execute("DELETE FROM message; DELETE FROM reply").await.unwrap();
    let messages = rows_of_version_1().lines().filter(|line| line.contains(" message ")).collect::<String>();
    other.batch_execute(&messages).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_newer_schema_is_refused_and_left_alone() {
    let database = Database::new();
    database.open().await.close().await;
    let other = database.other().await;
    other.batch_execute("UPDATE schema_version SET version = 99; DROP TABLE reply").await.unwrap();
    let refused = refusal(&database).await;
    assert!(matches!(refused, OpenError::NewerSchema { found: 99, known: 2 }), "{refused:?}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'reply'";
    assert_eq!(other.query_one(tables, &[&database.schema()]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_schema_of_another_program_is_refused_and_left_alone() {
    let database = Database::new();
    let other = database.other().await;
    let schema = database.schema();
    other.batch_execute(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.notes (text text)")).await.unwrap();
    let refused = refusal(&database).await;
    assert!(matches!(&refused, OpenError::Foreign(found) if found == schema), "{refused:?}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = $1";
    assert_eq!(other.query_one(tables, &[&schema]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn an_operator_is_told_what_to_do() {
    let database = Database::new();
    let other = database.other().await;
    let user = database.schema();
    other.batch_execute(&format!("CREATE ROLE {user} LOGIN")).await.unwrap();
    let connect = async |url: String| PostgresStore::connect(&url, database.options()).await.unwrap_err();
    let as_user = database.url().replacen("postgres@", &format!("{user}@"), 1);
    let forbidden = connect(as_user).await;
    assert!(matches!(forbidden, OpenError::Forbidden(_)), "{forbidden:?}");
    let nowhere = connect(database.url().replacen("/postgres?", "/nowhere?", 1)).await;
    assert!(matches!(nowhere, OpenError::Refused(_)), "{nowhere:?}");
    let silent = connect("postgres://postgres@127.0.0.1:1/postgres".into()).await;
    assert!(matches!(silent, OpenError::Unreachable(_)), "{silent:?}");
    // The tests' server has no certificate.
    let plain = connect(format!("{}&sslmode=require", database.url())).await;
    assert!(matches!(plain, OpenError::Unreachable(_)), "{plain:?}");
    other.batch_execute(&format!("DROP ROLE {user}")).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_user_that_may_not_make_schemas_can_be_given_one() {
    let database = Database::new();
    let other = database.other().await;
    let name = database.schema();
    let given = format!("CREATE ROLE {name} LOGIN; CREATE SCHEMA {name} AUTHORIZATION {name}");
    other.batch_execute(&given).await.unwrap();
    let url = database.url().replacen("postgres@", &format!("{name}@"), 1);
    let store = PostgresStore::connect(&url, database.options()).await.unwrap();
    put(&store, [register(1, 1)]).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn installations_in_one_database_do_not_meet() {
    let databases = [Database::new(), Database::new()];
    let stores = [databases[0].open().await, databases[1].open().await];
    put(&stores[0], [register(1, 1)]).await.unwrap();
    assert_eq!(value(&stores[1], 1).await, None);
}

#[tokio::test]
async fn a_name_that_would_have_to_be_quoted_is_refused() {
    for schema in ["", "a\"; DROP TABLE users; --", "ü", &"a".repeat(64)] {
        let options = Options { schema: schema.into(), ..Options::default() };
        let refused = PostgresStore::connect("postgres://postgres@127.0.0.1:1/postgres", options).await.unwrap_err();
        assert!(matches!(refused, OpenError::Schema(_)), "{refused:?}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn a_name_is_noted_once_and_by_whoever_was_first() {
    let database = Database::new();
    let store = database.open().await;
    assert_eq!(store.meta("mark").await.unwrap(), None);
    assert_eq!(store.set_meta_once("mark", b"first").await.unwrap(), b"first");
    assert_eq!(store.set_meta_once("mark", b"second").await.unwrap(), b"first");
    assert_eq!(database.open().await.meta("mark").await.unwrap(), Some(b"first".to_vec()));
}

/// Whoever may set the server's defaults cannot make answers less than durable.
#[tokio::test]
#[ignore = "needs PostgreSQL: run cargo xtask test"]
async fn an_answer_means_that_the_disk_has_it() {
    let database = Database::new();
    let other = database.other().await;
    let name = database.schema();
    let role = format!(
        "CREATE ROLE {name} LOGIN SUPERUSER; ALTER ROLE {name} SET synchronous_commit = off; \
         ALTER ROLE {name} SET default_transaction_isolation = 'serializable'"
    );
    other.batch_execute(&role).await.unwrap();
    let url = database.url().replacen("postgres@", &format!("{name}@"), 1);
    let store = PostgresStore::connect(&url, database.options()).await.unwrap();
    put(&store, [register(1, 1)]).await.unwrap();
    // Written by the writing connection itself, as it sees its settings.
    let watch = "CREATE TABLE seen (name text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO seen VALUES (current_setting('synchronous_commit')), \
                 (current_setting('transaction_isolation')), (current_setting('lock_timeout')); RETURN NEW; END $$; \
                 CREATE TRIGGER see BEFORE INSERT ON key_use FOR EACH ROW EXECUTE FUNCTION see()";
    other.batch_execute(watch).await.unwrap();
    put(&store, [register(2, 1)]).await.unwrap();
    let seen = other.query("SELECT name FROM seen", &[]).await.unwrap();
    assert_eq!(seen.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["on", "read committed", "30s"]);
}
