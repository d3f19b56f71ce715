//! The SQL, written out once for every kind. Each statement takes arrays, so that a batch of commands costs as many
//! statements as one command; connections prepare each when they first use it.

use otp_core::store::{Kind, Scope, Shape};

/// What is done with one kind's table.
#[derive(Clone, Copy)]
pub(crate) enum Op {
    /// By tenants and ids.
    Find,
    /// By aliases; the alias is the last column.
    FindAlias,
    /// By owners, ids to stay below, and limits; the number of the list, from one, is the last column.
    Page,
    /// Columns as [`columns`] lists them; fails if one exists.
    Create,
    /// The same columns, whether or not they exist.
    Put,
    /// By tenants and ids.
    Delete,
    /// By now, limit, new due time and lease; the old due time is the last column.
    Claim,
    /// Locks by tenants and ids, and tells the leases.
    Leases,
    /// By now and limit.
    Sweep,
    /// Those behind a tenant and id, in this order, so many.
    Inventory,
}

const OPS: [Op; 10] = [
    Op::Find,
    Op::FindAlias,
    Op::Page,
    Op::Create,
    Op::Put,
    Op::Delete,
    Op::Claim,
    Op::Leases,
    Op::Sweep,
    Op::Inventory,
];

/// One statement.
#[derive(Clone, Copy)]
pub(crate) enum Query {
    Lock,
    Counts,
    AddTo,
    Guard,
    SweepCounters,
    ForgetCounters,
    Noted,
    Note,
    Inventory,
    CountRanges,
    Of(Kind, Op),
}

const SINGLE: [&str; 10] = [
    "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k",
    "SELECT c.tenant, c.key, c.value FROM unnest($1::bytea[], $2::bytea[]) AS k (tenant, key) \
     JOIN counter c ON c.tenant = k.tenant AND c.key = k.key",
    "INSERT INTO counter AS c (tenant, key, value, expires_at) \
     SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[]) \
     ON CONFLICT (tenant, key) DO UPDATE SET value = c.value + excluded.value",
    // The commit is on its way already: a count that is too high has to fail the statement.
    "SELECT 1 / (count(*) = 0)::int FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS k (tenant, key, most) \
     JOIN counter c ON c.tenant = k.tenant AND c.key = k.key WHERE c.value > k.most",
    "WITH stale AS MATERIALIZED (SELECT tenant, key FROM counter WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 \
     FOR UPDATE SKIP LOCKED) \
     DELETE FROM counter c USING stale WHERE c.tenant = stale.tenant AND c.key = stale.key RETURNING 1",
    "WITH k AS MATERIALIZED (SELECT tenant, key FROM counter WHERE tenant = $1 ORDER BY key LIMIT $2 FOR UPDATE) \
     DELETE FROM counter c USING k WHERE c.tenant = k.tenant AND c.key = k.key RETURNING 1",
    "SELECT value FROM meta WHERE name = $1",
    "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    "SELECT tenant, key, value FROM counter WHERE (tenant, key) > ($1, $2) ORDER BY tenant, key LIMIT $3",
    "SELECT c.tenant, c.key, c.value FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS r (tenant, first, past) \
     JOIN counter c ON c.tenant = r.tenant AND c.key >= r.first AND c.key < r.past",
];

