//! Endpoints: where a tenant wants to hear of which events.
//!
//! The one of the simple case is what the tenant's settings say (`webhookConfig`): its record holds only how it stands, and is
//! there only once there is something to hold. The others have all in their own record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SigningSecret;
use crate::clock::Timestamp;
use crate::destination::{Destination, Reach};
use crate::error::{Error, InvalidField};
use crate::event::{EventFilter, EventKind};
use crate::id::{EndpointId, TenantId};
use crate::secret::{CannotOpen, Digest32, Sealed, TenantKeys};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::tenant::{Mode, Tenant};

/// How long an old secret signs beside its successor, if nothing else is wanted.
pub(crate) const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
pub(crate) const LONGEST_DESCRIPTION: usize = 200;
pub(crate) const MOST_HEADERS: usize = 16;
const LONGEST_HEADER: usize = 1024;
const MOST_EVENTS: usize = 100;
const MOST_PER_SECOND: u32 = 1_000;
/// What a request has anyhow, or what would make it another one.
const TAKEN: [&str; 15] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const TAKEN_PREFIXES: [&str; 4] = ["webhook-", "x-otp-", "proxy-", "x-forwarded-"];

/// Whether deliveries leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum EndpointState {
    /// They do.
    Enabled,
    /// The tenant wants them to wait.
    Paused,
    /// The service has given the endpoint up: they wait.
    Disabled {
        /// When.
        at: Timestamp,
        /// Why.
        why: WhyDisabled,
    },
}

/// Why the service gave an endpoint up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyDisabled {
    /// It answered 410.
    Gone,
    /// For five days it has taken nothing.
    Failing,
}

impl WhyDisabled {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            WhyDisabled::Gone => "gone",
            WhyDisabled::Failing => "failing",
        }
    }
}

/// How deliveries went lately. It is written down at most twice an hour, however much is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Since when nothing was taken.
    pub failing_since: Option<Timestamp>,
    /// When this was written down.
    pub noted_at: Option<Timestamp>,
}

/// A secret whose successor signs already; while both are in use, requests have two signatures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retiring {
    /// The secret, sealed.
    pub secret: Sealed,
    /// How long it signs.
    pub until: Timestamp,
}

/// What an endpoint has of its own, where the settings do not say it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Own {
    /// Whose events it hears of.
    pub mode: Mode,
    /// Where it is.
    pub url: String,
    /// What its owner says of it.
    pub description: String,
    /// What it wants to hear of.
    pub events: Vec<EventFilter>,
    /// What signs, sealed.
    pub secret: Sealed,
    /// Headers of every request to it: names in lower case, values sealed.
    pub headers: Vec<(String, Sealed)>,
    /// Requests that it takes in a second; as many as there are, if not set.
    pub per_second: Option<u32>,
}

/// An endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// Identifier.
    pub id: EndpointId,
    /// Whose.
    pub tenant: TenantId,
    /// What it has of its own; none of the one of the simple case.
    pub own: Option<Own>,
    /// Whether deliveries leave.
    pub state: EndpointState,
    /// How they went lately.
    pub health: Health,
    /// The secret before.
    pub retiring: Option<Retiring>,
    /// Since when it is there.
    pub created_at: Timestamp,
}

/// The id of the endpoint of the simple case.
pub(crate) fn simple_id(tenant: TenantId) -> EndpointId {
    let digest = Digest32::of(&[b"simple endpoint", tenant.as_bytes().as_slice()].concat());
    EndpointId::from_bytes(digest.0[..16].try_into().unwrap_or_default())
}

impl Endpoint {
    /// The endpoint of the simple case, of which nothing is noted.
    pub fn simple(tenant: &Tenant) -> Self {
        Self {
            id: simple_id(tenant.id),
            tenant: tenant.id,
            own: None,
            state: EndpointState::Enabled,
            health: Health::default(),
            retiring: None,
            created_at: tenant.created_at,
        }
    }

    /// Where the record stands in the store.
    pub fn key_of(tenant: TenantId, id: EndpointId) -> Key {
        Key::new::<Self>(tenant, id.as_bytes())
    }

    /// Where it is; `None` where the settings name no URL any more.
    pub fn url<'a>(&'a self, tenant: &'a Tenant) -> Option<&'a str> {
        match &self.own {
            Some(own) => Some(&own.url),
            None => tenant.settings.webhook.url.as_deref(),
        }
    }

    /// What it wants to hear of.
    pub fn events<'a>(&'a self, tenant: &'a Tenant) -> &'a [EventFilter] {
        self.own.as_ref().map_or(&tenant.settings.webhook.events, |own| &own.events)
    }

    /// Whether it wants to hear of such an event.
    pub fn wants(&self, tenant: &Tenant, mode: Mode, kind: EventKind) -> bool {
        self.is_of(mode) && self.url(tenant).is_some() && self.events(tenant).iter().any(|filter| filter.admits(kind))
    }

    /// Whether it hears of what happens in this mode; that of the simple case does of both.
    pub fn is_of(&self, mode: Mode) -> bool {
        self.own.as_ref().is_none_or(|own| own.mode == mode)
    }

