//! Sender domains: added, looked up, deleted.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Trail;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::domain::{Domain, DomainName, DomainState, DomainStatus, Finding, Lookup};
use crate::error::{Error, Limited};
use crate::id::TenantId;
use crate::limit::{Allowance, LimitOf};
use crate::store::{Changes, Command, Due, Key, LeaseId, Read, Reads, Scope, Snapshot};
use crate::tenant::{Tenant, TenantStatus};

/// Domains of one tenant that are looked at; adding more is refused.
pub(crate) const DOMAINS: usize = 100;
/// How long a tenant waits between two look-ups of one domain.
const PAUSE: Duration = Duration::from_secs(10);

fn tenant_row(tenant: TenantId) -> Read {
    Read::Record(Key::new::<Tenant>(tenant, tenant.as_bytes()))
}

/// A domain as it stands, and whether that is because of the command.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Added {
    pub domain: Domain,
    pub is_new: bool,
}

/// Adds a domain; one that is there already stays as it is, unless it has expired.
pub(crate) struct AddDomain {
    pub domain: Domain,
    pub trail: Trail,
}

impl Command for AddDomain {
    type Outcome = Result<Added, Error>;

    fn reads(&self) -> Reads {
        let tenant = self.domain.tenant;
        let own = Read::Record(Domain::key_of(tenant, &self.domain.name));
        let wanted = vec![tenant_row(tenant), own, Read::owned::<Domain>(tenant.as_bytes().into(), DOMAINS)];
        Reads { scope: Scope::Tenant(tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if seen.one::<Tenant>().is_none() {
            return (Err(Error::NotFound("customer")), Changes::none());
        }
        let mut changes = Changes::none();
        match seen.all::<Domain>().find(|domain| domain.name == self.domain.name) {
            Some(known) if known.status(self.trail.at) != DomainStatus::Expired => {
                return (Ok(Added { domain: known.clone(), is_new: false }), changes);
            }
            Some(_) => changes.put(self.domain.clone()),
            None if seen.all::<Domain>().count() >= DOMAINS => {
                let why = "there are too many domains; delete one, those that have expired count";
                return (Err(Error::Conflict(why)), changes);
            }
            None => changes.create(self.domain.clone()),
        }
        changes.put(self.trail.line(self.domain.tenant, Action::DomainAdded, &self.domain.name, json!({})));
        (Ok(Added { domain: self.domain.clone(), is_new: true }), changes)
    }
}

/// Takes a domain out of the queue to look it up at once, also from a worker that is about to.
pub(crate) struct BeginCheck {
    pub tenant: TenantId,
    pub name: DomainName,
    pub lease: LeaseId,
    pub now: Timestamp,
    pub until: Timestamp,
}

impl Command for BeginCheck {
    type Outcome = Result<Domain, Error>;

    fn reads(&self) -> Reads {
        let wanted = vec![Read::Record(Domain::key_of(self.tenant, &self.name))];
        Reads { scope: Scope::Tenant(self.tenant), wanted }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(domain) = seen.one::<Domain>() else { return (Err(Error::NotFound("domain")), Changes::none()) };
        if domain.status(self.now) == DomainStatus::Expired {
            return (Err(Error::Conflict("the domain has expired; add it again")), Changes::none());
        }
        if let Some(reset_at) = domain.checked_at.map(|at| at + PAUSE).filter(|end| self.now < *end) {
            let allowance = Allowance { limit: 1, remaining: 0, reset_at };
            let limited = Limited { allowance, retry_after: reset_at.secs_after(self.now), of: LimitOf::Customer };
            return (Err(Error::RateLimited(limited)), Changes::none());
        }
        let due = Due { at: Some(self.until), lease: Some(self.lease) };
        let domain = Domain { checked_at: Some(self.now), due, ..domain.clone() };
        let mut changes = Changes::none();
        changes.put(domain.clone());
        (Ok(domain), changes)
    }
}

/// A domain after a look-up.
pub(crate) struct Checked {
    pub domain: Domain,
    /// Whether it is of another state than before.
    pub is_changed: bool,
}

/// Writes down what a look-up came to, unless another one has taken its place.
pub(crate) struct NoteCheck {
    pub tenant: TenantId,
    pub name: DomainName,
    pub lease: LeaseId,
    pub lookup: Lookup,
    pub trail: Trail,
}

impl Command for NoteCheck {
    type Outcome = Result<Checked, Error>;

    fn reads(&self) -> Reads {
        let wanted = vec![tenant_row(self.tenant), Read::Record(Domain::key_of(self.tenant, &self.name))];
        Reads { scope: Scope::Tenant(self.tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(before) = seen.one::<Domain>() else { return (Err(Error::NotFound("domain")), Changes::none()) };
        if before.due.lease != Some(self.lease) {
            return (Ok(Checked { domain: before.clone(), is_changed: false }), Changes::none());
        }
        // The record that is there now may have another value than when the look-up began.
        let mut domain = before.after(Finding::of(&self.lookup, &before.value), self.trail.at);
        let is_over = seen.one::<Tenant>().is_none_or(|tenant| tenant.status == TenantStatus::Cancelled);
        if is_over {
            domain.due = Due::default();
        }
        let is_changed = domain.state != before.state;
        let mut changes = if is_changed { Changes::of_configuration() } else { Changes::none() };
        if is_changed {
            changes.put(self.line(&domain));
        }
        changes.put(domain.clone());
        (Ok(Checked { domain, is_changed }), changes)
    }
}

impl NoteCheck {
    fn line(&self, domain: &Domain) -> crate::audit::Audit {
        let (action, data) = match domain.state {
            DomainState::Lost { .. } => (Action::DomainLost, json!({"expiresAt": domain.ends_at()})),
            _ => (Action::DomainVerified, json!({})),
        };
        self.trail.line(self.tenant, action, &domain.name, data)
    }
}

/// Deletes a domain. Its value proves nothing any more.
pub(crate) struct DeleteDomain {
    pub tenant: TenantId,
    pub name: DomainName,
    pub trail: Trail,
}

impl Command for DeleteDomain {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let wanted = vec![Read::Record(Domain::key_of(self.tenant, &self.name))];
        Reads { scope: Scope::Tenant(self.tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if seen.one::<Domain>().is_none() {
            return (Err(Error::NotFound("domain")), Changes::none());
        }
        let mut changes = Changes::of_configuration();
        changes.deletes.push(Domain::key_of(self.tenant, &self.name));
        changes.put(self.trail.line(self.tenant, Action::DomainDeleted, &self.name, json!({})));
        (Ok(()), changes)
    }
}
