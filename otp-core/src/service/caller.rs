//! Who calls: an API key from somewhere, or the program that links the library.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::context::TenantContext;
use super::{Service, lock};
use crate::access::{Origin, counted_network, masked_network};
use crate::api_key::{ApiKey, KeyScope, KeyType, KeyUse, PresentedKey};
use crate::audit::{Actor, Audit};
use crate::command::EventSource;
use crate::error::Error;
use crate::event::EventData;
use crate::id::{EventId, MemberId, TenantId};
use crate::random::Random;
use crate::secret::{Digest32, Sealed, TenantKeys};
use crate::subject::SubjectKey;
use crate::tenant::{Mode, Space, TenantStatus};
use crate::usage::Counter;

const LONGEST_USER_AGENT: usize = 256;

/// How a request came in, as far as the key's rules care.
#[derive(Clone, Debug, Default)]
pub struct Approach<'a> {
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The client's address: the socket's peer, or what a trusted proxy says.
    pub ip: Option<IpAddr>,
    /// Whether a browser sent it (`Origin` or `Sec-Fetch-*`).
    pub from_browser: bool,
}

/// The end user's side of a request: for limits, messages, events and the audit trail.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Address.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
    /// The request itself, as `PUT /admin/config`; for the audit trail.
    pub operation: Option<String>,
}

/// What is kept of a client, sealed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SealedClient {
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

impl Client {
    fn seal(&self, keys: &TenantKeys, random: &dyn Random, place: &[u8]) -> Option<Sealed> {
        if self.ip.is_none() && self.user_agent.is_none() {
            return None;
        }
        let shorten = |agent: &String| agent.chars().take(LONGEST_USER_AGENT).collect();
        let client = SealedClient { ip: self.ip, user_agent: self.user_agent.as_ref().map(shorten) };
        let plain = serde_json::to_vec(&client).ok()?;
        Some(keys.seal(random, place, &plain))
    }

    pub(super) fn sealed_for(&self, keys: &TenantKeys, random: &dyn Random, subject: &SubjectKey) -> Option<Sealed> {
        self.seal(keys, random, &place(b"client", subject))
    }

    pub(super) fn sealed_for_audit(&self, keys: &TenantKeys, random: &dyn Random) -> Option<Sealed> {
        self.seal(keys, random, Audit::CLIENT)
    }

    /// What the address is counted under; `None` without one.
    pub(super) fn network(&self, keys: &TenantKeys) -> Option<[u8; 16]> {
        Some(Counter::network_digest(keys, counted_network(self.ip?)))
    }
}

impl SealedClient {
    pub fn open(keys: &TenantKeys, subject: &SubjectKey, sealed: Option<&Sealed>) -> Result<Self, Error> {
        Self::open_at(keys, &place(b"client", subject), sealed)
    }

    pub fn open_of_audit(keys: &TenantKeys, sealed: Option<&Sealed>) -> Result<Self, Error> {
        Self::open_at(keys, Audit::CLIENT, sealed)
    }

    fn open_at(keys: &TenantKeys, place: &[u8], sealed: Option<&Sealed>) -> Result<Self, Error> {
        let Some(sealed) = sealed else { return Ok(Self::default()) };
        let plain = keys.open(place, sealed)?;
        serde_json::from_slice(&plain).map_err(|error| Error::Internal(error.to_string()))
    }
}

/// Where a subject's sealed values stand.
pub(crate) fn place(what: &[u8], subject: &SubjectKey) -> Vec<u8> {
    [what, subject.as_bytes()].concat()
}

/// Somebody who may act for a tenant, in one of its modes. There is no other way to a tenant's data.
///
/// [`Service::program`] gives one to keep. One that [`Service::authenticate`] gives is for the request that showed the
/// key, because a key that is revoked meanwhile is not asked for again.
#[derive(Clone)]
pub struct Caller {
    pub(crate) context: Arc<TenantContext>,
    pub(super) space: Space,
    pub(super) key: Option<Arc<ApiKey>>,
    pub(super) as_administrator: bool,
    /// The member who acts, by a session or by the token of a signup that was just confirmed.
    pub(super) member: Option<MemberId>,
    pub(super) client: Client,
}

impl Caller {
    /// Whose data the caller reaches.
    pub fn space(&self) -> Space {
        self.space
    }

    /// The type of key that was shown; `None` for the program itself and the administrator.
    pub fn key_type(&self) -> Option<KeyType> {
        self.key.as_ref().map(|key| key.key_type)
    }

    /// Notes who is at the other end, for the audit trail.
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    pub(super) fn actor(&self) -> Actor {
        match (&self.key, self.member) {
            (Some(key), _) => Actor::Key(key.id),
            (None, Some(member)) => Actor::Member(member),
            (None, None) if self.as_administrator => Actor::Administrator,
            (None, None) => Actor::Program,
        }
    }

    /// Whether the caller may look after the tenant: whoever has a publishable key may not.
    pub(super) fn may_manage(&self) -> Result<(), Error> {
        match self.key_type() {
            Some(KeyType::Publishable) => Err(Error::SecretKeyRequired),
            Some(KeyType::Secret) | None => Ok(()),
        }
    }

    /// Whether the caller stands above the tenant: the administrator, or the program that links the library.
    pub(super) fn may_administer(&self) -> Result<(), Error> {
        self.may_manage()?;
        if self.key.is_none() && self.member.is_none() { Ok(()) } else { Err(Error::AdministratorRequired) }
    }

