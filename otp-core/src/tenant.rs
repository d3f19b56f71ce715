//! Tenants: who they are, what state they are in, and how they set the service up for themselves.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::access::OriginPattern;
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::passcode::PasscodeFormat;
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::token::Algorithm;

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
    /// Where events are to be sent.
    pub webhook_url: Option<String>,
    /// Signs the events, sealed.
    pub webhook_secret: Sealed,
    /// What the tenant set up for itself.
    pub settings: Settings,
}

impl Tenant {
    /// Where the contact address is sealed.
    pub const EMAIL: &'static [u8] = b"tenant.email";
    /// Where the webhook secret is sealed.
    pub const WEBHOOK_SECRET: &'static [u8] = b"tenant.webhook_secret";
    /// The owner that lists all tenants.
    pub const ALL: SmallBytes = SmallBytes::EMPTY;
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

/// A tenant's own settings; every field has a default, so old rows read as if written today.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Form and life of codes.
    pub passcode: PasscodeSettings,
    /// Tokens and sessions.
    pub tokens: TokenSettings,
    /// Rate limits.
    pub limits: LimitSettings,
    /// Web origins that may call with keys that name none of their own; empty allows any.
    pub allowed_origins: Vec<OriginPattern>,
    /// Networks that may call with keys that name none of their own; empty allows any.
    pub allowed_ips: Vec<IpNet>,
    /// How messages look.
    pub branding: Branding,
}

/// Form and life of codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PasscodeSettings {
    /// Alphabet and length.
    pub format: PasscodeFormat,
    /// Seconds until a code expires.
    pub ttl: u32,
    /// Wrong guesses after which a code is dead.
    pub attempts: u8,
}

impl Default for PasscodeSettings {
    fn default() -> Self {
        Self { format: PasscodeFormat::default(), ttl: 600, attempts: 5 }
    }
}

/// Tokens and sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenSettings {
    /// What new tokens are signed with.
    pub algorithm: Algorithm,
    /// Seconds an access token lives.
    pub access_ttl: u32,
    /// Seconds a session lives without being refreshed.
    pub idle_ttl: u32,
    /// Seconds a session lives at most.
    pub session_ttl: u32,
    /// Claims added to every access token; registered names are never overridden.
    pub custom_claims: serde_json::Map<String, serde_json::Value>,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Hs256,
            access_ttl: 7 * 3600,
            idle_ttl: 7 * 86_400,
            session_ttl: 30 * 86_400,
            custom_claims: serde_json::Map::new(),
        }
    }
}

/// Rate limits: abuse, as against quotas, which are the plan's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitSettings {
    /// Codes one recipient is sent in any hour.
    pub per_recipient: u32,
    /// Seconds between two mails to one recipient.
    pub email_cooldown: u32,
    /// Seconds between two text messages to one recipient.
    pub phone_cooldown: u32,
    /// Codes one client address asks for in any hour.
    pub per_ip: u32,
    /// Codes the whole tenant asks for in any hour; `None` leaves it to the plan.
    pub per_tenant: Option<u32>,
    /// Wrong guesses at one recipient's codes in any hour, over all of them.
    pub guesses_per_recipient: u32,
    /// Wrong guesses of one client address in any hour.
    pub guesses_per_ip: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            per_recipient: 3,
            email_cooldown: 0,
            phone_cooldown: 30,
            per_ip: 100,
            per_tenant: None,
            guesses_per_recipient: 15,
            guesses_per_ip: 100,
        }
    }
}

/// How messages look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Branding {
    /// The name in subject and text; the tenant's name if there is none.
    pub app_name: Option<String>,
    /// Where the recipient finds help.
    pub support_url: Option<String>,
}
