//! API keys and signing keys: made, changed, replaced, revoked.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::configure::note_version;
use super::{EventSource, NewSigningKeys, Trail};
use crate::access::OriginPattern;
use crate::api_key::{ApiKey, KeyState, KeyUse};
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Event, EventData};
use crate::id::{EventId, KeyId, TenantId};
use crate::signing::StoredSigningKey;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot, Stored};
use crate::tenant::{Space, Tenant};

/// Keys of one tenant that are looked at; creating more is refused.
pub(crate) const KEYS: usize = 200;

/// A new key, shown once; only ever stored sealed, in a kept reply.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NewKey {
    pub key: ApiKey,
    pub text: String,
    pub replaces: Option<ApiKey>,
}

/// Makes a key, or replaces one.
pub(crate) struct CreateKey {
    pub key: ApiKey,
    pub text: String,
    /// The key it takes the place of, and how long that one still works.
    pub replaces: Option<(KeyId, Duration)>,
    pub event: EventId,
    pub trail: Trail,
}

impl Command for CreateKey {
    type Outcome = Result<NewKey, Error>;

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
        if seen.one::<Tenant>().is_none() {
            return (Err(Error::NotFound("customer")), Changes::none());
        }
        if seen.all::<ApiKey>().count() >= KEYS {
            return (Err(Error::Conflict("there are too many keys; revoked ones count")), Changes::none());
        }
        match self.replaces {
            None => self.fresh(),
            Some((old, grace)) => self.replacement(seen.all::<ApiKey>().find(|key| key.id == old), grace),
        }
    }
}

impl CreateKey {
    fn fresh(&self) -> (Result<NewKey, Error>, Changes) {
        let key = self.key.clone().ending_as_set(self.key.created_at);
        let data =
            EventData::ApiKeyCreated { key_id: key.id, key_type: key.key_type, mode: key.mode, name: key.name.clone() };
        let changes = self.changes(&key, None, Action::KeyCreated, data);
        (Ok(NewKey { key, text: self.text.clone(), replaces: None }), changes)
    }

    fn replacement(&self, old: Option<&ApiKey>, grace: Duration) -> (Result<NewKey, Error>, Changes) {
        let now = self.key.created_at;
        let Some(old) = old else { return (Err(Error::NotFound("key")), Changes::none()) };
        if old.state != KeyState::Active || !old.is_usable(now) {
            let why = "only an active key can be rotated; create a new one";
            return (Err(Error::Conflict(why)), Changes::none());
        }
        let key = ApiKey {
            id: self.key.id,
            digest: self.key.digest,
            last4: self.key.last4.clone(),
            created_at: now,
            ..old.clone()
        };
        let key = key.ending_as_set(now);
        let old = ApiKey { state: KeyState::Rotated { until: now + grace }, ..old.clone() }.ending_as_set(now);
        let data = EventData::ApiKeyRotated { key_id: key.id, old_key_id: old.id, grace_seconds: grace.as_secs() };
        let changes = self.changes(&key, Some(&old), Action::KeyRotated, data);
        (Ok(NewKey { key, text: self.text.clone(), replaces: Some(old) }), changes)
    }

    fn changes(&self, key: &ApiKey, old: Option<&ApiKey>, action: Action, data: EventData) -> Changes {
        let mut changes = Changes::of_configuration();
        changes.create(key.clone());
        if let Some(old) = old {
            changes.put(old.clone());
        }
        changes.put(self.trail.line(key.tenant, action, key.id, data.fields()));
        changes.put(key_event(self.event, key, self.trail.at, data));
        changes
    }
}

pub(super) fn key_event(id: EventId, key: &ApiKey, at: Timestamp, data: EventData) -> Event {
    let space = Space { tenant: key.tenant, mode: key.mode };
    EventSource { space, at, person: None }.event(id, data)
}