    pub(super) fn may_reveal(&self) -> Result<(), Error> {
        let Some(key) = &self.key else { return self.may_administer().map_err(|_| Error::ScopeRequired("otp:reveal")) };
        let granted = key.key_type == KeyType::Secret && key.scopes.contains(&KeyScope::OtpReveal);
        if granted { Ok(()) } else { Err(Error::ScopeRequired("otp:reveal")) }
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("space", &self.space).finish_non_exhaustive()
    }
}

impl Service {
    /// The tenant's own program, which needs no key.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown tenant, [`Error::TenantNotActive`], [`Error::Store`].
    pub async fn program(&self, tenant: TenantId, mode: Mode) -> Result<Caller, Error> {
        let caller = self.caller(tenant, mode, false).await?;
        active(&caller.context)?;
        Ok(caller)
    }

    /// The platform administrator acting on a tenant, whatever its standing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown tenant, [`Error::Store`].
    pub async fn administrator(&self, tenant: TenantId) -> Result<Caller, Error> {
        self.caller(tenant, Mode::Live, true).await
    }

    pub(super) async fn caller(&self, tenant: TenantId, mode: Mode, as_administrator: bool) -> Result<Caller, Error> {
        let context = self.tenant_context(tenant).await?.ok_or(Error::NotFound("customer"))?;
        let space = Space { tenant, mode };
        Ok(Caller { context, space, key: None, as_administrator, member: None, client: Client::default() })
    }

    /// What is known of the caller's tenant now: a program may keep a caller for long.
    pub(super) async fn current(&self, caller: &Caller) -> Result<Arc<TenantContext>, Error> {
        let context = self.tenant_context(caller.space.tenant).await?.ok_or(Error::NotFound("customer"))?;
        if !caller.as_administrator {
            active(&context)?;
        }
        Ok(context)
    }

    /// Whoever shows this key, if key, tenant, origin and address allow it.
    ///
    /// # Errors
    /// [`Error::InvalidApiKey`], [`Error::TenantNotActive`], [`Error::OriginNotAllowed`], [`Error::IpNotAllowed`],
    /// [`Error::Store`].
    pub async fn authenticate(&self, presented: &str, approach: &Approach<'_>) -> Result<Caller, Error> {
        let presented = PresentedKey::parse(presented).map_err(|_| Error::InvalidApiKey)?;
        let key = self.api_key(presented.digest).await?.ok_or(Error::InvalidApiKey)?;
        if !key.is_usable(self.now()) {
            return Err(Error::InvalidApiKey);
        }
        let context = self.tenant_context(key.tenant).await?.ok_or(Error::InvalidApiKey)?;
        active(&context)?;
        check_origin(&key, &context, approach)?;
        check_ip(&key, &context, approach)?;
        let space = Space { tenant: key.tenant, mode: key.mode };
        self.note_use(&key, approach).await?;
        Ok(Caller { context, space, key: Some(key), as_administrator: false, member: None, client: Client::default() })
    }

    async fn note_use(&self, key: &ApiKey, approach: &Approach<'_>) -> Result<(), Error> {
        self.note_key_use(KeyUse {
            key: key.id,
            tenant: key.tenant,
            last_used_at: self.now(),
            last_used_ip: approach.ip.map(masked_network),
            calls: 1,
        });
        if approach.from_browser && key.key_type == KeyType::Secret {
            self.note_exposure(key).await?;
        }
        Ok(())
    }

    pub(super) fn note_key_use(&self, used: KeyUse) {
        let mut noted = lock(&self.inner.uses);
        noted.entry((used.tenant, used.key)).and_modify(|known| *known = known.and(&used)).or_insert(used);
    }

    async fn note_exposure(&self, key: &ApiKey) -> Result<(), Error> {
        let space = Space { tenant: key.tenant, mode: key.mode };
        let day = self.now().as_millis().div_euclid(86_400_000);
        let digest = Digest32::of(&[key.id.as_bytes().as_slice(), &day.to_be_bytes()].concat());
        let mut event: [u8; 16] = digest.0[..16].try_into().unwrap_or_default();
        // Day-stable, and still sorted among the day's events.
        event[..6].copy_from_slice(&(day * 86_400_000).to_be_bytes()[2..]);
        let event = EventId::from_bytes(event);
        let source = EventSource { space, at: self.now(), person: None };
        self.tell_once(source.event(event, EventData::ApiKeyExposed { key_id: key.id })).await
    }
}

pub(super) fn active(context: &TenantContext) -> Result<(), Error> {
    match context.tenant.status {
        TenantStatus::Active => Ok(()),
        status => Err(Error::TenantNotActive(status)),
    }
}

fn check_origin(key: &ApiKey, context: &TenantContext, approach: &Approach<'_>) -> Result<(), Error> {
    let Some(origin) = approach.origin else { return Ok(()) };
    let tenant = &context.tenant.settings.allowed_origins;
    let allowed = match origin.parse::<Origin>() {
        Ok(origin) => key.allows_origin(&origin, tenant),
        Err(_) => key.allowed_origins.is_empty() && tenant.is_empty(),
    };
    if allowed { Ok(()) } else { Err(Error::OriginNotAllowed) }
}

fn check_ip(key: &ApiKey, context: &TenantContext, approach: &Approach<'_>) -> Result<(), Error> {
    let tenant = &context.tenant.settings.allowed_ips;
    let allowed = match approach.ip {
        Some(ip) => key.allows_ip(ip, tenant),
        None => key.allowed_ips.is_empty() && tenant.is_empty(),
    };
    if allowed { Ok(()) } else { Err(Error::IpNotAllowed) }
}
