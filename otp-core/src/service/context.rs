//! What is known of a tenant while a request runs, and the caches that make knowing it cheap.
//!
//! A cached entry is good as long as nothing in the installation's configuration has changed. This process bumps an epoch
//! after each change it commits; changes by others (a second server, the command line) show in a counter that is read at
//! most once a second. An entry carries the epoch from *before* its read, so one that raced a change is never trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::Service;
use crate::api_key::ApiKey;
use crate::clock::Timestamp;
use crate::domain::Domain;
use crate::error::Error;
use crate::id::{SigningKeyId, TenantId};
use crate::locale::Locale;
use crate::plan::Plan;
use crate::provider::{OwnProvider, PROVIDERS, Provider};
use crate::secret::{Digest32, Secret, TenantKeys};
use crate::signing::StoredSigningKey;
use crate::store::{FromRecord, Key, Read};
use crate::subject::EmailAddress;
use crate::template::{Audience, MessageContext, OwnTemplates};
use crate::tenant::{Mode, Settings, Space, Tenant};
use crate::token::SigningKey;
use crate::usage::CounterKey;
use crate::webhook::Subscribers;

const ENTRIES: usize = 20_000;
const POLL_EVERY_MILLIS: i64 = 1_000;

/// A tenant with everything a command about it needs.
pub(crate) struct TenantContext {
    pub tenant: Tenant,
    pub plan: Plan,
    pub keys: TenantKeys,
    /// What its own settings say of mails, ready to be rendered.
    pub templates: OwnTemplates,
    /// Who takes its messages, in the order in which they are preferred; the installation's providers if there are none.
    pub providers: Arc<[OwnProvider]>,
    /// The domains that its sender's address is, or was, of.
    domains: Vec<Domain>,
    /// Those of the installation, for what it tells the tenant.
    pub installation: TenantKeys,
    issuers: [Issuer; 2],
    /// When the first of those that only verify ends, and this has to be read anew.
    good_until: Timestamp,
}

/// Who signs the tokens of one mode. The modes share neither the name nor a key, so that a test token, whose code
/// anybody with a test key can read, is nobody's where tokens are checked offline.
pub(crate) struct Issuer {
    pub url: String,
    /// The key that signs comes first, then those that only verify.
    pub keys: Vec<SigningKey>,
}

impl TenantContext {
    /// The sender's address that the tenant has set, while it has shown that the domain is its own.
    pub fn sender(&self, now: Timestamp) -> Option<EmailAddress> {
        let sender = self.tenant.settings.email.sender()?;
        self.domains.iter().any(|domain| domain.covers(&sender, now)).then_some(sender)
    }

    /// Whom a message for this purpose is for, who reads this if that is known.
    pub fn audience<'a>(&'a self, purpose: &'a str, locale: Option<&'a Locale>) -> Audience<'a> {
        Audience { purpose, locale, usual: self.tenant.settings.branding.locale.as_ref() }
    }

    /// What a message with this code looks like to its recipient; what was asked, and by whom, is left to be filled in.
    pub fn message(&self, audience: &Audience<'_>, code: Secret, to: &str, at: Timestamp) -> MessageContext {
        let Settings { branding, channels, passcode, .. } = &*self.tenant.settings;
        MessageContext {
            language: audience.language(),
            app_name: branding.app_name.clone().unwrap_or_else(|| self.tenant.name.clone()),
            otp: code,
            expires_in_minutes: passcode.ttl.div_ceil(60),
            context: None,
            request_ip: None,
            request_time: at,
            support_url: branding.support_url.clone(),
            user_email: to.to_owned(),
            logo_url: branding.logo_url.clone(),
            brand_color: branding.brand_color.clone(),
            footer_text: branding.footer_text.clone(),
            host: channels.host.clone(),
        }
    }

    pub fn issuer(&self, mode: Mode) -> &Issuer {
        &self.issuers[mode as usize]
    }
}

struct Cached<T> {
    value: Arc<T>,
    epoch: u64,
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), epoch: self.epoch }
    }
}