impl Query {
    fn index(self) -> usize {
        match self {
            Query::Lock => 0,
            Query::Counts => 1,
            Query::AddTo => 2,
            Query::Guard => 3,
            Query::SweepCounters => 4,
            Query::ForgetCounters => 5,
            Query::Noted => 6,
            Query::Note => 7,
            Query::Inventory => 8,
            Query::CountRanges => 9,
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
}

/// The columns of [`Op::Create`] and [`Op::Put`] with their types, in order.
pub(crate) fn columns(shape: Shape) -> Vec<(&'static str, &'static str)> {
    let optional = [
        (shape.owner, "owner", "bytea"),
        (shape.alias, "alias", "bytea"),
        (shape.queue, "due_at", "bigint"),
        (shape.queue, "lease", "bytea"),
        (shape.expires, "expires_at", "bigint"),
    ];
    let mut columns = vec![("tenant", "bytea"), ("id", "bytea"), ("body", "text")];
    columns.extend(optional.into_iter().filter(|(has, ..)| *has).map(|(_, name, of)| (name, of)));
    columns
}

/// A kind that has no use for a statement never prepares it.
fn text(kind: Kind, op: Op) -> String {
    // One of the names is a word of SQL.
    let table = format!("\"{}\"", kind.name());
    let shape = kind.shape();
    let row = if shape.queue { "t.tenant, t.id, t.body, t.due_at, t.lease" } else { "t.tenant, t.id, t.body" };
    let by_key = "unnest($1::bytea[], $2::bytea[]) AS k (tenant, id)";
    let same_key = "t.tenant = k.tenant AND t.id = k.id";
    match op {
        Op::Find => format!("SELECT {row} FROM {by_key} JOIN {table} t ON {same_key}"),
        Op::FindAlias => format!("SELECT {row}, t.alias FROM {table} t WHERE t.alias = ANY ($1)"),
        Op::Page => format!(
            "SELECT {row}, k.number FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) \
             WITH ORDINALITY AS k (owner, before, most, number) CROSS JOIN LATERAL \
             (SELECT * FROM {table} WHERE owner = k.owner AND id < k.before ORDER BY id DESC LIMIT k.most) t"
        ),
        Op::Create => insert(&table, shape),
        Op::Put => put(&table, shape),
        Op::Delete => format!("DELETE FROM {table} t USING {by_key} WHERE {same_key}"),
        Op::Claim => format!(
            "WITH k AS MATERIALIZED (SELECT tenant, id, due_at FROM {table} WHERE due_at <= $1 \
             ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
             UPDATE {table} t SET due_at = $3, lease = $4 FROM k WHERE {same_key} RETURNING {row}, k.due_at"
        ),
        Op::Leases => {
            format!("SELECT t.tenant, t.id, t.lease FROM {by_key} JOIN {table} t ON {same_key} FOR UPDATE OF t")
        }
        Op::Sweep => format!(
            "WITH k AS MATERIALIZED (SELECT tenant, id FROM {table} WHERE expires_at < $1 \
             ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
             DELETE FROM {table} t USING k WHERE {same_key} RETURNING 1"
        ),
        Op::Inventory => {
            format!("SELECT {row} FROM {table} t WHERE (t.tenant, t.id) > ($1, $2) ORDER BY t.tenant, t.id LIMIT $3")
        }
    }
}

fn insert(table: &str, shape: Shape) -> String {
    let columns = columns(shape);
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let arrays: Vec<String> =
        columns.iter().enumerate().map(|(index, (_, of))| format!("${}::{of}[]", index + 1)).collect();
    format!("INSERT INTO {table} ({}) SELECT * FROM unnest({})", names.join(", "), arrays.join(", "))
}

fn put(table: &str, shape: Shape) -> String {
    let of_key = ["tenant", "id"];
    let columns = columns(shape);
    let sets =
        columns.iter().filter(|(name, _)| !of_key.contains(name)).map(|(name, _)| format!("{name} = excluded.{name}"));
    let sets: Vec<String> = sets.collect();
    format!("{} ON CONFLICT (tenant, id) DO UPDATE SET {}", insert(table, shape), sets.join(", "))
}

/// What stands for a scope among the database's advisory locks. The schema is in it, so that installations which share a
/// database do not wait for each other.
pub(crate) fn scope_key(schema: &str, scope: &Scope) -> i64 {
    match scope {
        Scope::Tenant(tenant) => lock_key(schema, tenant.as_bytes()),
        Scope::Subject(tenant, bucket) => lock_key(schema, &[&tenant.as_bytes()[..], bucket.as_bytes()].concat()),
    }
}

/// FNV-1a. Two scopes of one key would only wait for each other; whoever chooses addresses cannot choose their buckets.
pub(crate) fn lock_key(schema: &str, name: &[u8]) -> i64 {
    let bytes = schema.bytes().chain([0]).chain(name.iter().copied());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

    use super::*;
    use crate::address::Address;
    use crate::pool::settings;
    use crate::{Options, schema, test_server};

    /// A connection as the store makes them, to tables of its own.
    async fn connect(name: &str) -> Client {
        let options = Options { schema: format!("{name}_{}", std::process::id()), ..Options::default() };
        schema::prepare(&Address::parse(test_server::url()).unwrap(), &options).await.unwrap();
        let (client, connection) = tokio_postgres::connect(test_server::url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&settings(&options)).await.unwrap();
        client
    }

    fn applies(op: Op, shape: Shape) -> bool {
        match op {
            Op::Find | Op::Create | Op::Put | Op::Delete | Op::Inventory => true,
            Op::FindAlias => shape.alias,
            Op::Page => shape.owner,
            Op::Claim | Op::Leases => shape.queue,
            Op::Sweep => shape.expires,
        }
    }

    fn queries() -> impl Iterator<Item = Query> {
        let of_kind =
            |kind: &Kind| OPS.map(|op| (*kind, op)).into_iter().filter(|(kind, op)| applies(*op, kind.shape()));
        let of_kinds = Kind::ALL.iter().flat_map(of_kind).map(|(kind, op)| Query::Of(kind, op));
        let single = [Query::Counts, Query::AddTo, Query::Guard, Query::SweepCounters, Query::Noted, Query::Note];
        of_kinds.chain(single).chain([Query::Inventory, Query::CountRanges])
    }

    async fn plan(client: &Client, text: &str) -> String {
        client.batch_execute(&format!("DEALLOCATE ALL; PREPARE it AS {text}")).await.unwrap();
        let params = (1..).take_while(|number| text.contains(&format!("${number}"))).map(|_| "NULL");
        let explain = format!("EXPLAIN EXECUTE it ({})", params.collect::<Vec<_>>().join(", "));
        let rows = client.simple_query(&explain).await.unwrap();
        let line = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0)?.to_owned()),
            _ => None,
        };
        rows.iter().filter_map(line).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run cargo xtask test"]
    async fn no_statement_reads_a_whole_table_or_sorts() {
        let client = connect("plans").await;
        let texts = Texts::new();
        for query in queries() {
            let text = texts.of(query);
            let plan = plan(&client, text).await;
            assert!(plan.contains("cost="), "{text}: {plan}");
            assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{text}:\n{plan}");
        }
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: run cargo xtask test"]
    async fn every_kind_has_the_columns_its_shape_tells() {
        let client = connect("columns").await;
        let sql = "SELECT column_name::text, data_type::text FROM information_schema.columns \
                   WHERE table_schema = current_schema() AND table_name = $1";
        for kind in Kind::ALL {
            let rows = client.query(sql, &[&kind.name()]).await.unwrap();
            let mut found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let mut expected: Vec<(String, String)> =
                columns(kind.shape()).into_iter().map(|(name, of)| (name.to_owned(), of.to_owned())).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{kind:?}");
        }
    }
}
