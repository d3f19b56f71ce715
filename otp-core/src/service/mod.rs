//! [`Service`], the API that a program calls.
//!
//! Its methods do what must not be in a decision (tell the time, draw randomness, seal, digest, sign), run one command,
//! and word the answer. They are in one file for each part of the API; this one builds the service and holds its caches.

mod alarms;
mod analytics;
mod apps;
mod attempts;
mod audit;
mod builder;
mod caller;
mod calls;
mod claims;
mod configuration;
mod context;
mod cursor;
mod deliveries;
mod delivery;
mod dispatch;
mod domains;
mod erasure;
mod expiry;
mod export;
mod hooks;
mod keys;
mod ledger;
mod limits;
mod listen;
mod member_factor;
mod member_sessions;
mod members;
mod messages;
mod notices;
mod onboarding;
mod otp;
mod outbox;
mod providers;
mod retention;
mod sessions;
mod signup;
mod storage;
mod suppressions;
mod team;
mod templates;
mod tenants;
mod tokens;
mod totp;
mod totp_named;
mod totp_recovery;
mod totp_sign_in;
mod totp_trust;
mod turn;
mod usage;
mod users;
mod visitors;
mod way;
mod webhooks;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api_key::KeyUse;
use crate::clock::{Clock, Timestamp};
use crate::command::{Chained, Told, Trail};
use crate::domain::Resolver;
use crate::error::Error;
use crate::hook::Hooks;
use crate::id::{AuditId, ChallengeId, KeyId, TenantId};
use crate::idempotency::{Idempotency, ReplySlot};
use crate::message::Mailer;
use crate::password::PasswordHasher;
use crate::plan::Plans;
use crate::random::Random;
use crate::secret::{KeyRing, Secret, TenantKeys};
use crate::store::{Command, Store, run};
use crate::tenant::Space;
use crate::webhook::{Destinations, Lanes, WebhookTransport};

pub use analytics::{ErrorReport, Realtime, Report, RouteTimes};
pub use apps::{AppView, NewApp, ResetKey};
pub use attempts::SentEvent;
pub use audit::{AuditQuery, AuditView};
pub use builder::Builder;
pub use caller::{Approach, Caller, Client};
pub(crate) use caller::{SealedClient, place};
pub use calls::RecentCalls;
pub use configuration::{ConfigView, VersionView};
pub(crate) use context::TenantContext;
pub use deliveries::DeliveryQuery;
pub use dispatch::{Unwritten, WebhookClaim, WebhookRun};
pub use domains::{AddedDomain, DomainView};
pub use export::UserExport;
pub use hooks::HookCount;
pub use keys::{CreatedKey, EditKey, KeyView, NewApiKey, RotatedKey};
pub use ledger::{Difference, Ledger};
pub use listen::ToldEvent;
pub use member_factor::{EnabledMemberTotp, SecondFactorOfMember};
pub use member_sessions::{MemberCaller, MemberSessionView, SignedInMember};
pub use members::{MemberProof, MemberView, NewMember};
pub use messages::{MessageQuery, MessageView};
pub use onboarding::OnboardingView;
pub use otp::{Deliver, OtpChallenge, OtpRequest, OtpVerification, Proof};
pub use outbox::{OutboxState, Parcel};
pub use providers::{EditProvider, ProviderUrl, ProviderView};
pub use retention::RetentionRound;
pub use sessions::{Me, SessionView, SignedIn};
pub use signup::{ConfirmSignup, ConfirmedSignup, NewSignup, SignupSecret};
pub use suppressions::{NewSuppression, SuppressionView};
pub use team::{InvitationView, TeamMember};
pub use templates::{MessagePreview, PreviewedMessage, TestEmail};
pub use tenants::{CreatedTenant, EditTenant, NewTenant, TenantView};
pub use totp::{SecondFactorProof, TotpEnrolment, TotpStatus};
pub use totp_named::{NamedCode, NewAuthenticator};
pub use totp_sign_in::{SecondFactorRequired, SecondSignIn};
pub use totp_trust::TrustedDeviceView;
pub use usage::{PlanView, QuotaUse, UsageDay, UsageView};
pub use users::UserView;
pub use way::FallbackStep;
pub use webhooks::{EditEndpoint, EndpointSecret, EndpointView, NewEndpoint};
pub use worker::{Delivered, Sent};

/// How far the noted time may be ahead of the clock. Beyond, it was the clock of whoever noted it that was wrong, and waiting
/// for it would be for ever.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// One page of a list, and where the next one begins.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The entries, newest first.
    pub items: Vec<T>,
    /// What to ask the next page with; `None` at the end.
    pub next: Option<String>,
}

