//! Records to columns, and rows to records.

use otp_core::store::{CorruptRecord, Due, Key, Kind, LeaseId, Record, SmallBytes};
use otp_core::{TenantId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::error::Broken;
use crate::session::Param;

/// PostgreSQL's integers are signed; nothing of ours comes near the end of them.
pub(crate) fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A short value as a parameter.
#[derive(Debug)]
pub(crate) struct Bytes(pub SmallBytes);

impl ToSql for Bytes {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_slice());
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::BYTEA
    }

    to_sql_checked!();
}

/// An array of one value of each.
pub(crate) fn array<S, T: ToSql + Send + Sync + 'static>(of: &[S], value: impl Fn(&S) -> T) -> Param {
    Box::new(of.iter().map(value).collect::<Vec<T>>())
}

/// Tenants and ids.
pub(crate) fn keys(keys: &[Key]) -> Vec<Param> {
    vec![array(keys, |key| tenant(key.tenant)), array(keys, |key| Bytes(key.id))]
}

pub(crate) fn tenant(tenant: TenantId) -> Bytes {
    Bytes(tenant.as_bytes().into())
}

/// The columns of records of one kind, as [`columns`](crate::statements::columns) lists them.
pub(crate) fn columns(kind: Kind, records: &[&Record]) -> Vec<Param> {
    let shape = kind.shape();
    let mut columns = vec![
        array(records, |record| tenant(record.key().tenant)),
        array(records, |record| Bytes(record.key().id)),
        array(records, |record| record.body()),
    ];
    if shape.owner {
        columns.push(array(records, |record| record.owner().map(Bytes)));
    }
    if shape.alias {
        columns.push(array(records, |record| record.alias().map(Bytes)));
    }
    if shape.queue {
        columns.push(array(records, |record| record.due().at.map(Timestamp::as_millis)));
        columns.push(array(records, |record| record.due().lease.map(|lease| Bytes((&lease).into()))));
    }
    if shape.expires {
        columns.push(array(records, |record| record.expires_at().map(Timestamp::as_millis)));
    }
    columns
}

/// The key that a row begins with.
pub(crate) fn key(kind: Kind, row: &Row) -> Result<Key, Broken> {
    let tenant = TenantId::from_bytes(fixed(row.try_get(0).map_err(Broken::corrupt)?)?);
    let id = SmallBytes::try_from_slice(row.try_get(1).map_err(Broken::corrupt)?)?;
    Ok(Key { kind, tenant, id })
}

/// The record that a row begins with.
pub(crate) fn record(kind: Kind, row: &Row) -> Result<Result<Record, CorruptRecord>, Broken> {
    let body: &str = row.try_get(2).map_err(Broken::corrupt)?;
    let due = if kind.shape().queue { due(row)? } else { Due::default() };
    Ok(Record::from_body(kind, body, due))
}

fn due(row: &Row) -> Result<Due, Broken> {
    let at: Option<i64> = row.try_get(3).map_err(Broken::corrupt)?;
    Ok(Due { at: at.map(Timestamp::from_millis), lease: lease(row, 4)? })
}

pub(crate) fn lease(row: &Row, column: usize) -> Result<Option<LeaseId>, Broken> {
    let lease: Option<&[u8]> = row.try_get(column).map_err(Broken::corrupt)?;
    lease.map(fixed).transpose()
}

fn fixed(bytes: &[u8]) -> Result<[u8; 16], Broken> {
    bytes.try_into().map_err(Broken::corrupt)
}

/// The column behind those of the record.
pub(crate) fn last<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row) -> Result<T, Broken> {
    row.try_get(row.len() - 1).map_err(Broken::corrupt)
}
