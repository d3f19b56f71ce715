//! The SQL, written out once for every kind, and prepared when first used.

use std::thread;

use otp_core::store::{Kind, Shape};
use rusqlite::{Connection, PrepFlags, Result, Statement};

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
    Leave,
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
    Op::Leave,
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
/// the expiry, `?9` the lease that it has; in the others what their text says. A kind that has no use for a statement never prepares it.
fn text(kind: Kind, op: Op) -> String {
    let table = kind.name();
    let shape = kind.shape();
    let (row, from) = match shape.queue {
        true if waits_apart(kind) => (
            "body, place.due_at, place.lease",
            format!("{table} LEFT JOIN {table}_waits AS place ON place.{table} = {table}.rowid"),
        ),
        true => ("body, due_at, lease", table.to_owned()),
        false => ("body", table.to_owned()),
    };
    match op {
        Op::Find => format!("SELECT {row} FROM {from} WHERE id = ?1 AND tenant = ?2"),
        Op::FindAlias => format!("SELECT {row} FROM {from} WHERE alias = ?1"),
        Op::Page => {
            format!("SELECT {row} FROM {from} WHERE owner = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")
        }
        Op::Exists => format!("SELECT 1 FROM {table} WHERE id = ?1 AND tenant = ?2"),
        Op::Put => put(table, shape),
        Op::Update => update(table, shape),
        Op::Delete => format!("DELETE FROM {table} WHERE id = ?1 AND tenant = ?2"),
        Op::Due if waits_apart(kind) => format!(
            "SELECT {row} FROM {table}_waits AS place CROSS JOIN {table} ON {table}.rowid = place.{table} \
             WHERE place.due_at <= ?1 ORDER BY place.due_at LIMIT ?2"
        ),
        Op::Due => format!("SELECT {row} FROM {table} WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2"),
        Op::Lease => {
            let places = if waits_apart(kind) { format!("{table}_waits") } else { table.to_owned() };
            format!(
                "UPDATE {places} SET due_at = ?6, lease = ?7 WHERE rowid IN \
                 (SELECT rowid FROM {places} WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2)"
            )
        }
        Op::Leave => format!(
            "DELETE FROM {table}_waits \
             WHERE {table} = (SELECT rowid FROM {table} WHERE id = ?1 AND tenant = ?2) AND lease = ?9"
        ),
        Op::Settle if waits_apart(kind) => format!(
            "{} AND EXISTS (SELECT 1 FROM {table}_waits AS place WHERE place.{table} = {table}.rowid AND place.lease = ?9)",
            update(table, shape)
        ),
        Op::Settle => format!("{} AND lease = ?9", update(table, shape)),
        Op::Sweep => format!(
            "DELETE FROM {table} WHERE rowid IN \
             (SELECT rowid FROM {table} WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)"
        ),
        Op::Inventory => {
            format!("SELECT {row} FROM {from} WHERE (id, tenant) > (?1, ?2) ORDER BY id, tenant LIMIT ?3")
        }
    }
}

/// Whether what waits of a kind stands in a tree of its own, kept by triggers. Of use where records leave the queue as they
/// came: their rows are not written anew.
pub(crate) fn waits_apart(kind: Kind) -> bool {
    kind == Kind::Event
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

/// What a thread does in one go. One that runs for milliseconds keeps whoever waits for the same processor from it, even while
/// another one idles: those who send, and those who wait for an answer.
#[derive(Default)]
pub(crate) struct Stretch(usize);

impl Stretch {
    /// Statements or rows.
    const STEPS: usize = 32;

    /// Lets others go first after so many.
    pub fn step(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(Self::STEPS) {
            thread::yield_now();
        }
    }
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
    stretch: Stretch,
}

impl<'a> Statements<'a> {
    pub fn new(connection: &'a Connection, texts: &'a Texts) -> Self {
        let prepared = (0..texts.len()).map(|_| None).collect();
        Self { connection, texts, prepared, stretch: Stretch::default() }
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
        self.stretch.step();
        let slot = &mut self.prepared[query.index()];
        match slot {
            Some(statement) => run(statement),
            // What is kept for long takes no room that statements need while they run.
            None => {
                let (text, flags) = (self.texts.of(query), PrepFlags::SQLITE_PREPARE_PERSISTENT);
                run(slot.insert(self.connection.prepare_with_flags(text, flags)?))
            }
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

    fn applies(op: Op, kind: Kind) -> bool {
        let shape = kind.shape();
        match op {
            Op::Find | Op::Exists | Op::Put | Op::Update | Op::Delete | Op::Inventory => true,
            Op::FindAlias => shape.alias,
            Op::Page => shape.owner,
            Op::Due | Op::Lease | Op::Settle => shape.queue,
            Op::Leave => waits_apart(kind),
            Op::Sweep => shape.expires,
        }
    }

    #[test]
    fn no_statement_reads_a_whole_table_or_sorts() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        let texts = Texts::new();
        let of_kind = |kind: &Kind| OPS.map(|op| (*kind, op)).into_iter().filter(|(kind, op)| applies(*op, *kind));
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
