//! The audit trail: read by its tenant, checked by whoever runs the installation.

use std::net::IpAddr;

use serde_json::Value;

use super::caller::SealedClient;
use super::{Caller, Page, Service, parse_cursor};
use crate::audit::{Action, Actor, Audit, AuditReport, Verifier};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{AuditId, TenantId};
use crate::secret::TenantKeys;
use crate::store::{FromRecord, Item, Kind, Place, Read, Record, SmallBytes};

/// Lines that are read at a time.
const BATCH: usize = 1_000;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug)]
pub struct AuditQuery {
    /// From when on.
    pub from: Timestamp,
    /// Until when, exclusively.
    pub until: Timestamp,
    /// Of what only.
    pub action: Option<Action>,
}

/// A line of the trail.
#[derive(Clone, Debug)]
pub struct AuditView {
    /// Identifier, sorted by time.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// By whom.
    pub actor: Actor,
    /// To what.
    pub target: String,
    /// The call it was done by, as `PUT /admin/config`.
    pub operation: Option<String>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// With what program.
    pub user_agent: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// What else there is to say: of a configuration what changed.
    pub data: Value,
}

impl Service {
    /// Lines of the caller's tenant, newest first, and how many there are in all pages together.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that was not given out, [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn audit_log(
        &self,
        caller: &Caller,
        query: AuditQuery,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Page<AuditView>, usize), Error> {
        caller.may_manage()?;
        let after: Option<AuditId> = parse_cursor(cursor)?;
        let (mut total, mut items, mut place) = (0, Vec::new(), Some(end_of(query.until)));
        while let Some(before) = place {
            let lines = self.audit_lines(caller.space.tenant, before).await?;
            place =
                lines.last().filter(|last| lines.len() == BATCH && last.at >= query.from).map(|last| id_of(last.id));
            for line in lines.iter().filter(|line| query.admits(line)) {
                total += 1;
                if items.len() <= limit && after.is_none_or(|after| line.id < after) {
                    items.push(view(&caller.context.keys, line)?);
                }
            }
        }
        let next = (items.len() > limit).then(|| items[limit - 1].id.to_string());
        items.truncate(limit);
        Ok((Page { items, next }, total))
    }

    async fn audit_lines(&self, tenant: TenantId, before: SmallBytes) -> Result<Vec<Audit>, Error> {
        let owner = tenant.as_bytes().into();
        let wanted = Read::Owned { kind: Kind::Audit, owner, before: Some(before), limit: BATCH };
        let seen = self.inner.store.read(vec![wanted]).await?;
        Ok(seen.records.into_iter().filter_map(Audit::take).collect())
    }

    /// Looks at every line of every tenant, and whether each stands where it was put. Reads the whole store once, and may run
    /// beside a server.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn verify_audit(&self) -> Result<AuditReport, Error> {
        let mut verifier = Verifier::new(self.now());
        let mut place: Option<Place> = None;
        loop {
            let items = self.inner.store.inventory(place, BATCH).await?;
            for item in &items {
                let Item::Record(record) = item else { continue };
                match &**record {
                    Record::Audit(line) => verifier.line(line, &self.tenant_keys(line.tenant)),
                    Record::AuditHead(head) => verifier.head(head),
                    _ => {}
                }
            }
            if items.len() < BATCH {
                return Ok(verifier.report());
            }
            place = items.last().map(Item::place);
        }
    }
}

impl AuditQuery {
    fn admits(&self, line: &Audit) -> bool {
        (self.from..self.until).contains(&line.at) && self.action.is_none_or(|action| action == line.action)
    }
}

fn id_of(id: AuditId) -> SmallBytes {
    id.as_bytes().into()
}

/// Behind every identifier that was made before a time.
fn end_of(until: Timestamp) -> SmallBytes {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&until.as_millis().max(0).to_be_bytes()[2..]);
    (&bytes).into()
}

fn view(keys: &TenantKeys, line: &Audit) -> Result<AuditView, Error> {
    let SealedClient { ip, user_agent } = SealedClient::open_of_audit(keys, line.client.as_ref())?;
    Ok(AuditView {
        id: line.id,
        at: line.at,
        action: line.action,
        actor: line.actor,
        target: line.target.clone(),
        operation: line.operation.clone(),
        ip,
        user_agent,
        request_id: line.request_id.clone(),
        data: line.data.clone(),
    })
}
