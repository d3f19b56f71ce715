//! Recipients that nothing more is sent to: their mailbox does not exist, or they have said that they want nothing.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::tenant::Space;

/// For how long a provider's refusal is believed that it takes back without telling: then it is asked again.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionReason {
    /// The recipient's server says that there is no such mailbox.
    HardBounce,
    /// The recipient called a message unwanted.
    Complaint,
    /// The recipient answered STOP.
    Stop,
    /// The tenant wants it.
    Manual,
}

impl SuppressionReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HardBounce, Self::Complaint, Self::Stop, Self::Manual];

    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            SuppressionReason::HardBounce => "hard_bounce",
            SuppressionReason::Complaint => "complaint",
            SuppressionReason::Stop => "stop",
            SuppressionReason::Manual => "manual",
        }
    }

    /// Whether it is the recipient's own wish, which outlives the erasure of what is held about them.
    pub(crate) const fn is_wish(self) -> bool {
        matches!(self, SuppressionReason::Complaint | SuppressionReason::Stop)
    }
}

/// The text names no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use hard_bounce, complaint, stop or manual")]
pub struct UnknownReason;

impl FromStr for SuppressionReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReason)
    }
}

/// A recipient that nothing is sent to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suppression {
    /// Tenant and mode.
    pub space: Space,
    /// Who.
    pub subject: SubjectKey,
    /// The address, sealed; `None` once what was held about them was erased.
    pub address: Option<Sealed>,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub at: Timestamp,
    /// Who told of it; `None` where the tenant did.
    pub provider: Option<String>,
    /// The tenant's words on it, sealed.
    pub note: Option<Sealed>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl Suppression {
    /// The key of a subject's.
    pub(crate) fn key_of(space: Space, subject: &SubjectKey) -> Key {
        Key::new::<Self>(space.tenant, subject.as_bytes())
    }

    /// When one ends by itself that a provider's word on a message is the cause of: a provider does not tell of every STOP
    /// that is taken back.
    pub(crate) fn end_of(reason: SuppressionReason, at: Timestamp) -> Option<Timestamp> {
        (reason == SuppressionReason::Stop).then(|| at + BELIEVED)
    }

    /// Whether it counts at this time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it stays until somebody takes it off the list. One that ends by itself gives way to it.
    pub(crate) fn is_lasting(&self) -> bool {
        self.until.is_none()
    }

    /// What stays when all that is held about the subject is erased: their wish, under a digest that only who knows the
    /// address can find.
    pub(crate) fn remnant(&self) -> Option<Self> {
        self.reason.is_wish().then(|| Self { address: None, note: None, ..self.clone() })
    }
}

impl Stored for Suppression {
    const KIND: Kind = Kind::Suppression;

    fn key(&self) -> Key {
        Self::key_of(self.space, &self.subject)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.owner())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.until
    }
}
