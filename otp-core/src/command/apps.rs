//! Applications: tenants as the members who run them make and end them.

use serde_json::json;

use super::keys::{KEYS, key_event};
use super::{CreateTenant, NewSecrets, Trail};
use crate::api_key::{ApiKey, KeyState, KeyType};
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::EventData;
use crate::id::{EventId, TenantId};
use crate::member::{Membership, Seat};
use crate::notice::INSTALLATION;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot};
use crate::subject::BucketKey;
use crate::tenant::{Mode, Tenant};

/// Apps that a member may belong to when it makes another one.
const APPS: usize = 20;

/// A member makes a tenant, and is its owner.
pub(crate) struct CreateApp {
    pub created: CreateTenant,
    pub membership: Membership,
    /// The member's.
    pub bucket: BucketKey,
}

impl Command for CreateApp {
    type Outcome = Result<(Tenant, ApiKey, NewSecrets), Error>;

    fn reads(&self) -> Reads {
        let seats = Read::owned::<Seat>(self.membership.member.as_bytes().into(), APPS);
        Reads { scope: Scope::Subject(INSTALLATION.tenant, self.bucket), wanted: vec![seats] }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn recorded_in(&self) -> Scope {
        self.created.recorded_in()
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        if seen.all::<Seat>().count() >= APPS {
            return (
                Err(Error::Conflict("you have too many apps; leave one or let one be erased first")),
                Changes::none(),
            );
        }
        let (outcome, mut changes) = self.created.decide(seen);
        changes.create(self.membership.clone());
        changes.create(self.membership.seat());
        (outcome, changes)
    }
}

/// Revokes all live secret keys at once, and makes a new one.
pub(crate) struct ResetKeys {
    pub key: ApiKey,
    /// One for each key that there may be, and one for the new one.
    pub events: Vec<EventId>,
    pub trail: Trail,
}

impl Command for ResetKeys {
    /// The new key, and how many were revoked.
    type Outcome = Result<(ApiKey, usize), Error>;

    fn reads(&self) -> Reads {
        let tenant = self.key.tenant;
        let wanted = vec![
            Read::Record(Key::new::<Tenant>(tenant, tenant.as_bytes())),
            Read::owned::<ApiKey>(tenant.as_bytes().into(), KEYS),
        ];
        Reads { scope: Scope::Tenant(tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let at = self.trail.at;
        if seen.one::<Tenant>().is_none() {
            return (Err(Error::NotFound("app")), Changes::none());
        }
        if seen.all::<ApiKey>().count() >= KEYS {
            return (Err(Error::Conflict("there are too many keys; revoked ones count")), Changes::none());
        }
        let is_meant = |key: &&ApiKey| key.key_type == KeyType::Secret && key.mode == Mode::Live && key.is_usable(at);
        let mut changes = Changes::of_configuration();
        let (mut trail, mut events, mut revoked) = (self.trail.clone(), self.events.iter(), 0);
        for old in seen.all::<ApiKey>().filter(is_meant) {
            let Some(event) = events.next() else { break };
            let key = ApiKey { state: KeyState::Revoked { at }, ..old.clone() };
            let data = EventData::ApiKeyRevoked { key_id: key.id };
            changes.put(trail.line(key.tenant, Action::KeyRevoked, key.id, data.fields()));
            changes.put(key_event(*event, &key, at, data));
            changes.put(key);
            (trail, revoked) = (trail.next(), revoked + 1);
        }
        let key = self.key.clone();
        let data =
            EventData::ApiKeyCreated { key_id: key.id, key_type: key.key_type, mode: key.mode, name: key.name.clone() };
        changes.put(trail.line(key.tenant, Action::KeyCreated, key.id, data.fields()));
        changes.puts.extend(events.next().map(|event| key_event(*event, &key, at, data).into()));
        changes.create(key.clone());
        (Ok((key, revoked)), changes)
    }
}

/// Removes a page of what is held of a tenant whose time has come. Whether it has is looked at again each time.
pub(crate) struct ErasePage {
    pub tenant: TenantId,
    pub keys: Vec<Key>,
    pub now: Timestamp,
}

impl Command for ErasePage {
    /// Whether the tenant is to be erased.
    type Outcome = bool;

    fn reads(&self) -> Reads {
        let tenant = Key::new::<Tenant>(self.tenant, self.tenant.as_bytes());
        Reads { scope: Scope::Tenant(self.tenant), wanted: vec![Read::Record(tenant)] }
    }

    fn decide(&self, seen: &Snapshot) -> (bool, Changes) {
        let is_due = seen.one::<Tenant>().is_some_and(|tenant| tenant.is_to_be_erased(self.now));
        let deletes = if is_due { self.keys.clone() } else { Vec::new() };
        (is_due, Changes { deletes, ..Changes::none() })
    }
}

/// Removes the tenant itself, when all else is gone, and says so in the installation's trail.
pub(crate) struct FinishErasure {
    pub tenant: TenantId,
    pub trail: Trail,
}

impl Command for FinishErasure {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let tenant = Key::new::<Tenant>(self.tenant, self.tenant.as_bytes());
        Reads { scope: Scope::Tenant(INSTALLATION.tenant), wanted: vec![Read::Record(tenant)] }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        let Some(tenant) = seen.one::<Tenant>().filter(|tenant| tenant.is_to_be_erased(self.trail.at)) else {
            return ((), Changes::none());
        };
        let mut changes = Changes::of_configuration();
        changes.deletes.push(crate::store::Stored::key(tenant));
        changes.put(self.trail.line(INSTALLATION.tenant, Action::TenantErased, self.tenant, json!({})));
        ((), changes)
    }
}
