//! The SQL, written out once for every kind, and prepared when first used.

use otp_core::store::{Kind, Shape};
use rusqlite::{Connection, Result, Statement};

/// What is done with one kind's table. The parameters of each are in [`text`].
#[derive(Clone, Copy)]
pub(crate) enum Op {
    Find,
    FindAlias,
    Page,
    Exists,
    Put,
    Update,
    Delete,
    Due,
    Lease,
    Release,
    Settle,
    Sweep,
    Inventory,
}

const OPS: [Op; 13] = [
    Op::Find,
    Op::FindAlias,
    Op::Page,
    Op::Exists,
    Op::Put,
    Op::Update,
    Op::Delete,
    Op::Due,
    Op::Lease,
    Op::Release,
    Op::Settle,
    Op::Sweep,
    Op::Inventory,
];

/// One statement.
#[derive(Clone, Copy)]
pub(crate) enum Query {
    Begin,
    Snapshot,
    Commit,
    Rollback,
    Count,
    AddTo,
    SweepCounters,
    ForgetCounters,
    Counts,
    CountRange,
    Of(Kind, Op),
}

const SINGLE: [&str; 10] = [
    "BEGIN IMMEDIATE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SELECT value FROM counter WHERE key = ?1",
    "INSERT INTO counter (key, value, expires_at) VALUES (?1, ?2, ?3) \
     ON CONFLICT (key) DO UPDATE SET value = value + excluded.value",
    "DELETE FROM counter WHERE rowid IN (SELECT rowid FROM counter WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)",
    "DELETE FROM counter WHERE rowid IN (SELECT rowid FROM counter WHERE key >= ?1 AND key < ?2 LIMIT ?3)",
    "SELECT key, value FROM counter WHERE key > ?1 ORDER BY key LIMIT ?2",
    "SELECT key, value FROM counter WHERE key >= ?1 AND key < ?2 ORDER BY key",
];

impl Query {
    fn index(self) -> usize {
        match self {
            Query::Begin => 0,
            Query::Snapshot => 1,
            Query::Commit => 2,
            Query::Rollback => 3,
            Query::Count => 4,
            Query::AddTo => 5,
            Query::SweepCounters => 6,
            Query::ForgetCounters => 7,
            Query::Counts => 8,
            Query::CountRange => 9,
            Query::Of(kind, op) => SINGLE.len() + kind as usize * OPS.len() + op as usize,
        }
    }
}

/// The texts of all statements.
pub(crate) struct Texts(Vec<String>);

impl Texts {
    pub fn new() -> Self {
        let single = SINGLE.iter().map(ToString::to_string);
        let of_kinds = Kind::ALL.iter().flat_map(|kind| OPS.map(|op| text(*kind, op)));
        Self(single.chain(of_kinds).collect())
    }

