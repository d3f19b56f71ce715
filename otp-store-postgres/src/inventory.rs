//! Pages of all that is stored.

use otp_core::TenantId;
use otp_core::store::{Item, Key, Kind, Place};
use otp_core::usage::CounterKey;

use crate::error::Broken;
use crate::load::{count, counter_keys_of};
use crate::rows::{self, Bytes, clamp};
use crate::session::{Param, Session, Step};
use crate::statements::{Op, Query};

/// The records kind by kind in the order of tenant and id, then the counts in that of tenant and key.
pub(crate) async fn inventory(session: &mut Session, after: Option<Place>, limit: usize) -> Result<Vec<Item>, Broken> {
    let (key, counter) = match after {
        Some(Place::Count(counter)) => return counts(session, Some(counter), limit).await,
        Some(Place::Record(key)) => (Some(key), None),
        None => (None, None),
    };
    let mut found = Vec::new();
    let from = key.map_or(Kind::ALL[0], |key| key.kind);
    for kind in Kind::ALL.iter().filter(|kind| **kind >= from) {
        if found.len() == limit {
            return Ok(found);
        }
        let after = key.filter(|key| key.kind == *kind);
        found.extend(records(session, *kind, after, limit - found.len()).await?);
    }
    found.extend(counts(session, counter, limit - found.len()).await?);
    Ok(found)
}

async fn records(session: &mut Session, kind: Kind, after: Option<Key>, limit: usize) -> Result<Vec<Item>, Broken> {
    let tenant = after.map_or(TenantId::from_bytes([0; 16]), |key| key.tenant);
    let id = after.map_or(otp_core::store::SmallBytes::EMPTY, |key| key.id);
    let params: Vec<Param> = vec![Box::new(rows::tenant(tenant)), Box::new(Bytes(id)), Box::new(clamp(limit as u64))];
    let rows = session.look(vec![Step::Call(Query::Of(kind, Op::Inventory), params)]).await?.concat();
    rows.iter().map(|row| Ok(Item::Record(rows::record(kind, row)??.into()))).collect()
}

/// A count that this program does not know is left out.
async fn counts(session: &mut Session, after: Option<CounterKey>, limit: usize) -> Result<Vec<Item>, Broken> {
    let nothing = || (rows::tenant(TenantId::from_bytes([0; 16])), Vec::new());
    let (tenant, key) = after.map_or_else(nothing, |counter| counter_keys_of(&counter));
    let params: Vec<Param> = vec![Box::new(tenant), Box::new(key), Box::new(clamp(limit as u64))];
    let mut found = Vec::new();
    for row in session.look(vec![Step::Call(Query::Inventory, params)]).await?.concat() {
        let (key, value) = count(&row)?;
        found.extend(CounterKey::from_bytes(&key).map(|key| Item::Count(key, value)));
    }
    Ok(found)
}
