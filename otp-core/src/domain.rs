//! Domains that a tenant's mail may come from: proven by a TXT record that only who runs the domain's DNS can publish.
//!
//! Each tenant has a token of its own for each domain, so several may prove the same one, as agencies and their clients do,
//! and nobody can keep the owner out by being first. The record has to stay: it is looked up every day.

mod name;
mod report;
mod resolver;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::random::Random;
use crate::secret::Digest32;
use crate::store::{Due, Key, Kind, Read, SmallBytes, Stored};
use crate::subject::EmailAddress;

pub use name::{DomainName, InvalidDomain};
pub use report::{Dmarc, Fact, InvalidSelector, MailReport, Selector};
pub use resolver::{Lookup, Resolver};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);
/// How long the record may take to appear, and how long it may be gone before the domain is no longer verified.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// How long a domain that has expired is kept for the tenant to look at.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Values of others that are kept, and characters of each.
const MOST_VALUES: usize = 5;
const LONGEST_VALUE: usize = 120;

/// What has been proven so far. Time does the rest: see [`Domain::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum DomainState {
    /// Nothing yet.
    Pending,
    /// The record was there when it was last looked up.
    Verified {
        /// Since when.
        at: Timestamp,
    },
    /// The record was there once and is gone.
    Lost {
        /// Since when it was there.
        verified_at: Timestamp,
        /// When it was first missing.
        at: Timestamp,
    },
}

/// How a domain stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainStatus {
    /// Waits for the record, for seven days.
    Pending,
    /// Mail may come from it.
    Verified,
    /// The record is gone. Mail may come from it for seven more days.
    Lost,
    /// The record did not appear, or did not come back, in time.
    Expired,
}

impl DomainStatus {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            DomainStatus::Pending => "pending",
            DomainStatus::Verified => "verified",
            DomainStatus::Lost => "lost",
            DomainStatus::Expired => "expired",
        }
    }
}

/// What a look-up of the record came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Finding {
    /// The record is there.
    Published,
    /// No record is there at all.
    Nothing,
    /// There are records, with other values.
    Other {
        /// Some of them, shortened.
        values: Vec<String>,
    },
    /// The DNS gave no answer, which says nothing about the record.
    Failed {
        /// Why.
        reason: String,
    },
}

impl Finding {
    /// What the answer means for whoever has to publish `value`.
    pub fn of(lookup: &Lookup, value: &str) -> Self {
        let shorten = |found: &String| found.chars().take(LONGEST_VALUE).collect();
        match lookup {
            Lookup::Found(values) if values.iter().any(|found| found.trim() == value) => Finding::Published,
            Lookup::Found(values) => Finding::Other { values: values.iter().take(MOST_VALUES).map(shorten).collect() },
            Lookup::NotFound => Finding::Nothing,
            Lookup::Failed { reason } => Finding::Failed { reason: shorten(reason) },
        }
    }
}

/// A tenant's domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Domain {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub name: DomainName,
    /// What the record has to say, `otpauth-verify=…`: 160 random bits, of this tenant and domain alone. Not a secret.
    pub value: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// What has been proven.
    pub state: DomainState,
    /// When the record was last looked up.
    pub checked_at: Option<Timestamp>,
    /// What that came to.
    pub finding: Option<Finding>,
    /// When the record is to be looked up again, and who does.
    #[serde(skip)]
    pub due: Due,
}

impl Domain {
    /// One that nothing has been proven of.
    pub fn new(tenant: TenantId, name: DomainName, now: Timestamp, random: &dyn Random) -> Self {
        let token: String = random.bytes::<20>().iter().map(|byte| format!("{byte:02x}")).collect();
        let due = Due { at: Some(now + MINUTE), lease: None };
        Self {
            tenant,
            name,
            value: format!("otpauth-verify={token}"),
            created_at: now,
            state: DomainState::Pending,
            checked_at: None,
            finding: None,
            due,
        }
    }

    /// Where the record of this tenant and name stands in the store.
    pub fn key_of(tenant: TenantId, name: &DomainName) -> Key {
        Key::new::<Self>(tenant, &Digest32::of(name.as_str().as_bytes()).0)
    }