    pub fn of(&self, query: Query) -> &str {
        &self.0[query.index()]
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// `?1` is the id, `?2` the tenant, `?3` the body, `?4` the owner, `?5` the alias, `?6` the due time, `?7` the lease, `?8`
/// the expiry, `?9` the lease that it has; in the others what their text says. What was found to be due is known by its row. A kind that has no use for a statement never prepares it.
fn text(kind: Kind, op: Op) -> String {
    let table = kind.name();
    let shape = kind.shape();
    let row = match shape.queue {
        true if waits_apart(kind) => format!("body, (SELECT due_at {}), lease", waiting(table)),
        true => "body, due_at, lease".to_owned(),
        false => "body".to_owned(),
    };
    match op {
        Op::Find => format!("SELECT {row} FROM {table} WHERE id = ?1 AND tenant = ?2"),
        Op::FindAlias => format!("SELECT {row} FROM {table} WHERE alias = ?1"),
        Op::Page => {
            format!("SELECT {row} FROM {table} WHERE owner = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")
        }
        Op::Exists => format!("SELECT 1 FROM {table} WHERE id = ?1 AND tenant = ?2"),
        Op::Put => put(table, shape),
        Op::Update => update(table, shape),
        Op::Delete => format!("DELETE FROM {table} WHERE id = ?1 AND tenant = ?2"),
        Op::Due if waits_apart(kind) => format!(
            "SELECT body, {table}_waits.due_at, lease, {table} FROM {table}_waits JOIN {table} ON {table}.rowid = {table} \
             WHERE {table}_waits.due_at <= ?1 ORDER BY {table}_waits.due_at LIMIT ?2"
        ),
        Op::Due => format!("SELECT {row}, rowid FROM {table} WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2"),
        Op::Lease => format!("UPDATE {table} SET due_at = ?6, lease = ?7 WHERE rowid = ?1"),
        Op::Release if waits_apart(kind) => format!("DELETE FROM {table}_waits WHERE due_at = ?6 AND {table} = ?1"),
        Op::Release => {
            let expires = if shape.expires { ", expires_at = ?8" } else { "" };
            format!("UPDATE {table} SET due_at = NULL, lease = NULL{expires} WHERE rowid = ?1")
        }
        Op::Settle if waits_apart(kind) => {
            format!("{} AND lease = ?9 AND EXISTS (SELECT 1 {})", update(table, shape), waiting(table))
        }
        Op::Settle => format!("{} AND lease = ?9", update(table, shape)),
        Op::Sweep => format!(
            "DELETE FROM {table} WHERE rowid IN \
             (SELECT rowid FROM {table} WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)"
        ),
        Op::Inventory => {
            format!("SELECT {row} FROM {table} WHERE (id, tenant) > (?1, ?2) ORDER BY id, tenant LIMIT ?3")
        }
    }
}

/// Whether what waits of a kind stands in a tree of its own, kept by triggers: it is known there by when it is due and by its
/// row. Of use where records are taken as they are: they leave the tree, and their rows are not written anew.
pub(crate) fn waits_apart(kind: Kind) -> bool {
    kind == Kind::Event
}

/// A row's place there; there is none when it has been taken.
fn waiting(table: &str) -> String {
    format!("FROM {table}_waits w WHERE w.due_at = {table}.due_at AND w.{table} = {table}.rowid")
}

fn put(table: &str, shape: Shape) -> String {
    let columns = [
        (shape.owner, "owner", "?4"),
        (shape.alias, "alias", "?5"),
        (shape.queue, "due_at", "?6"),
        (shape.queue, "lease", "?7"),
        (shape.expires, "expires_at", "?8"),
    ];
    let (mut names, mut values, mut sets) = (String::new(), String::new(), String::new());
    for (_, name, value) in columns.iter().filter(|(has, ..)| *has) {
        names += &format!(", {name}");
        values += &format!(", {value}");
        sets += &format!(", {name} = excluded.{name}");
    }
    format!(
        "INSERT INTO {table} (id, tenant, body{names}) VALUES (?1, ?2, ?3{values}) \
         ON CONFLICT (id, tenant) DO UPDATE SET body = excluded.body{sets}"
    )
}

/// Leaves owner and alias alone. To SQLite a column that is set has changed, and it would write the pages of their indexes
/// anew, which are random ones.
fn update(table: &str, shape: Shape) -> String {
    let due = if shape.queue { ", due_at = ?6, lease = ?7" } else { "" };
    let expires = if shape.expires { ", expires_at = ?8" } else { "" };
    format!("UPDATE {table} SET body = ?3{due}{expires} WHERE id = ?1 AND tenant = ?2")
}

/// Something that hands out prepared statements.
pub(crate) trait Prepared {
    /// Runs one.
    fn with<T>(&mut self, query: Query, run: impl FnOnce(&mut Statement<'_>) -> Result<T>) -> Result<T>;

    /// Runs one that has neither parameters nor rows.
    fn execute(&mut self, query: Query) -> Result<()> {
        self.with(query, |statement| statement.raw_execute().map(drop))
    }
}

/// The writer's statements. rusqlite's own cache copies and hashes the text of a statement at every use, which on the
/// write path costs as much as the look-up it saves.
pub(crate) struct Statements<'a> {
    connection: &'a Connection,
    texts: &'a Texts,
    prepared: Vec<Option<Statement<'a>>>,
}

impl<'a> Statements<'a> {
    pub fn new(connection: &'a Connection, texts: &'a Texts) -> Self {
        let prepared = (0..texts.len()).map(|_| None).collect();
        Self { connection, texts, prepared }
    }

    pub fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Copies the log into the file and cuts it to nothing, if nobody is in the way; nobody waits for it.
    pub fn empty_log(&self) -> Result<()> {
        let waits: i64 = self.connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
        self.connection.pragma_update_and_check(None, "busy_timeout", 0, |_| Ok(()))?;
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.connection.pragma_update_and_check(None, "busy_timeout", waits, |_| Ok(()))?;
        if busy? { Err(rusqlite::Error::QueryReturnedNoRows) } else { Ok(()) }
    }
}

impl Prepared for Statements<'_> {
    fn with<T>(&mut self, query: Query, run: impl FnOnce(&mut Statement<'_>) -> Result<T>) -> Result<T> {
        let slot = &mut self.prepared[query.index()];
        match slot {
            Some(statement) => run(statement),
            None => run(slot.insert(self.connection.prepare(self.texts.of(query))?)),
        }
    }
}

/// A reader's statements, kept in the connection.
pub(crate) struct Cached<'a> {
    pub connection: &'a Connection,
    pub texts: &'a Texts,
}

impl Prepared for Cached<'_> {
    fn with<T>(&mut self, query: Query, run: impl FnOnce(&mut Statement<'_>) -> Result<T>) -> Result<T> {
        run(&mut *self.connection.prepare_cached(self.texts.of(query))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::migrate;

    fn applies(op: Op, shape: Shape) -> bool {
        match op {
            Op::Find | Op::Exists | Op::Put | Op::Update | Op::Delete | Op::Inventory => true,
            Op::FindAlias => shape.alias,
            Op::Page => shape.owner,
            Op::Due | Op::Lease | Op::Release | Op::Settle => shape.queue,
            Op::Sweep => shape.expires,
        }
    }

    #[test]
    fn no_statement_reads_a_whole_table_or_sorts() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let texts = Texts::new();
        let of_kind =
            |kind: &Kind| OPS.map(|op| (*kind, op)).into_iter().filter(|(kind, op)| applies(*op, kind.shape()));
        let of_kinds = Kind::ALL.iter().flat_map(of_kind).map(|(kind, op)| Query::Of(kind, op));
        let of_counts =
            [Query::Count, Query::AddTo, Query::SweepCounters, Query::ForgetCounters, Query::Counts, Query::CountRange];
        for query in of_kinds.chain(of_counts) {
            let text = texts.of(query);
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let plan: Vec<String> = explain.raw_query().mapped(|row| row.get(3)).map(Result::unwrap).collect();
            assert!(!plan.iter().any(|step| step.contains("SCAN") || step.contains("TEMP B-TREE")), "{text}: {plan:?}");
        }
    }
}
