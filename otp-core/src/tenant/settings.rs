//! What a tenant sets up for itself, and within which bounds.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::access::OriginPattern;
use crate::error::{Error, InvalidField};
use crate::passcode::PasscodeFormat;
use crate::token::{Algorithm, Claims};

const DAY: u32 = 86_400;
const MAX_CLAIMS_BYTES: usize = 4096;

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

impl Settings {
    /// Whether every setting is within its bounds. Nothing that fails here is ever stored.
    ///
    /// # Errors
    /// [`InvalidField`] naming the first that is not, and its bounds.
    pub fn check(&self) -> Result<(), InvalidField> {
        self.passcode.check()?;
        self.tokens.check()?;
        self.limits.check()?;
        let refuse = |error| Error::invalid_field("invalid_origin", "allowedOrigins", error);
        self.allowed_origins.iter().try_for_each(|origin| origin.clone().for_tenant().map(drop).map_err(refuse))?;
        self.branding.check()
    }
}

impl PasscodeSettings {
    /// Most wrong guesses: few enough that guessing is hopeless at the code's length.
    fn most_attempts(&self) -> u8 {
        if self.format.length() < 6 { 3 } else { 10 }
    }

    fn check(&self) -> Result<(), InvalidField> {
        within("passcode.ttl", self.ttl, 30..=3600)?;
        within("passcode.attempts", self.attempts.into(), 1..=self.most_attempts().into())
    }
}

impl TokenSettings {
    fn check(&self) -> Result<(), InvalidField> {
        within("tokens.accessTtl", self.access_ttl, 60..=30 * DAY)?;
        within("tokens.sessionTtl", self.session_ttl, 60..=365 * DAY)?;
        within("tokens.idleTtl", self.idle_ttl, 60..=self.session_ttl)?;
        let reserved = self.custom_claims.keys().find(|name| Claims::RESERVED.contains(&name.as_str()));
        if let Some(name) = reserved {
            return Err(invalid("tokens.customClaims", format!("`{name}` is the token's own; use another name")));
        }
        let bytes = serde_json::to_vec(&self.custom_claims).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_CLAIMS_BYTES {
            return Err(invalid("tokens.customClaims", format!("keep them within {MAX_CLAIMS_BYTES} bytes of JSON")));
        }
        Ok(())
    }
}

impl LimitSettings {
    fn check(&self) -> Result<(), InvalidField> {
        within("limits.perRecipient", self.per_recipient, 1..=u32::MAX)?;
        within("limits.emailCooldown", self.email_cooldown, 0..=3600)?;
        within("limits.phoneCooldown", self.phone_cooldown, 0..=3600)?;
        within("limits.perIp", self.per_ip, 1..=u32::MAX)?;
        within("limits.perTenant", self.per_tenant.unwrap_or(1), 1..=u32::MAX)?;
        within("limits.guessesPerRecipient", self.guesses_per_recipient, 1..=u32::MAX)?;
        within("limits.guessesPerIp", self.guesses_per_ip, 1..=u32::MAX)
    }
}

impl Branding {
    fn check(&self) -> Result<(), InvalidField> {
        let is_line = |text: &str| {
            let text = text.trim();
            (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        if !self.app_name.as_deref().is_none_or(is_line) {
            return Err(invalid("branding.appName", "use 1 to 200 characters on one line"));
        }
        let is_page = |text: &str| {
            Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http" | "mailto")) && text.len() <= 2048
        };
        if !self.support_url.as_deref().is_none_or(is_page) {
            return Err(invalid(
                "branding.supportUrl",
                "use an https, http or mailto address of up to 2048 characters",
            ));
        }
        Ok(())
    }
}

fn within(field: &'static str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), InvalidField> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(invalid(field, format!("use {} to {}", bounds.start(), bounds.end())))
}

fn invalid(field: &'static str, message: impl ToString) -> InvalidField {
    Error::invalid_field("invalid_field", field, message)
}
