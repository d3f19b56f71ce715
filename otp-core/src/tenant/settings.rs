//! What a tenant sets up for itself, and within which bounds. Rows and wire have the same names; those of schema version 1 are
//! read as well.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use super::channels::Channels;
use super::hooks::HookSettings;
use super::look::{Branding, EmailSettings};
use super::passcode::PasscodeSettings;
use super::privacy::PrivacySettings;
use super::second_factor::SecondFactorPolicy;
use crate::access::{OriginPattern, parse_network};
use crate::error::{Error, InvalidField};
use crate::event::EventFilter;
use crate::plan::{Feature, Plan};
use crate::template::{OwnTemplates, TemplateEntry, check_entries};
use crate::token::{Algorithm, Claims};

const DAY: u32 = 86_400;
/// Of claims of a tenant's own, as JSON.
pub(crate) const MAX_CLAIMS_BYTES: usize = 4096;
/// Of a list.
const MOST_ENTRIES: usize = 100;
pub(super) const LONGEST_URL: usize = 2048;

/// A tenant's own settings; every field has a default, so old rows read as if written today.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Settings {
    /// Who mails are from.
    #[serde(rename = "emailConfig")]
    pub email: EmailSettings,
    /// Rate limits.
    #[serde(rename = "rateLimits", alias = "limits")]
    pub limits: LimitSettings,
    /// Where events are sent.
    #[serde(rename = "webhookConfig")]
    pub webhook: WebhookSettings,
    /// Who has a say in what is sent and in what tokens hold.
    pub hooks: HookSettings,
    /// Web origins that may call with keys that name none of their own; empty allows any.
    #[serde(alias = "allowed_origins")]
    pub allowed_origins: Vec<OriginPattern>,
    /// Networks that may call with keys that name none of their own; empty allows any.
    #[serde(alias = "allowed_ips", deserialize_with = "networks")]
    pub allowed_ips: Vec<IpNet>,
    /// Tokens and sessions.
    pub tokens: TokenSettings,
    /// Form and life of codes.
    pub passcode: PasscodeSettings,
    /// Whether users need more than a code to sign in.
    pub second_factor: SecondFactorPolicy,
    /// The ways messages travel.
    pub channels: Channels,
    /// How messages look.
    pub branding: Branding,
    /// Templates for a purpose, a language, or both; those for all mails are in the section of mails.
    pub templates: Vec<TemplateEntry>,
    /// How long what is about people is kept.
    pub privacy: PrivacySettings,
}

/// Tokens and sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TokenSettings {
    /// What new tokens are signed with.
    pub algorithm: Algorithm,
    /// Seconds an access token lives.
    #[serde(alias = "access_ttl")]
    pub access_ttl: u32,
    /// Seconds a session lives without being refreshed.
    #[serde(alias = "idle_ttl")]
    pub idle_ttl: u32,
    /// Seconds a session lives at most.
    #[serde(alias = "session_ttl")]
    pub session_ttl: u32,
    /// Claims added to every access token; registered names are never overridden.
    #[serde(alias = "custom_claims")]
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
#[serde(default, rename_all = "camelCase")]
pub struct LimitSettings {
    /// Codes the whole tenant asks for in any hour; `None` leaves it to the plan.
    #[serde(rename = "otpRequestsPerHour", alias = "per_tenant")]
    pub per_tenant: Option<u32>,
    /// Codes the whole tenant asks for in a calendar day (UTC); `None` leaves it to the plan.
    #[serde(rename = "otpRequestsPerDay")]
    pub per_tenant_day: Option<u32>,
    /// Users of live mode; `None` leaves it to the plan.
    pub max_users: Option<u32>,
    /// Codes one recipient is sent in any hour.
    #[serde(alias = "per_recipient")]
    pub per_recipient: u32,
    /// Seconds between two mails to one recipient.
    #[serde(alias = "email_cooldown")]
    pub email_cooldown: u32,
    /// Seconds between two text messages to one recipient.
    #[serde(alias = "phone_cooldown")]
    pub phone_cooldown: u32,
    /// Codes one client address asks for in any hour.
    #[serde(alias = "per_ip")]
    pub per_ip: u32,
    /// Text and WhatsApp messages to the numbers that begin with the same seven digits, in any hour.
    pub per_prefix: u32,
    /// Wrong guesses at one recipient's codes in any hour, over all of them.
    #[serde(alias = "guesses_per_recipient")]
    pub guesses_per_recipient: u32,
    /// Wrong guesses of one client address in any hour.
    #[serde(alias = "guesses_per_ip")]
    pub guesses_per_ip: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            per_tenant: None,
            per_tenant_day: None,
            max_users: None,
            per_recipient: 3,
            email_cooldown: 0,
            phone_cooldown: 30,
            per_ip: 100,
            per_prefix: 10,
            guesses_per_recipient: 15,
            guesses_per_ip: 100,
        }
    }
}

/// Where events are sent. What signs them is a secret of the tenant's own record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WebhookSettings {
    /// Where to; nowhere, if not set.
    pub url: Option<String>,
    /// Which.
    pub events: Vec<EventFilter>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { url: None, events: vec![EventFilter::All] }
    }
}

