//! API keys and signing keys of a tenant.

use std::collections::HashMap;
use std::time::Duration;

use ipnet::IpNet;

use super::tenants::check_name;
use super::tokens::PROOF_TTL;
use super::{Caller, Service, lock};
use crate::access::{OriginPattern, parse_network};
use crate::api_key::{ApiKey, KeyScope, KeyState, KeyType, KeyUse, new_key};
use crate::clock::Timestamp;
use crate::command::{ChangeKey, CreateKey, KeyChange, NewSigningKeys, NoteKeyUse, RotateSigningKeys};
use crate::error::Error;
use crate::id::{EventId, KeyId, TenantId};
use crate::idempotency::{Answer, Idempotency, Once};
use crate::random::Random;
use crate::secret::{Digest32, Secret, TenantKeys};
use crate::signing::StoredSigningKey;
use crate::store::{FromRecord, Key, Read, StoreError};
use crate::tenant::{Mode, Space};
use crate::token::Algorithm;

const LONGEST_GRACE: Duration = Duration::from_secs(30 * 86_400);

/// A key to be created.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub key_type: KeyType,
    /// Whose data it reaches.
    pub mode: Mode,
    /// Origins that may use it.
    pub allowed_origins: Vec<String>,
    /// Addresses or networks that may use it.
    pub allowed_ips: Vec<String>,
    /// Extra permissions.
    pub scopes: Vec<KeyScope>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// The caller's idempotency key.
    pub idempotency: Option<Idempotency>,
}

/// A new key, shown once.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// The key.
    pub api_key: Secret,
    /// What is kept of it.
    pub key: ApiKey,
}

/// A new key in the place of an old one.
#[derive(Clone, Debug)]
pub struct RotatedKey {
    /// The new key.
    pub created: CreatedKey,
    /// The old one's name.
    pub old: KeyId,
    /// Until when the old one works.
    pub old_expires_at: Timestamp,
}

/// A key as its owner sees it.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// What is kept of it.
    pub key: ApiKey,
    /// Its status, in the wire's word.
    pub status: &'static str,
    /// Its last use.
    pub last_used_at: Option<Timestamp>,
    /// The masked network that it came from.
    pub last_used_ip: Option<IpNet>,
    /// How often it was used.
    pub calls: u64,
}

/// What is to change of a key; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct EditKey {
    /// What its owner calls it.
    pub name: Option<String>,
    /// Origins that may use it.
    pub allowed_origins: Option<Vec<String>>,
    /// Addresses or networks that may use it.
    pub allowed_ips: Option<Vec<String>>,
}

