//! PostgreSQL by hand: of each command the rows that the engine would write, one statement a row, all of a transaction
//! sent at once, on a connection for each caller.

use futures_util::future::try_join_all;
use otp_core::Timestamp;
use otp_core::store::Kind;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls, Statement};

use crate::capture::{Put, Rows};

const COLUMNS: [&str; 8] = ["tenant", "id", "body", "owner", "alias", "due_at", "lease", "expires_at"];

struct Table {
    columns: Vec<usize>,
    insert: Statement,
    update: Statement,
}

/// A connection with its statements.
pub struct Connection {
    client: Client,
    tables: Vec<Table>,
    add: Statement,
}

type Value = Box<dyn ToSql + Sync + Send>;

fn values(put: &Put) -> [Value; 8] {
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    [
        Box::new(put.key.tenant.as_bytes().to_vec()),
        Box::new(put.key.id.as_slice().to_vec()),
        Box::new(put.body.to_string()),
        Box::new(put.owner.map(|owner| owner.as_slice().to_vec())),
        Box::new(put.alias.map(|alias| alias.as_slice().to_vec())),
        Box::new(millis(put.due.at)),
        Box::new(put.due.lease.map(|lease| lease.to_vec())),
        Box::new(millis(put.expires_at)),
    ]
}

impl Connection {
    /// Connects to a server with the engine's tables in `schema`.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn open(url: &str, schema: &str) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client
            .batch_execute(&format!("SET search_path TO \"{schema}\"; SET plan_cache_mode = force_generic_plan"))
            .await?;
        let mut tables = Vec::new();
        for kind in Kind::ALL {
            tables.push(Table::of(&client, schema, *kind).await?);
        }
        let add = "INSERT INTO counter AS c (tenant, key, value, expires_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (tenant, key) DO UPDATE SET value = c.value + excluded.value";
        let add = client.prepare(add).await?;
        Ok(Self { client, tables, add })
    }

    /// Writes the rows of one command in one transaction, sent at once.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn commit(&self, rows: &Rows) -> Result<(), Error> {
        let mut statements: Vec<(&Statement, Vec<Value>)> = Vec::new();
        for put in &rows.puts {
            let table = &self.tables[put.key.kind as usize];
            let mut all = values(put).map(Some);
            let values = table.columns.iter().filter_map(|column| all[*column].take()).collect();
            statements.push((if put.is_new { &table.insert } else { &table.update }, values));
        }
        for (counter, by) in &rows.adds {
            let bytes = counter.to_bytes();
            let values: Vec<Value> = vec![
                Box::new(bytes[..16].to_vec()),
                Box::new(bytes[16..].to_vec()),
                Box::new(i64::try_from(*by).unwrap_or(i64::MAX)),
                Box::new(counter.expires_at().map(Timestamp::as_millis)),
            ];
            statements.push((&self.add, values));
        }
        let borrowed: Vec<Vec<&(dyn ToSql + Sync)>> = statements
            .iter()
            .map(|(_, values)| values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect())
            .collect();
        let writes =
            statements.iter().zip(&borrowed).map(|((statement, _), values)| self.client.execute(*statement, values));
        // Polled in this order, so that they are sent in it.
        let (begun, written, committed) = tokio::join!(
            biased;
            self.client.batch_execute("BEGIN"),
            try_join_all(writes),
            self.client.batch_execute("COMMIT")
        );
        begun.and(written.map(drop)).and(committed)
    }
}

impl Table {
    async fn of(client: &Client, schema: &str, kind: Kind) -> Result<Self, Error> {
        let sql =
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2";
        let found = client.query(sql, &[&schema, &kind.name()]).await?;
        let names: Vec<String> = found.iter().map(|row| row.get(0)).collect();
        let columns: Vec<usize> =
            (0..COLUMNS.len()).filter(|index| names.iter().any(|name| name == COLUMNS[*index])).collect();
        let named: Vec<&str> = columns.iter().map(|index| COLUMNS[*index]).collect();
        let numbers: Vec<String> = (1..=named.len()).map(|number| format!("${number}")).collect();
        let table = kind.name();
        let insert = format!("INSERT INTO \"{table}\" ({}) VALUES ({})", named.join(", "), numbers.join(", "));
        let sets: Vec<String> =
            named.iter().zip(&numbers).skip(2).map(|(name, number)| format!("{name} = {number}")).collect();
        let update = format!("UPDATE \"{table}\" SET {} WHERE tenant = $1 AND id = $2", sets.join(", "));
        Ok(Self { columns, insert: client.prepare(&insert).await?, update: client.prepare(&update).await? })
    }
}