impl Settings {
    /// Whether every setting is within its bounds. Nothing that fails here is ever stored.
    ///
    /// # Errors
    /// [`InvalidField`] naming the first that is not, and its bounds.
    pub fn check(&self) -> Result<(), InvalidField> {
        self.email.check()?;
        self.limits.check()?;
        self.webhook.check()?;
        self.hooks.check()?;
        let refuse = |error| Error::invalid_field("invalid_origin", "allowedOrigins", error);
        self.allowed_origins.iter().try_for_each(|origin| origin.clone().for_tenant().map(drop).map_err(refuse))?;
        at_most("allowedOrigins", self.allowed_origins.len(), MOST_ENTRIES)?;
        at_most("allowedIps", self.allowed_ips.len(), MOST_ENTRIES)?;
        self.tokens.check()?;
        self.passcode.check()?;
        self.channels.check()?;
        self.branding.check()?;
        check_entries(&self.templates)?;
        OwnTemplates::check(self)?;
        self.privacy.check()
    }

    /// Whether a plan allows what these settings ask for beyond those `before`.
    ///
    /// # Errors
    /// [`Error::PlanLimit`] naming the first that it does not.
    pub fn check_plan(&self, before: &Self, plan: &Plan) -> Result<(), Error> {
        let above = |limit: Option<u32>, old: Option<u32>, plan: Option<u64>| {
            limit != old && limit.zip(plan).is_some_and(|(limit, plan)| u64::from(limit) > plan)
        };
        let (limits, old) = (&self.limits, &before.limits);
        let refusals = [
            (
                above(limits.per_tenant, old.per_tenant, plan.otp_per_day),
                "rateLimits.otpRequestsPerHour above its quota",
            ),
            (
                above(limits.per_tenant_day, old.per_tenant_day, plan.otp_per_day),
                "rateLimits.otpRequestsPerDay above its quota",
            ),
            (above(limits.max_users, old.max_users, plan.users), "rateLimits.maxUsers above its number of users"),
            (
                (self.webhook.url.is_some() && self.webhook != before.webhook
                    || self.hooks.targets().iter().any(|(_, target)| target.url.is_some())
                        && self.hooks != before.hooks)
                    && !plan.features.contains(&Feature::Webhooks),
                "webhooks",
            ),
            (
                self.email.templates().iter().any(|template| template.is_some())
                    && self.email != before.email
                    && !plan.features.contains(&Feature::CustomTemplates),
                "templates of its own",
            ),
            (
                !self.templates.is_empty()
                    && self.templates != before.templates
                    && !plan.features.contains(&Feature::CustomTemplates),
                "templates of its own",
            ),
            (
                self.email.from_email.is_some()
                    && self.email.from_email != before.email.from_email
                    && !plan.features.contains(&Feature::CustomDomain),
                "a sender of its own",
            ),
        ];
        match refusals.into_iter().find(|(refused, _)| *refused) {
            Some((_, what)) => Err(Error::PlanLimit(what)),
            None => Ok(()),
        }
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
        within("rateLimits.otpRequestsPerHour", self.per_tenant.unwrap_or(1), 1..=u32::MAX)?;
        within("rateLimits.otpRequestsPerDay", self.per_tenant_day.unwrap_or(1), 1..=u32::MAX)?;
        within("rateLimits.maxUsers", self.max_users.unwrap_or(1), 1..=u32::MAX)?;
        within("rateLimits.perRecipient", self.per_recipient, 1..=u32::MAX)?;
        within("rateLimits.emailCooldown", self.email_cooldown, 0..=3600)?;
        within("rateLimits.phoneCooldown", self.phone_cooldown, 0..=3600)?;
        within("rateLimits.perIp", self.per_ip, 1..=u32::MAX)?;
        within("rateLimits.perPrefix", self.per_prefix, 1..=u32::MAX)?;
        within("rateLimits.guessesPerRecipient", self.guesses_per_recipient, 1..=u32::MAX)?;
        within("rateLimits.guessesPerIp", self.guesses_per_ip, 1..=u32::MAX)
    }
}

impl WebhookSettings {
    /// Where the URL may lead is for whoever runs the installation to say.
    fn check(&self) -> Result<(), InvalidField> {
        at_most("webhookConfig.events", self.events.len(), MOST_ENTRIES)
    }
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .iter()
        .map(|text| parse_network(text).map_err(serde::de::Error::custom))
        .collect()
}

fn at_most(field: &'static str, found: usize, most: usize) -> Result<(), InvalidField> {
    if found <= most { Ok(()) } else { Err(invalid(field, format!("use at most {most}"))) }
}

pub(super) fn within(field: &'static str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), InvalidField> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(invalid(field, format!("use {} to {}", bounds.start(), bounds.end())))
}

pub(super) fn invalid(field: &'static str, message: impl ToString) -> InvalidField {
    Error::invalid_field("invalid_field", field, message)
}