impl Service {
    /// Creates a key.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Conflict`] when there are too many, [`Error::SecretKeyRequired`],
    /// [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn create_key(&self, caller: &Caller, new: NewApiKey) -> Result<Answer<CreatedKey>, Error> {
        if new.expires_at.is_some_and(|end| end <= self.now()) {
            return Err(Error::invalid("invalid_field", "expiresAt", "name a time that is still to come"));
        }
        let (now, random) = (self.now(), self.random());
        let text = new_key(new.key_type, new.mode, random);
        let name = check_name("name", &new.name)?;
        let key = ApiKey {
            allowed_origins: check_origins(&new.allowed_origins, new.mode)?,
            allowed_ips: check_networks(&new.allowed_ips)?,
            scopes: new.scopes,
            expires_at: new.expires_at,
            ..fresh_key(caller.space.tenant, &name, &text, new.key_type, new.mode, now, random)
        };
        let answer = self.make_key(caller, key, text, None, new.idempotency).await?;
        Ok(Answer { value: answer.value.0, replayed: answer.replayed })
    }

    /// Puts a new key in the place of an active one, which works on for `grace` (at most 30 days).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] when the key is not active,
    /// [`Error::SecretKeyRequired`], [`Error::IdempotencyConflict`], [`Error::Store`].
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        old: KeyId,
        grace: Duration,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<RotatedKey>, Error> {
        if grace > LONGEST_GRACE {
            return Err(Error::invalid("invalid_field", "graceSeconds", "use 0 to 2592000 (30 days)"));
        }
        let (now, random) = (self.now(), self.random());
        let seen = self.read_key(caller, old).await?;
        let text = new_key(seen.key_type, seen.mode, random);
        let key = fresh_key(caller.space.tenant, &seen.name, &text, seen.key_type, seen.mode, now, random);
        let answer = self.make_key(caller, key, text, Some((old, grace)), idempotency).await?;
        let (created, replaced) = answer.value;
        let old_expires_at = replaced.and_then(|key| key.ends_at());
        let old_expires_at = old_expires_at.ok_or_else(|| Error::Internal("a rotation replaced no key".to_owned()))?;
        Ok(Answer { value: RotatedKey { created, old, old_expires_at }, replayed: answer.replayed })
    }

    async fn make_key(
        &self,
        caller: &Caller,
        key: ApiKey,
        text: Secret,
        replaces: Option<(KeyId, Duration)>,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer<(CreatedKey, Option<ApiKey>)>, Error> {
        caller.may_manage()?;
        let slot = self.reply_slot(idempotency, caller.space.tenant, b"k", &caller.context.keys);
        let event = EventId::new(self.now(), self.random());
        let text = text.expose().to_owned();
        let command = CreateKey { key, text, replaces, event, trail: self.trail(caller) };
        let Answer { value, replayed } = self.change(Once { command, slot }).await??;
        let created = CreatedKey { api_key: Secret::from(value.text), key: value.key };
        Ok(Answer { value: (created, value.replaces), replayed })
    }

    async fn read_key(&self, caller: &Caller, id: KeyId) -> Result<ApiKey, Error> {
        caller.may_manage()?;
        let key = Key::new::<ApiKey>(caller.space.tenant, id.as_bytes());
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        seen.one::<ApiKey>().cloned().ok_or(Error::NotFound("key"))
    }

    /// All keys of the tenant, newest first.
    ///
    /// # Errors
    /// [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn keys(&self, caller: &Caller) -> Result<Vec<KeyView>, Error> {
        caller.may_manage()?;
        let owner = caller.space.tenant.as_bytes().into();
        let seen = self.inner.store.read(vec![Read::owned::<ApiKey>(owner, crate::command::KEYS)]).await?;
        self.views(seen.records.into_iter().filter_map(ApiKey::take).collect()).await
    }

    /// The keys with their last uses, noted in memory or written down.
    async fn views(&self, keys: Vec<ApiKey>) -> Result<Vec<KeyView>, Error> {
        let noted = |key: &ApiKey| Read::Record(Key::new::<KeyUse>(key.tenant, key.id.as_bytes()));
        let seen = self.inner.store.read(keys.iter().map(noted).collect()).await?;
        let noted: HashMap<KeyId, &KeyUse> = seen.all().map(|noted: &KeyUse| (noted.key, noted)).collect();
        let recent = lock(&self.inner.uses);
        let view = |key: ApiKey| {
            let (noted, recent) = (noted.get(&key.id).copied(), recent.get(&(key.tenant, key.id)));
            let used = recent.map(|recent| noted.map_or_else(|| recent.clone(), |noted| noted.and(recent)));
            let used = used.or(noted.cloned());
            KeyView {
                status: key.status(self.now()),
                last_used_at: used.as_ref().map(|used| used.last_used_at),
                last_used_ip: used.as_ref().and_then(|used| used.last_used_ip),
                calls: used.map_or(0, |used| used.calls),
                key,
            }
        };
        Ok(keys.into_iter().map(view).collect())
    }

    /// Changes a key's name, origins or networks.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn edit_key(&self, caller: &Caller, id: KeyId, edit: EditKey) -> Result<KeyView, Error> {
        let mode = self.read_key(caller, id).await?.mode;
        let change = KeyChange::Edit {
            name: edit.name.map(|name| check_name("name", &name)).transpose()?,
            allowed_origins: edit.allowed_origins.map(|origins| check_origins(&origins, mode)).transpose()?,
            allowed_ips: edit.allowed_ips.map(|networks| check_networks(&networks)).transpose()?,
        };
        let key = self.change_key(caller, id, change).await?;
        self.views(vec![key]).await?.pop().ok_or(Error::NotFound("key"))
    }

    /// Revokes a key: when this returns, it opens nothing any more. A revoked key stays revoked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn revoke_key(&self, caller: &Caller, id: KeyId) -> Result<(), Error> {
        self.change_key(caller, id, KeyChange::Revoke).await.map(|_| ())
    }

    async fn change_key(&self, caller: &Caller, key: KeyId, change: KeyChange) -> Result<ApiKey, Error> {
        caller.may_manage()?;
        let event = EventId::new(self.now(), self.random());
        let tenant = caller.space.tenant;
        self.change(ChangeKey { tenant, key, change, event, trail: self.trail(caller) }).await?
    }

    /// Puts new signing keys in place, one for each mode. Tokens of the old ones verify until they end by themselves.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SecretKeyRequired`], [`Error::Store`].
    pub async fn rotate_signing_keys(&self, caller: &Caller, algorithm: Algorithm) -> Result<(), Error> {
        caller.may_manage()?;
        let fresh = self.new_signing_keys(caller, algorithm).await?;
        self.change(RotateSigningKeys { tenant: caller.space.tenant, fresh, trail: self.trail(caller) }).await?
    }

    /// Keys to put in the place of those that sign now.
    pub(super) async fn new_signing_keys(
        &self,
        caller: &Caller,
        algorithm: Algorithm,
    ) -> Result<NewSigningKeys, Error> {
        let access_ttl = self.current(caller).await?.tenant.settings.tokens.access_ttl;
        let overlap = Duration::from_secs(access_ttl.into()).max(PROOF_TTL);
        let keys = self.signing_keys(caller.space.tenant, &caller.context.keys, algorithm);
        Ok(NewSigningKeys { algorithm, keys, overlap })
    }

    /// Fresh ones, one for each mode.
    pub(super) fn signing_keys(
        &self,
        tenant: TenantId,
        keys: &TenantKeys,
        algorithm: Algorithm,
    ) -> [StoredSigningKey; 2] {
        let fresh =
            |mode| StoredSigningKey::generate(Space { tenant, mode }, algorithm, keys, self.now(), self.random());
        Mode::ALL.map(fresh)
    }

    /// Writes down when and how often keys were used, as noted in memory since the last time. Call it every minute or so.
    ///
    /// # Errors
    /// [`Error::Store`]; what was certainly not written is noted again.
    pub async fn flush_key_uses(&self) -> Result<(), Error> {
        let uses = std::mem::take(&mut *lock(&self.inner.uses));
        let mut by_tenant: HashMap<TenantId, Vec<KeyUse>> = HashMap::new();
        for ((tenant, _), used) in uses {
            by_tenant.entry(tenant).or_default().push(used);
        }
        let mut outcome = Ok(());
        for (tenant, uses) in by_tenant {
            if let Err(error) = self.run(NoteKeyUse { tenant, uses: uses.clone() }).await {
                // What may have been written is not counted twice.
                if !matches!(error, Error::Store(StoreError::Unknown(_))) {
                    uses.into_iter().for_each(|used| self.note_key_use(used));
                }
                outcome = Err(error);
            }
        }
        outcome
    }
}