    /// What signs now, the newest first.
    ///
    /// # Errors
    /// [`CannotOpen`] under keys that they were not sealed with.
    pub fn secrets(
        &self,
        tenant: &Tenant,
        keys: &TenantKeys,
        now: Timestamp,
    ) -> Result<Vec<SigningSecret>, CannotOpen> {
        Ok(self.opened(tenant, keys, now)?.at(now).cloned().collect())
    }

    /// What signs now and later. One whose time is over is left alone: the key that it was sealed with may be gone.
    ///
    /// # Errors
    /// As [`secrets`](Self::secrets).
    pub(crate) fn opened(
        &self,
        tenant: &Tenant,
        keys: &TenantKeys,
        now: Timestamp,
    ) -> Result<OpenedSecrets, CannotOpen> {
        let newest = self.own.as_ref().map_or(&tenant.webhook_secret, |own| &own.secret);
        let open = |sealed| {
            let text = keys.open_text(&self.secret_place(), sealed)?;
            SigningSecret::parse(&text).map_err(|_| CannotOpen)
        };
        let retiring = self.retiring.as_ref().filter(|retiring| now < retiring.until);
        let retiring = retiring.map(|retiring| Ok((open(&retiring.secret)?, retiring.until)));
        Ok(OpenedSecrets { newest: open(newest)?, retiring: retiring.transpose()? })
    }

    /// Where its secrets are sealed.
    pub fn secret_place(&self) -> Vec<u8> {
        match self.own {
            Some(_) => Self::place(b"endpoint.secret", self.id),
            None => Tenant::WEBHOOK_SECRET.to_vec(),
        }
    }

    /// Where something of an endpoint is sealed.
    pub(crate) fn place(what: &[u8], id: EndpointId) -> Vec<u8> {
        [what, id.as_bytes()].concat()
    }
}

/// The secrets of an endpoint.
pub(crate) struct OpenedSecrets {
    newest: SigningSecret,
    retiring: Option<(SigningSecret, Timestamp)>,
}

impl OpenedSecrets {
    /// Those that sign now, the newest first.
    pub fn at(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let retiring = self.retiring.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.newest).chain(retiring.map(|(secret, _)| secret))
    }
}

impl Stored for Endpoint {
    const KIND: Kind = Kind::Endpoint;

    fn key(&self) -> Key {
        Self::key_of(self.tenant, self.id)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }
}

/// Where tenants may have events sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destinations {
    pub reach: Reach,
    /// The host that this server itself is known by.
    pub own_host: Option<String>,
}

impl Destinations {
    /// Whether events may be sent to this URL, as far as its text tells: where a name leads is looked at on every attempt.
    pub fn check(&self, field: &'static str, text: &str) -> Result<(), InvalidField> {
        let wrong = |why: &dyn ToString| Error::invalid_field("invalid_webhook_url", field, why.to_string());
        let destination = Destination::parse(text, self.reach).map_err(|error| wrong(&error))?;
        // A dot at the end is the root of the DNS: the same host.
        let [named, own] = [destination.url().host_str(), self.own_host.as_deref()]
            .map(|host| host.map(|host| host.trim_end_matches('.')));
        let is_own = self.reach == Reach::Public && named == own;
        if is_own { Err(wrong(&"that is this service itself; name a receiver of your own")) } else { Ok(()) }
    }
}

/// The events of an endpoint, as they are read.
pub(crate) fn check_events(events: &[String]) -> Result<Vec<EventFilter>, Error> {
    let wrong = |why: &dyn ToString| Error::invalid("invalid_field", "events", why.to_string());
    if events.is_empty() || events.len() > MOST_EVENTS {
        return Err(wrong(&"name at least one event, or `*` for all"));
    }
    events.iter().map(|name| name.parse().map_err(|error| wrong(&error))).collect()
}

pub(crate) fn check_rate(per_second: Option<u32>) -> Result<Option<u32>, Error> {
    if per_second.is_none_or(|rate| (1..=MOST_PER_SECOND).contains(&rate)) {
        return Ok(per_second);
    }
    Err(Error::invalid("invalid_field", "ratePerSecond", format!("use 1 to {MOST_PER_SECOND}, or null")))
}

/// Names in lower case. A value may be anything that a header can hold; what the request has anyhow is refused.
pub(crate) fn check_headers(headers: Vec<(String, String)>) -> Result<Vec<(String, String)>, Error> {
    let wrong = |why: String| Error::invalid("invalid_header", "headers", why);
    if headers.len() > MOST_HEADERS {
        return Err(wrong(format!("use at most {MOST_HEADERS}")));
    }
    let mut checked: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) {
            return Err(wrong("a name has 1 to 64 of the signs that HTTP allows (RFC 9110 section 5.6.2)".to_owned()));
        }
        if TAKEN.contains(&name.as_str()) || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(wrong(format!("`{name}` is set by the service; use another name")));
        }
        if checked.iter().any(|(known, _)| *known == name) {
            return Err(wrong(format!("`{name}` stands twice")));
        }
        let is_text = value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
        if value.is_empty() || value.len() > LONGEST_HEADER || !is_text || value.trim() != value {
            return Err(wrong(format!("the value of `{name}` has 1 to {LONGEST_HEADER} printable ASCII characters")));
        }
        checked.push((name, value));
    }
    Ok(checked)
}
