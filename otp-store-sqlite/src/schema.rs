//! Which tables there are, and how a file gets to the newest schema.

use rusqlite::{Connection, TransactionBehavior};

use crate::OpenError;

/// The steps from an empty file to the newest schema. A step that was released never changes; a new one is added.
const MIGRATIONS: &[&str] = &[include_str!("1.sql"), include_str!("2.sql")];

/// Marks a file as ours in its header: "OTPa".
const APPLICATION_ID: i32 = 0x4f54_5061;

/// The schema version of a file that this program may use; zero if it is empty.
pub(crate) fn version(connection: &Connection) -> Result<i64, OpenError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let known = MIGRATIONS.len() as i64;
    if number("application_id")? == i64::from(APPLICATION_ID) {
        let found = number("user_version")?;
        return if found > known { Err(OpenError::NewerSchema { found, known }) } else { Ok(found) };
    }
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 { Err(OpenError::Foreign) } else { Ok(0) }
}

/// Brings a file to the newest schema, in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    if version(connection)? == MIGRATIONS.len() as i64 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = version(&transaction)?;
    for migration in &MIGRATIONS[usize::try_from(found).unwrap_or_default()..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use otp_core::store::Kind;

    use super::*;

    #[test]
    fn every_kind_has_the_columns_its_shape_tells() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        for kind in Kind::ALL {
            let shape = kind.shape();
            let has = |column: &str| {
                let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2";
                connection.query_row(sql, [kind.name(), column], |row| row.get::<_, i64>(0)).unwrap() == 1
            };
            assert!(has("tenant") && has("id") && has("body"), "{kind:?}");
            assert_eq!([has("owner"), has("alias")], [shape.owner, shape.alias], "{kind:?}");
            assert_eq!([has("due_at"), has("lease")], [shape.queue; 2], "{kind:?}");
            assert_eq!(has("expires_at"), shape.expires, "{kind:?}");
        }
    }
}