/// The engine. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    mailer: Arc<dyn Mailer>,
    resolver: Option<Arc<dyn Resolver>>,
    on_queued: Box<dyn Fn() + Send + Sync>,
    webhooks: Arc<dyn WebhookTransport>,
    hooks: Option<Arc<dyn Hooks>>,
    hook_counts: hooks::HookCounts,
    on_delivery: Box<dyn Fn() + Send + Sync>,
    destinations: Destinations,
    lanes: Lanes,
    ring: KeyRing,
    plans: Plans,
    issuer: String,
    hasher: Arc<dyn PasswordHasher>,
    signup_is_open: bool,
    audit_kept_for: Duration,
    caches: context::Caches,
    /// Messages this process has leased and not yet begun to send.
    outbox: Mutex<outbox::Outbox>,
    /// Uses of each key since the last flush.
    uses: Mutex<HashMap<(TenantId, KeyId), KeyUse>>,
    /// Calls since the last flush.
    calls: Mutex<calls::NotedCalls>,
    /// Spaces that something went wrong in lately, and when.
    troubled: Mutex<HashMap<Space, Timestamp>>,
}

impl Service {
    /// Begins a service on a store, with the key ring that protects what is in it.
    pub fn builder(store: impl Store, ring: KeyRing) -> Builder {
        Builder::new(Arc::new(store), ring)
    }

    /// The time as the service sees it: that of its clock, unless a service on the same store has noted a later one. Then it
    /// stands still until the clock has caught up, so that what has expired stays expired also when a machine starts with its
    /// clock set back.
    pub fn now(&self) -> Timestamp {
        let clock = self.inner.clock.now();
        let noted = self.inner.caches.noted_time();
        if clock < noted && noted < clock + BELIEVED { noted } else { clock }
    }

    /// How far the clock is behind the time at which the service stands still; `None` while time goes on.
    pub fn standstill(&self) -> Option<Duration> {
        let behind = self.now().since(self.inner.clock.now());
        (behind > Duration::from_secs(1)).then_some(behind)
    }

    /// The plans on offer.
    pub fn plans(&self) -> &Plans {
        &self.inner.plans
    }

    /// The public URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.inner.issuer
    }

    /// The store, for what a program reads beside the service.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    fn random(&self) -> &dyn Random {
        &*self.inner.random
    }

    async fn run<C: Command>(&self, command: C) -> Result<C::Outcome, Error> {
        let tenant = command.recorded_in().tenant();
        let keys = command.is_recorded().then(|| self.tenant_keys(tenant));
        let command = Chained { command, keys, kept_for: self.inner.audit_kept_for };
        let told = Told { command, subscribers: self.subscribers(tenant).await? };
        let (outcome, is_any_to_send) = run(&*self.inner.store, told).await?;
        if is_any_to_send {
            (self.inner.on_delivery)();
        }
        outcome
    }

    /// Runs a command that changes tenants or keys, then forgets what was cached of them.
    async fn change<C: Command>(&self, command: C) -> Result<C::Outcome, Error> {
        let outcome = self.run(command).await;
        self.inner.caches.forget();
        outcome
    }

    fn reply_slot(
        &self,
        request: Option<Idempotency>,
        tenant: TenantId,
        caller: &[u8],
        keys: &TenantKeys,
    ) -> Option<ReplySlot> {
        let request = request?;
        let nonce = self.random().bytes();
        let (caller, keys) = (caller.to_vec(), keys.clone());
        Some(ReplySlot { request, tenant, caller, keys, nonce, now: self.now(), subject: None })
    }

    fn trail(&self, caller: &Caller) -> Trail {
        Trail {
            id: AuditId::new(self.now(), self.random()),
            actor: caller.actor(),
            client: caller.client.sealed_for_audit(&caller.context.keys, self.random()),
            request_id: caller.client.request_id.clone(),
            operation: caller.client.operation.clone(),
            at: self.now(),
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The code of a challenge, for the two callers that may see one: test keys, and secret keys that deliver themselves.
struct Revealed(Option<Secret>);

impl Revealed {
    fn of(derivation: crate::passcode::Derivation<'_>, keys: &TenantKeys, may_see: bool) -> Self {
        Self(if may_see { derivation.code(keys) } else { None })
    }
}

fn parse_cursor<T: std::str::FromStr>(cursor: Option<&str>) -> Result<Option<T>, Error> {
    let read = |text: &str| {
        text.parse().map_err(|_| Error::invalid("invalid_cursor", "cursor", "use nextCursor as it was given"))
    };
    cursor.map(read).transpose()
}

/// Reads a challenge id as the wire spells it.
///
/// # Errors
/// [`Error::OtpNotFound`]: what is no id names no challenge.
pub fn parse_challenge(text: &str) -> Result<ChallengeId, Error> {
    text.parse().map_err(|_| Error::OtpNotFound)
}