pub(super) fn fresh_key(
    tenant: TenantId,
    name: &str,
    text: &Secret,
    key_type: KeyType,
    mode: Mode,
    now: Timestamp,
    random: &dyn Random,
) -> ApiKey {
    let text = text.expose();
    ApiKey {
        id: KeyId::new(now, random),
        tenant,
        name: name.to_owned(),
        key_type,
        mode,
        digest: Digest32::of(text.as_bytes()),
        last4: text[text.len() - 4..].to_owned(),
        allowed_origins: Vec::new(),
        allowed_ips: Vec::new(),
        scopes: Vec::new(),
        created_at: now,
        expires_at: None,
        state: KeyState::Active,
        end_is_known: false,
    }
}

fn check_origins(origins: &[String], mode: Mode) -> Result<Vec<OriginPattern>, Error> {
    let check = |text: &String| text.parse::<OriginPattern>().and_then(|pattern| pattern.for_key(mode));
    let refuse = |error| Error::invalid("invalid_origin", "allowedOrigins", error);
    origins.iter().map(|text| check(text).map_err(refuse)).collect()
}

fn check_networks(networks: &[String]) -> Result<Vec<IpNet>, Error> {
    let refuse = |error| Error::invalid("invalid_ip", "allowedIps", error);
    networks.iter().map(|text| parse_network(text).map_err(refuse)).collect()
}
