//! Which tables there are, and how a database gets to the newest schema.

use tokio_postgres::{Client, GenericClient};

use crate::address::Address;
use crate::pool::settings;
use crate::statements::lock_key;
use crate::{OpenError, Options};

/// The steps from an empty schema to the newest. A step that was released never changes; a new one is added.
const MIGRATIONS: &[&str] = &[include_str!("1.sql"), include_str!("2.sql")];

/// The oldest server that is known to do, as `server_version_num` tells it.
const OLDEST_SERVER: i32 = 130_000;

/// Connects once, and brings the tables to the newest schema.
pub(crate) async fn prepare(address: &Address, options: &Options) -> Result<(), OpenError> {
    if !is_name(&options.schema) {
        return Err(OpenError::Schema(options.schema.clone()));
    }
    let (mut client, connection) = address.config.connect(address.tls.clone()).await?;
    // It ends with the client; what it meets, the client is told.
    tokio::spawn(connection);
    check_server(&client).await?;
    client.batch_execute(&settings(options)).await?;
    migrate(&mut client, &options.schema).await
}

/// Stands in quotes in SQL.
fn is_name(schema: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..64).contains(&schema.len()) && schema.bytes().all(fits)
}

/// Brings the tables to the newest schema, in one transaction. Of several servers that start together one does so, and
/// the others wait for it.
async fn migrate(client: &mut Client, schema: &str) -> Result<(), OpenError> {
    if version(client, schema).await? == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    // The limits on statements and locks are for requests, not for the one time that tables are made.
    transaction.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&lock_key(schema, b"migrate")]).await?;
    // Another server may have been faster.
    let found = version(&transaction, schema).await?;
    if found == 0 {
        make_schema(&transaction, schema).await?;
    }
    for migration in &MIGRATIONS[usize::try_from(found).unwrap_or_default()..] {
        transaction.batch_execute(migration).await?;
    }
    transaction.execute("UPDATE schema_version SET version = $1", &[&(MIGRATIONS.len() as i64)]).await?;
    Ok(transaction.commit().await?)
}

async fn check_server(client: &Client) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version')";
    let row = client.query_one(sql, &[]).await?;
    if row.try_get::<_, i32>(0)? < OLDEST_SERVER {
        return Err(OpenError::ServerTooOld { found: row.try_get(1)? });
    }
    Ok(())
}

/// The version of tables that this program may use; zero if there are none.
async fn version(client: &impl GenericClient, schema: &str) -> Result<i64, OpenError> {
    let tables = "SELECT count(*), count(*) FILTER (WHERE tablename = 'schema_version') \
                  FROM pg_catalog.pg_tables WHERE schemaname = $1";
    let row = client.query_one(tables, &[&schema]).await?;
    let (tables, marks): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if marks == 0 {
        return if tables > 0 { Err(OpenError::Foreign(schema.to_owned())) } else { Ok(0) };
    }
    let found = client.query_one("SELECT version FROM schema_version", &[]).await?.try_get(0)?;
    let known = MIGRATIONS.len() as i64;
    if found > known { Err(OpenError::NewerSchema { found, known }) } else { Ok(found) }
}

async fn make_schema(client: &impl GenericClient, schema: &str) -> Result<(), OpenError> {
    // To ask first spares a user the right to make schemas, where an administrator made this one.
    let exists = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
    if client.query_opt(exists, &[&schema]).await?.is_none() {
        client.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    let mark = "CREATE TABLE schema_version (version bigint NOT NULL); INSERT INTO schema_version VALUES (0)";
    Ok(client.batch_execute(mark).await?)
}
