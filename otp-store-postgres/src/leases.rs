//! Queues and sweeping.

use std::collections::HashMap;
use std::sync::Arc;

use otp_core::store::{Key, Kind, Lease, LeaseId, Record, Settled};
use otp_core::{TenantId, Timestamp};

use crate::error::Broken;
use crate::rows::{self, Bytes, clamp};
use crate::session::{Session, Step};
use crate::statements::{Op, Query};
use crate::writes::Writes;

/// A row that cannot be read is leased like the others: it must not keep what stands behind it from being claimed.
pub(crate) async fn claim(
    session: &mut Session,
    queue: Kind,
    lease: Lease,
    limit: usize,
) -> Result<Vec<Record>, Broken> {
    let params = vec![
        Box::new(lease.now.as_millis()) as _,
        Box::new(clamp(limit as u64)) as _,
        Box::new(lease.until.as_millis()) as _,
        Box::new(Bytes((&lease.id).into())) as _,
    ];
    let rows = session.write_alone(vec![Step::Call(Query::Of(queue, Op::Claim), params)]).await?.concat();
    let (mut claimed, mut unreadable) = (Vec::new(), None);
    for row in &rows {
        match rows::record(queue, row)? {
            Ok(record) => claimed.push((rows::last::<i64>(row)?, record)),
            Err(corrupt) => unreadable = Some(corrupt),
        }
    }
    match unreadable {
        Some(corrupt) if claimed.is_empty() => return Err(corrupt.into()),
        _ => claimed.sort_by_key(|(due_at, _)| *due_at),
    }
    Ok(claimed.into_iter().map(|(_, record)| record).collect())
}

/// Locks the records first, so that what their leases are stays true until the commit.
pub(crate) async fn settle(session: &mut Session, settled: Arc<[Settled]>) -> Result<usize, Broken> {
    let mut leases = leases(session, &settled).await?;
    let mut writes = Writes::default();
    let mut written = 0;
    for Settled { record, lease, also } in settled.iter() {
        let held = leases.get_mut(&record.key()).filter(|held| **held == Some(*lease));
        let Some(held) = held else { continue };
        *held = record.due().lease;
        writes.put(record.clone());
        writes.apply(also.clone());
        written += 1;
    }
    let outcome = session.commit(writes.steps()).await;
    if written > 0 {
        outcome?;
    }
    Ok(written)
}

async fn leases(session: &mut Session, settled: &[Settled]) -> Result<HashMap<Key, Option<LeaseId>>, Broken> {
    let mut keys: Vec<Key> =
        settled.iter().map(|settled| settled.record.key()).filter(|key| key.kind.shape().queue).collect();
    keys.sort_unstable();
    keys.dedup();
    let of_kinds: Vec<&[Key]> = keys.chunk_by(|one, other| one.kind == other.kind).collect();
    let mut steps = vec![Step::Begin];
    steps.extend(of_kinds.iter().map(|keys| Step::Call(Query::Of(keys[0].kind, Op::Leases), rows::keys(keys))));
    let answers = session.look(steps).await?;
    let mut leases = HashMap::new();
    for (keys, rows) in of_kinds.iter().zip(&answers[1..]) {
        for row in rows {
            leases.insert(rows::key(keys[0].kind, row)?, rows::lease(row, 2)?);
        }
    }
    Ok(leases)
}

pub(crate) async fn sweep(session: &mut Session, now: Timestamp, limit: usize) -> Result<usize, Broken> {
    let mut removed = 0;
    let of_kinds = Kind::ALL.iter().filter(|kind| kind.shape().expires).map(|kind| Query::Of(*kind, Op::Sweep));
    for query in of_kinds.chain([Query::SweepCounters]) {
        if removed == limit {
            break;
        }
        let room = clamp((limit - removed) as u64);
        let params = vec![Box::new(now.as_millis()) as _, Box::new(room) as _];
        removed += session.write_alone(vec![Step::Call(query, params)]).await?.concat().len();
    }
    Ok(removed)
}

pub(crate) async fn forget_counts(session: &mut Session, tenant: TenantId, limit: usize) -> Result<usize, Broken> {
    let params = vec![Box::new(tenant.as_bytes().to_vec()) as _, Box::new(clamp(limit as u64)) as _];
    Ok(session.write_alone(vec![Step::Call(Query::ForgetCounters, params)]).await?.concat().len())
}