pub(super) struct Caches {
    api_keys: Cache<Digest32, Cached<ApiKey>>,
    tenants: Cache<TenantId, Cached<TenantContext>>,
    subscribers: Cache<TenantId, Cached<Subscribers>>,
    /// Derived from the ring and the id alone, so never out of date.
    tenant_keys: Cache<TenantId, TenantKeys>,
    signing_keys: Cache<SigningKeyId, SigningKey>,
    epoch: AtomicU64,
    polled_at: AtomicI64,
    configuration: AtomicU64,
    noted_time: AtomicI64,
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            api_keys: Cache::new(ENTRIES),
            tenants: Cache::new(ENTRIES),
            subscribers: Cache::new(ENTRIES),
            tenant_keys: Cache::new(ENTRIES),
            signing_keys: Cache::new(ENTRIES),
            epoch: AtomicU64::new(0),
            polled_at: AtomicI64::new(i64::MIN),
            configuration: AtomicU64::new(u64::MAX),
            noted_time: AtomicI64::new(i64::MIN),
        }
    }
}

impl Caches {
    pub fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// The latest time that a service on the same store has noted, as far as is known here.
    pub fn noted_time(&self) -> Timestamp {
        Timestamp::from_millis(self.noted_time.load(Ordering::Relaxed))
    }

    pub fn note_time(&self, now: Timestamp) {
        self.noted_time.fetch_max(now.as_millis(), Ordering::SeqCst);
    }