    /// How it stands.
    pub fn status(&self, now: Timestamp) -> DomainStatus {
        if self.ends_at().is_some_and(|end| end <= now) {
            return DomainStatus::Expired;
        }
        match self.state {
            DomainState::Pending => DomainStatus::Pending,
            DomainState::Verified { .. } => DomainStatus::Verified,
            DomainState::Lost { .. } => DomainStatus::Lost,
        }
    }

    /// When it expires unless the record is found; `None` while the record is there.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.state {
            DomainState::Pending => Some(self.created_at + WEEK),
            DomainState::Verified { .. } => None,
            DomainState::Lost { at, .. } => Some(at + WEEK),
        }
    }

    /// Since when it has been verified.
    pub fn verified_at(&self) -> Option<Timestamp> {
        match self.state {
            DomainState::Pending => None,
            DomainState::Verified { at } | DomainState::Lost { verified_at: at, .. } => Some(at),
        }
    }

    /// Whether mail may come from this address now: the domain is verified, or lost less than seven days ago, and the
    /// address is of the domain itself or of a name below it.
    pub fn covers(&self, address: &EmailAddress, now: Timestamp) -> bool {
        let is_good = matches!(self.status(now), DomainStatus::Verified | DomainStatus::Lost);
        is_good && self.name.spans(address.domain())
    }

    /// What a command has to read to ask every domain of the tenant that could [cover](Self::covers) the address.
    pub fn reads_for(tenant: TenantId, address: &EmailAddress) -> Vec<Read> {
        let names = name::with_parents(address.domain());
        names.map(|name| Read::Record(Self::key_of(tenant, &name))).collect()
    }

    /// As it stands after a look-up, and when the next one is due. A failure of the DNS proves nothing, and what has expired
    /// stays expired.
    pub(crate) fn after(&self, finding: Finding, now: Timestamp) -> Self {
        let is_over = self.status(now) == DomainStatus::Expired;
        let state = match (self.state, &finding) {
            (state, _) if is_over => state,
            (state @ DomainState::Verified { .. }, Finding::Published) => state,
            (_, Finding::Published) => DomainState::Verified { at: self.verified_at().unwrap_or(now) },
            (DomainState::Verified { at: verified_at }, Finding::Nothing | Finding::Other { .. }) => {
                DomainState::Lost { verified_at, at: now }
            }
            (state, _) => state,
        };
        let failed = matches!(finding, Finding::Failed { .. });
        let next = Self { state, checked_at: Some(now), finding: Some(finding), ..self.clone() };
        Self { due: Due { at: next.next_check(failed, now), lease: None }, ..next }
    }

    /// A pending one ever more seldom, up to an hour apart; a verified one every day.
    fn next_check(&self, failed: bool, now: Timestamp) -> Option<Timestamp> {
        match self.status(now) {
            DomainStatus::Pending => Some(now + now.since(self.created_at).clamp(MINUTE, HOUR)),
            DomainStatus::Verified if failed => Some(now + HOUR),
            DomainStatus::Verified => Some(now + DAY),
            DomainStatus::Lost => Some(now + HOUR),
            DomainStatus::Expired => None,
        }
    }

    /// What keeps it from being verified, as far as the last look-up tells.
    pub fn problem(&self) -> Option<String> {
        let place = self.name.record_name();
        match self.finding.as_ref()? {
            Finding::Published => None,
            Finding::Nothing => Some(format!(
                "there is no TXT record at {place}; a change of the DNS can take an hour until it is seen everywhere"
            )),
            Finding::Other { values } => {
                let found: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
                Some(format!("the TXT record at {place} says {} instead of `{}`", found.join(", "), self.value))
            }
            Finding::Failed { reason } => Some(format!(
                "the DNS gave no answer about {place} ({reason}); nothing has changed by that, and it is asked again"
            )),
        }
    }
}

impl Stored for Domain {
    const KIND: Kind = Kind::Domain;

    fn key(&self) -> Key {
        Self::key_of(self.tenant, &self.name)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.ends_at().map(|end| end + KEPT_FOR)
    }

    fn due(&self) -> Option<&Due> {
        Some(&self.due)
    }

    fn due_mut(&mut self) -> Option<&mut Due> {
        Some(&mut self.due)
    }
}