/// What is to change of a key.
#[derive(Clone, Debug)]
pub(crate) enum KeyChange {
    Edit { name: Option<String>, allowed_origins: Option<Vec<OriginPattern>>, allowed_ips: Option<Vec<IpNet>> },
    Revoke,
}

/// Changes or revokes a key; the outcome is what it is now.
pub(crate) struct ChangeKey {
    pub tenant: TenantId,
    pub key: KeyId,
    pub change: KeyChange,
    pub event: EventId,
    pub trail: Trail,
}

impl Command for ChangeKey {
    type Outcome = Result<ApiKey, Error>;

    fn reads(&self) -> Reads {
        let key = Key::new::<ApiKey>(self.tenant, self.key.as_bytes());
        Reads { scope: Scope::Tenant(self.tenant), wanted: vec![Read::Record(key)] }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(before) = seen.one::<ApiKey>() else { return (Err(Error::NotFound("key")), Changes::none()) };
        let mut key = before.clone();
        let mut changes = Changes::of_configuration();
        match &self.change {
            KeyChange::Revoke if matches!(key.state, KeyState::Revoked { .. }) => return (Ok(key), Changes::none()),
            KeyChange::Revoke => {
                key.state = KeyState::Revoked { at: self.trail.at };
                let data = EventData::ApiKeyRevoked { key_id: key.id };
                changes.put(self.trail.line(self.tenant, Action::KeyRevoked, key.id, data.fields()));
                changes.put(key_event(self.event, &key, self.trail.at, data));
            }
            KeyChange::Edit { name, allowed_origins, allowed_ips } => {
                key.name = name.clone().unwrap_or(key.name);
                key.allowed_origins = allowed_origins.clone().unwrap_or(key.allowed_origins);
                key.allowed_ips = allowed_ips.clone().unwrap_or(key.allowed_ips);
                let data = json!({
                    "name": key.name, "allowedOrigins": key.allowed_origins, "allowedIps": key.allowed_ips,
                });
                changes.put(self.trail.line(self.tenant, Action::KeyChanged, key.id, data));
            }
        }
        changes.put(key.clone());
        (Ok(key), changes)
    }
}

/// Puts new signing keys in place; the old ones verify until their last token has died.
pub(crate) struct RotateSigningKeys {
    pub tenant: TenantId,
    pub fresh: NewSigningKeys,
    pub trail: Trail,
}

impl Command for RotateSigningKeys {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let mut wanted = vec![Read::Record(Key::new::<Tenant>(self.tenant, self.tenant.as_bytes()))];
        wanted.extend(StoredSigningKey::of_tenant(self.tenant));
        Reads { scope: Scope::Tenant(self.tenant), wanted }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let Some(before) = seen.one::<Tenant>() else { return (Err(Error::NotFound("customer")), Changes::none()) };
        let mut changes = Changes::of_configuration();
        self.fresh.replace(seen, &self.trail, &mut changes);
        let mut tenant = before.clone();
        tenant.settings.tokens.algorithm = self.fresh.algorithm;
        note_version(before, &mut tenant, None, &self.trail, &mut changes);
        changes.put(self.trail.line(tenant.id, Action::SigningKeyRotated, tenant.id, self.fresh.told()));
        changes.put(tenant);
        (Ok(()), changes)
    }
}

/// Notes when keys of one tenant were last used, and how often.
pub(crate) struct NoteKeyUse {
    pub tenant: TenantId,
    pub uses: Vec<KeyUse>,
}

impl Command for NoteKeyUse {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let wanted = self.uses.iter().map(|used| Read::Record(Stored::key(used))).collect();
        Reads { scope: Scope::Tenant(self.tenant), wanted }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = Changes::none();
        for used in &self.uses {
            let known = seen.all::<KeyUse>().find(|known| known.key == used.key);
            changes.put(known.map_or_else(|| used.clone(), |known| known.and(used)));
        }
        ((), changes)
    }
}
