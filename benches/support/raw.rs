//! SQLite by hand: the rows that the engine would write, in transactions of a given size, and nothing else.

use std::collections::HashMap;
use std::path::Path;

use otp_core::Timestamp;
use otp_core::store::{Kind, SmallBytes};
use otp_core::usage::CounterKey;
use otp_store_sqlite::SqliteStore;
use rusqlite::{Connection, Result, Statement};

use crate::capture::{Put, Rows};

/// Makes a file with the engine's tables and indexes, and opens it as the engine's writer does.
pub fn open(path: &Path) -> Connection {
    drop(SqliteStore::open(path).expect("a fresh file"));
    let connection = Connection::open(path).expect("the file");
    let set = |name: &str, value: i64| connection.pragma_update(None, name, value).expect("a known pragma");
    set("synchronous", 2);
    set("cache_size", -8_192);
    set("wal_autocheckpoint", 4_096);
    set("journal_size_limit", 64 << 20);
    set("foreign_keys", 1);
    set("temp_store", 2);
    connection
}

/// How many transactions were committed to a file that is open in WAL mode: the counter in the header of its index
/// (<https://www.sqlite.org/walformat.html>).
pub fn commits(path: &Path) -> u32 {
    let index = path.with_extension("db-shm");
    let header = std::fs::read(index).expect("the file is open in WAL mode");
    u32::from_ne_bytes(header[8..12].try_into().expect("four bytes"))
}

#[derive(Clone, Copy)]
enum Column {
    Tenant,
    Id,
    Body,
    Owner,
    Alias,
    DueAt,
    Lease,
    ExpiresAt,
}

const COLUMNS: [(&str, Column); 8] = [
    ("tenant", Column::Tenant),
    ("id", Column::Id),
    ("body", Column::Body),
    ("owner", Column::Owner),
    ("alias", Column::Alias),
    ("due_at", Column::DueAt),
    ("lease", Column::Lease),
    ("expires_at", Column::ExpiresAt),
];

struct Table<'a> {
    columns: Vec<Column>,
    insert: Statement<'a>,
    update: Statement<'a>,
}

impl<'a> Table<'a> {
    fn of(connection: &'a Connection, kind: Kind) -> Result<Self> {
        let mut info = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let names: Vec<String> = info.query_map([kind.name()], |row| row.get(0))?.collect::<Result<_>>()?;
        let column = |name: &String| COLUMNS.iter().find(|(known, _)| known == name).expect("a known column").1;
        let numbered = (1..).zip(&names);
        let values: Vec<_> = numbered.clone().map(|(number, _)| format!("?{number}")).collect();
        let sets: Vec<_> = numbered.clone().map(|(number, name)| format!("{name} = ?{number}")).collect();
        let is_key = |set: &&String| set.starts_with("id =") || set.starts_with("tenant =");
        let (keys, sets): (Vec<_>, Vec<_>) = sets.iter().partition(is_key);
        let table = kind.name();
        let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
        let join = |parts: Vec<&String>, by: &str| parts.into_iter().map(String::as_str).collect::<Vec<_>>().join(by);
        let update = format!("UPDATE {table} SET {} WHERE {}", join(sets, ", "), join(keys, " AND "));
        let columns = names.iter().map(column).collect();
        Ok(Self { columns, insert: connection.prepare(&insert)?, update: connection.prepare(&update)? })
    }

    fn put(&mut self, put: &Put) -> Result<()> {
        let statement = if put.is_new { &mut self.insert } else { &mut self.update };
        let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
        let bytes = |bytes: &Option<SmallBytes>| bytes.map(|bytes| bytes.as_slice().to_vec());
        for (number, column) in (1..).zip(&self.columns) {
            match column {
                Column::Tenant => statement.raw_bind_parameter(number, &put.key.tenant.as_bytes()[..]),
                Column::Id => statement.raw_bind_parameter(number, put.key.id.as_slice()),
                Column::Body => statement.raw_bind_parameter(number, &*put.body),
                Column::Owner => statement.raw_bind_parameter(number, bytes(&put.owner)),
                Column::Alias => statement.raw_bind_parameter(number, bytes(&put.alias)),
                Column::DueAt => statement.raw_bind_parameter(number, millis(put.due.at)),
                Column::Lease => statement.raw_bind_parameter(number, put.due.lease.map(|lease| lease.to_vec())),
                Column::ExpiresAt => statement.raw_bind_parameter(number, millis(put.expires_at)),
            }?;
        }
        statement.raw_execute().map(drop)
    }
}

/// Prepared statements on a connection.
pub struct Writer<'a> {
    tables: Vec<Table<'a>>,
    add: Statement<'a>,
    begin: Statement<'a>,
    commit: Statement<'a>,
    sums: HashMap<CounterKey, u64>,
}

impl<'a> Writer<'a> {
    /// Prepares them.
    pub fn new(connection: &'a Connection) -> Self {
        let prepare = |sql: &str| connection.prepare(sql).expect("a statement");
        let add = "INSERT INTO counter (key, value, expires_at) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (key) DO UPDATE SET value = value + excluded.value";
        Self {
            tables: Kind::ALL.iter().map(|kind| Table::of(connection, *kind).expect("a table")).collect(),
            add: prepare(add),
            begin: prepare("BEGIN IMMEDIATE"),
            commit: prepare("COMMIT"),
            sums: HashMap::new(),
        }
    }

    /// Writes them in one transaction, each count once.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn commit<'r>(&mut self, batch: impl IntoIterator<Item = &'r Rows>) -> Result<()> {
        self.begin.raw_execute()?;
        for rows in batch {
            for put in &rows.puts {
                self.tables[put.key.kind as usize].put(put)?;
            }
            for (counter, by) in &rows.adds {
                *self.sums.entry(*counter).or_default() += by;
            }
        }
        for (counter, sum) in self.sums.drain() {
            self.add.raw_bind_parameter(1, counter.to_bytes())?;
            self.add.raw_bind_parameter(2, i64::try_from(sum).unwrap_or(i64::MAX))?;
            self.add.raw_bind_parameter(3, counter.expires_at().map(Timestamp::as_millis))?;
            self.add.raw_execute()?;
        }
        self.commit.raw_execute().map(drop)
    }
}