    fn is_poll_due(&self, now: Timestamp) -> bool {
        let polled_at = self.polled_at.load(Ordering::Relaxed);
        let is_due = now.as_millis().saturating_sub(polled_at) >= POLL_EVERY_MILLIS || now.as_millis() < polled_at;
        // One of the callers that find it due does it.
        is_due
            && self.polled_at.compare_exchange(polled_at, now.as_millis(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}

impl Service {
    /// The epoch that entries read from now on belong to.
    async fn epoch(&self) -> Result<u64, Error> {
        let caches = &self.inner.caches;
        if caches.is_poll_due(self.now()) {
            let wanted = [CounterKey::CONFIGURATION, CounterKey::LATEST_TIME].map(Read::Counter);
            let seen = self.inner.store.read(wanted.to_vec()).await?;
            let version = seen.counter(&CounterKey::CONFIGURATION);
            let noted = seen.counter(&CounterKey::LATEST_TIME);
            caches.note_time(Timestamp::from_millis(i64::try_from(noted).unwrap_or(0)));
            if caches.configuration.swap(version, Ordering::SeqCst) != version {
                caches.forget();
            }
        }
        Ok(caches.epoch.load(Ordering::SeqCst))
    }

    pub(super) async fn api_key(&self, digest: Digest32) -> Result<Option<Arc<ApiKey>>, Error> {
        let epoch = self.epoch().await?;
        if let Some(cached) = self.inner.caches.api_keys.get(&digest).filter(|cached| cached.epoch == epoch) {
            return Ok(Some(cached.value));
        }
        let seen = self.inner.store.read(vec![Read::alias::<ApiKey>(&digest.0)]).await?;
        let Some(key) = seen.one::<ApiKey>() else { return Ok(None) };
        let value = Arc::new(key.clone());
        self.inner.caches.api_keys.insert(digest, Cached { value: Arc::clone(&value), epoch });
        Ok(Some(value))
    }

    pub(crate) async fn tenant_context(&self, tenant: TenantId) -> Result<Option<Arc<TenantContext>>, Error> {
        let epoch = self.epoch().await?;
        let now = self.now();
        let is_good = |cached: &Cached<TenantContext>| cached.epoch == epoch && now < cached.value.good_until;
        if let Some(cached) = self.inner.caches.tenants.get(&tenant).filter(is_good) {
            return Ok(Some(cached.value));
        }
        let Some(context) = self.load_context(tenant).await? else { return Ok(None) };
        let value = Arc::new(context);
        self.inner.caches.tenants.insert(tenant, Cached { value: Arc::clone(&value), epoch });
        Ok(Some(value))
    }

    /// Needs none of the tenant's keys: what cannot be opened is no reason not to write an event down.
    pub(super) async fn cached_subscribers(&self, tenant: TenantId) -> Result<Arc<Subscribers>, Error> {
        let epoch = self.epoch().await?;
        if let Some(cached) = self.inner.caches.subscribers.get(&tenant).filter(|cached| cached.epoch == epoch) {
            return Ok(cached.value);
        }
        let value = Arc::new(self.load_subscribers(tenant).await?);
        self.inner.caches.subscribers.insert(tenant, Cached { value: Arc::clone(&value), epoch });
        Ok(value)
    }

    async fn load_context(&self, id: TenantId) -> Result<Option<TenantContext>, Error> {
        let mut wanted = vec![Read::Record(Key::new::<Tenant>(id, id.as_bytes()))];
        wanted.extend(StoredSigningKey::of_tenant(id));
        wanted.push(Read::owned::<Provider>(id.as_bytes().into(), PROVIDERS));
        let seen = self.inner.store.read(wanted).await?;
        let keys = self.tenant_keys(id);
        let now = self.now();
        let verifies = |stored: &&StoredSigningKey| stored.retired_at.is_none_or(|end| now < end);
        let mut stored: Vec<&StoredSigningKey> = seen.all().filter(verifies).collect();
        // The newest has the highest id only if no other is of the same millisecond.
        stored.sort_by_key(|stored| stored.retired_at.is_some());
        let good_until = stored.iter().filter_map(|stored| stored.retired_at).min();
        let good_until = good_until.unwrap_or(Timestamp::from_millis(i64::MAX));
        let [live, test] = Mode::ALL.map(|mode| self.issuer(Space { tenant: id, mode }, &stored, &keys));
        let mut providers: Vec<Provider> = seen.all().cloned().collect();
        Provider::sort(&mut providers);
        let providers = providers.into_iter().map(|provider| OwnProvider::open(provider, &keys));
        let providers = providers.collect::<Result<_, _>>()?;
        let Some(tenant) = seen.records.into_iter().find_map(Tenant::take) else { return Ok(None) };
        let domains = match tenant.settings.email.sender() {
            Some(sender) => self.inner.store.read(Domain::reads_for(id, &sender)).await?.records,
            None => Vec::new(),
        };
        let domains = domains.into_iter().filter_map(Domain::take).collect();
        let plans = &self.inner.plans;
        let plan = plans.named(&tenant.plan).unwrap_or(plans.first()).clone();
        // What is stored was checked; if an older version did so differently, codes are sent all the same.
        let templates = OwnTemplates::of(&tenant.settings).unwrap_or_default();
        let installation = self.tenant_keys(TenantId::INSTALLATION);
        let issuers = [live?, test?];
        Ok(Some(TenantContext { tenant, plan, keys, installation, templates, providers, domains, issuers, good_until }))
    }

    fn issuer(&self, space: Space, stored: &[&StoredSigningKey], keys: &TenantKeys) -> Result<Issuer, Error> {
        let ours = stored.iter().filter(|stored| stored.space == space);
        let path = match space.mode {
            Mode::Live => "",
            Mode::Test => "/test",
        };
        Ok(Issuer {
            url: format!("{}/auth/{}{path}", self.inner.issuer, space.tenant),
            keys: ours.map(|stored| self.signing_key(stored, keys)).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn tenant_keys(&self, tenant: TenantId) -> TenantKeys {
        if let Some(keys) = self.inner.caches.tenant_keys.get(&tenant) {
            return keys;
        }
        let keys = self.inner.ring.tenant(tenant);
        self.inner.caches.tenant_keys.insert(tenant, keys.clone());
        keys
    }

    fn signing_key(&self, stored: &StoredSigningKey, keys: &TenantKeys) -> Result<SigningKey, Error> {
        if let Some(key) = self.inner.caches.signing_keys.get(&stored.id) {
            return Ok(key);
        }
        let key = stored.open(keys)?;
        self.inner.caches.signing_keys.insert(stored.id, key.clone());
        Ok(key)
    }
}
