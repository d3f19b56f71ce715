//! Putting a service together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::context::Caches;
use super::hooks::HookCounts;
use super::{Inner, Service};
use crate::audit::USUALLY_KEPT_FOR;
use crate::clock::{Clock, SystemClock};
use crate::destination::Reach;
use crate::domain::Resolver;
use crate::hook::Hooks;
use crate::message::{Mailer, Outgoing, Receipt, SendError};
use crate::password::{InPlace, PasswordHasher};
use crate::plan::Plans;
use crate::random::{Random, SystemRandom};
use crate::secret::KeyRing;
use crate::store::Store;
use crate::webhook::{Destinations, Lanes, NoTransport, WebhookTransport};

/// Collects the parts of a [`Service`]. Only store and key ring are needed; without a mailer nothing can be sent.
pub struct Builder {
    store: Arc<dyn Store>,
    ring: KeyRing,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    mailer: Arc<dyn Mailer>,
    resolver: Option<Arc<dyn Resolver>>,
    on_queued: Box<dyn Fn() + Send + Sync>,
    webhooks: Arc<dyn WebhookTransport>,
    hooks: Option<Arc<dyn Hooks>>,
    on_delivery: Box<dyn Fn() + Send + Sync>,
    reach: Reach,
    plans: Plans,
    issuer: String,
    hasher: Arc<dyn PasswordHasher>,
    signup_is_open: bool,
    audit_kept_for: Duration,
}

impl Builder {
    pub(super) fn new(store: Arc<dyn Store>, ring: KeyRing) -> Self {
        Self {
            store,
            ring,
            clock: Arc::new(SystemClock::default()),
            random: Arc::new(SystemRandom),
            mailer: Arc::new(NoMailer),
            resolver: None,
            on_queued: Box::new(|| {}),
            webhooks: Arc::new(NoTransport),
            hooks: None,
            on_delivery: Box::new(|| {}),
            reach: Reach::Public,
            plans: Plans::builtin(),
            issuer: "http://127.0.0.1:8080".to_owned(),
            hasher: Arc::new(InPlace),
            signup_is_open: true,
            audit_kept_for: USUALLY_KEPT_FOR,
        }
    }

    /// Sends the messages.
    pub fn mailer(mut self, mailer: impl Mailer) -> Self {
        self.mailer = Arc::new(mailer);
        self
    }

    /// Asks the DNS; without one no sender domain can be verified.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Tells the time; the system's clock if not set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Gives randomness; the system's if not set.
    pub fn random(mut self, random: impl Random) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Is called after every commit that queued a message, to wake whoever sends: [`Service::deliver_fresh`], or [`Service::next_parcel`].
    pub fn on_queued(mut self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_queued = Box::new(wake);
        self
    }

    /// Sends events to endpoints; without one they wait.
    pub fn webhooks(mut self, transport: impl WebhookTransport) -> Self {
        self.webhooks = Arc::new(transport);
        self
    }

    /// Has a say in what is sent and in what tokens hold.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Some(Arc::new(hooks));
        self
    }

    /// Is called after every commit that has something to send to an endpoint, to wake whoever calls
    /// [`Service::claim_webhooks`].
    pub fn on_delivery(mut self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_delivery = Box::new(wake);
        self
    }

    /// Where tenants may have events sent; to the public net by https if not set.
    pub fn webhook_reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// The plans on offer; the built-in ones if not set.
    pub fn plans(mut self, plans: Plans) -> Self {
        self.plans = plans;
        self
    }

    /// The public URL that tokens name as their issuer and that links in mails begin with, without a slash at its end.
    pub fn issuer(mut self, url: impl Into<String>) -> Self {
        self.issuer = url.into();
        self
    }

    /// Hashes passwords; the calling thread if not set, which then does nothing else for some 50 ms.
    pub fn password_hasher(mut self, hasher: impl PasswordHasher) -> Self {
        self.hasher = Arc::new(hasher);
        self
    }

    /// Whether anybody may sign up a tenant of their own; they may if not set. Closed, whoever runs the installation creates
    /// the tenants.
    pub fn open_signup(mut self, open: bool) -> Self {
        self.signup_is_open = open;
        self
    }

    /// For how many days lines of the audit trail are kept, from the day they are written; 90 if not set. No line goes before
    /// those that were written before it.
    pub fn audit_days(mut self, days: u32) -> Self {
        self.audit_kept_for = Duration::from_secs(u64::from(days) * 86_400);
        self
    }

    /// The service.
    pub fn build(self) -> Service {
        let own_host = Url::parse(&self.issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
        let inner = Inner {
            webhooks: self.webhooks,
            hooks: self.hooks,
            hook_counts: HookCounts::default(),
            on_delivery: self.on_delivery,
            destinations: Destinations { reach: self.reach, own_host },
            lanes: Lanes::default(),
            store: self.store,
            clock: self.clock,
            random: self.random,
            mailer: self.mailer,
            resolver: self.resolver,
            on_queued: self.on_queued,
            ring: self.ring,
            plans: self.plans,
            issuer: self.issuer,
            hasher: self.hasher,
            signup_is_open: self.signup_is_open,
            audit_kept_for: self.audit_kept_for,
            caches: Caches::default(),
            outbox: Mutex::default(),
            uses: Mutex::new(HashMap::new()),
            calls: Mutex::default(),
            troubled: Mutex::default(),
        };
        Service { inner: Arc::new(inner) }
    }
}

/// Stands in until a mailer is set, and says so to whoever looks at a failed message.
struct NoMailer;

#[async_trait]
impl Mailer for NoMailer {
    async fn send(&self, _message: &Outgoing) -> Result<Receipt, SendError> {
        Err(SendError::Permanent { reason: "no mailer is configured".to_owned() })
    }
}
