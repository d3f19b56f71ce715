//! Tenants: who they are, what state they are in, and how they set the service up for themselves.

mod channels;
mod document;
mod hooks;
mod look;
mod passcode;
mod privacy;
mod second_factor;
mod settings;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::TenantId;
use crate::onboarding::Step;
use crate::secret::{CannotOpen, Sealed, TenantKeys};
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::EmailAddress;

pub use channels::{ChannelSettings, Channels, PaidChannel};
pub use document::Change;
pub use hooks::{HookSettings, HookTarget, OnFailure};
pub use look::{Branding, EmailSettings};
pub use passcode::PasscodeSettings;
pub use privacy::PrivacySettings;
pub use second_factor::SecondFactorPolicy;
pub(crate) use settings::MAX_CLAIMS_BYTES;
pub use settings::{LimitSettings, Settings, TokenSettings, WebhookSettings};

/// Live data or test data; a tenant's two modes share nothing but its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Real users, real messages, billed.
    Live,
    /// Sends nothing, bills nothing, shows codes in its answers.
    Test,
}

impl Mode {
    /// Both.
    pub const ALL: [Mode; 2] = [Mode::Live, Mode::Test];

    /// The byte that tells modes apart in digests and stored keys.
    pub const fn byte(self) -> u8 {
        match self {
            Mode::Live => b'l',
            Mode::Test => b't',
        }
    }

    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Test => "test",
        }
    }
}

/// A tenant's data of one mode: what users, challenges, sessions, messages and events belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Space {
    /// Whose data.
    pub tenant: TenantId,
    /// Which of its two kinds.
    pub mode: Mode,
}

impl Space {
    /// The owner that lists everything of one kind in this space.
    pub fn owner(&self) -> SmallBytes {
        SmallBytes::concat(&[self.tenant.as_bytes(), &[self.mode.byte()]])
    }
}

/// Whether a tenant may use the service. Only `Active` may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantStatus {
    /// Signed up, address not yet proven.
    Pending,
    /// In good standing.
    Active,
    /// Stopped by the platform administrator, for a time.
    Suspended,
    /// Ended, by itself or by the administrator.
    Cancelled,
}

impl TenantStatus {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            TenantStatus::Pending => "pending",
            TenantStatus::Active => "active",
            TenantStatus::Suspended => "suspended",
            TenantStatus::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for TenantStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A customer of the service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// Identifier.
    pub id: TenantId,
    /// Display name; messages carry it unless the branding says otherwise.
    pub name: String,
    /// Contact address, sealed.
    pub email: Sealed,
    /// Legal name, where one was given.
    pub company_name: Option<String>,
    /// Name of the plan, looked up in [`crate::plan::Plans`].
    pub plan: String,
    /// Standing.
    pub status: TenantStatus,
    /// Since when.
    pub status_changed_at: Timestamp,
    /// Why, in the words of whoever changed it.
    pub status_reason: Option<String>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Signs the events, sealed.
    pub webhook_secret: Sealed,
    /// What the tenant set up for itself: on the heap, for a record of any kind is as large as the largest.
    pub settings: Box<Settings>,
    /// How often it did, counted from 1.
    #[serde(default = "first_version")]
    pub config_version: u64,
    /// Steps of the onboarding that the tenant does not want to take.
    #[serde(default)]
    pub skipped_steps: Vec<Step>,
    /// When all that is held of it goes, if an owner has ended it.
    #[serde(default)]
    pub erase_at: Option<Timestamp>,
}

fn first_version() -> u64 {
    1
}

impl Tenant {
    /// Where the contact address is sealed.
    pub const EMAIL: &'static [u8] = b"tenant.email";
    /// Where the webhook secret is sealed.
    pub const WEBHOOK_SECRET: &'static [u8] = b"tenant.webhook_secret";
    /// The owner that lists all tenants.
    pub const ALL: SmallBytes = SmallBytes::EMPTY;

    /// Whether an owner has ended it so long ago that what is held of it goes.
    pub fn is_to_be_erased(&self, now: Timestamp) -> bool {
        self.status == TenantStatus::Cancelled && self.erase_at.is_some_and(|at| at <= now)
    }

    /// The contact address.
    ///
    /// # Errors
    /// [`Error::CannotOpen`] under keys that it was not sealed with.
    pub fn contact(&self, keys: &TenantKeys) -> Result<EmailAddress, Error> {
        let address = keys.open_text(Self::EMAIL, &self.email)?;
        address.parse().map_err(|_| Error::Internal("a contact address that was accepted is none".to_owned()))
    }
}

impl Tenant {
    /// The last characters of a secret that signs events, for people who compare.
    pub(crate) fn masked_secret(&self, sealed: &Sealed, keys: &TenantKeys) -> Result<String, CannotOpen> {
        let secret = keys.open_text(Self::WEBHOOK_SECRET, sealed)?;
        let shown: String = secret.chars().skip(secret.chars().count().saturating_sub(4)).collect();
        Ok(format!("••••{shown}"))
    }
}

impl Stored for Tenant {
    const KIND: Kind = Kind::Tenant;

    fn key(&self) -> Key {
        Key::new::<Self>(self.id, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(Self::ALL)
    }
}
