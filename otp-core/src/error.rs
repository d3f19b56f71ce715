//! What the engine answers when it does not do what was asked.

use std::borrow::Cow;

use crate::limit::{Allowance, Guard, LimitOf};
use crate::message::Channel;
use crate::numbering::Country;
use crate::password::Busy;
use crate::secret::CannotOpen;
use crate::service::{SecondFactorOfMember, SecondFactorRequired};
use crate::store::StoreError;
use crate::suppression::SuppressionReason;
use crate::tenant::TenantStatus;

/// A field of a request breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidField {
    /// Stable name of the mistake, such as `invalid_email`.
    pub code: &'static str,
    /// Which field, as the wire calls it.
    pub field: Cow<'static, str>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A limit that a request ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The limit.
    pub allowance: Allowance,
    /// Seconds to wait.
    pub retry_after: u64,
    /// Whose limit it is.
    pub of: LimitOf,
}

/// A guard that a text or WhatsApp message ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Which.
    pub guard: Guard,
    /// Seconds to wait.
    pub retry_after: u64,
}

/// Why something was not done. [`code`](Error::code) is stable; the texts may be worded better at any time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field breaks its rule.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// No code is open for this address or challenge.
    #[error("no code is open for this address; request a new one")]
    OtpNotFound,
    /// The code is wrong.
    #[error("the code is wrong")]
    OtpInvalid {
        /// Guesses left.
        remaining: u8,
        /// The same as a limit: it comes back with a new code.
        allowance: Allowance,
    },
    /// The code has expired.
    #[error("the code has expired; request a new one")]
    OtpExpired,
    /// All guesses are spent.
    #[error("too many wrong codes; request a new one")]
    OtpAttemptsExceeded,
    /// A rate limit: abuse.
    #[error("too many requests; try again in {} seconds", .0.retry_after)]
    RateLimited(Limited),
    /// Too soon after the last message to the same recipient.
    #[error("a code was just sent; the next can be sent in {} seconds", .0.retry_after)]
    Cooldown(Limited),
    /// The plan's quota of the day or month.
    #[error("the plan's quota is used up; it is renewed in {} seconds", .0.retry_after)]
    QuotaExceeded(Limited),
    /// The plan does not include it.
    #[error("the plan does not allow {0}")]
    PlanLimit(&'static str),
    /// The tenant has switched off the way the message was to travel.
    #[error("the customer does not send by {}", .0.as_str())]
    ChannelDisabled(Channel),
    /// The tenant has not listed the country of the number.
    #[error("the customer does not send by {channel} to {1}: it has not listed the country", channel = .0.as_str())]
    CountryNotEnabled(Channel, Country),
    /// A guard against messages that are sent for somebody's gain.
    #[error("no message is sent to this number now ({}); try again in {} seconds", .0.guard.as_str(), .0.retry_after)]
    ChannelGuard(Guarded),
    /// The recipient is on the list of those that nothing is sent to. Why is told to whoever may look after the tenant.
    #[error("nothing is sent to this recipient{}", .0.map_or_else(String::new, |reason| {
        format!(": {}; see GET /admin/suppressions", reason.as_str())
    }))]
    RecipientSuppressed(Option<SuppressionReason>),
    /// The tenant's own service or the program was to say which claims tokens hold, and gave no answer. The code is used.
    #[error(
        "the code was right, and the customer's own service did not say what the token is to hold; ask for another code"
    )]
    HookFailed,
    /// More of the plan is in use than another one allows.
    #[error("more is in use than this plan allows; send `force: true` to change it all the same")]
    PlanBelowUse(Vec<InvalidField>),
    /// Nobody takes money here, so nobody can buy a plan.
    #[error("this installation has no billing: its administrator changes plans (PUT /admin/customers/{{id}})")]
    BillingNotConfigured,
    /// Whoever runs the installation creates the tenants.
    #[error("signing up is closed here: ask whoever runs this installation for an account")]
    SignupClosed,
    /// Neither link nor code is right, or there is no signup: which of them is not told.
    #[error("link or code is wrong or was replaced by a newer one; take the newest mail, or sign up again")]
    SignupRefused,
    /// Address, password or code of a member is wrong: which of them is not told.
    #[error("the address, the password or the code is wrong; take the code of the newest mail, or ask for a new one")]
    SignInRefused,
    /// A member's session is over, or never was.
    #[error("the session is over; sign in again")]
    InvalidSession,
    /// The member's role does not allow it.
    #[error("this takes {0} of the app")]
    RoleRequired(&'static str),
    /// Too much waits already; nothing was done.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The key opens nothing: unknown, revoked or expired, which are not told apart.
    #[error("the API key is not valid")]
    InvalidApiKey,
    /// The tenant is not active.
    #[error("the customer is {0}")]
    TenantNotActive(TenantStatus),
    /// The key may not be used from this origin.
    #[error("this origin is not allowed to use the key")]
    OriginNotAllowed,
    /// The key may not be used from this address.
    #[error("this IP address is not allowed to use the key")]
    IpNotAllowed,
    /// A publishable key may not do this.
    #[error("this needs a secret key (otp_live_sk_… or otp_test_sk_…)")]
    SecretKeyRequired,
    /// A tenant may not do this to itself.
    #[error("this is for the platform administrator (otp_admin_…)")]
    AdministratorRequired,
    /// The key lacks a permission.
    #[error("the key needs the scope {0}")]
    ScopeRequired(&'static str),
    /// The access token opens nothing: forged, expired, or its session is over.
    #[error("the token is not valid or its session is over")]
    InvalidToken,
    /// The refresh token opens nothing.
    #[error("the refresh token is not valid or its session is over")]
    InvalidRefreshToken,
    /// The refresh token was used before: its session has been ended.
    #[error("the refresh token was used before; its session has been ended")]
    RefreshTokenReused,
    /// The code was right, and the tenant wants a second factor before the session begins. Nothing went wrong: go on with the
    /// token.
    #[error("the code was right; a second factor has to follow")]
    SecondFactorRequired(Box<SecondFactorRequired>),
    /// What a sign-in is to go on with opens nothing: unknown, used, or too old.
    #[error("the mfaToken is not valid, was used, or is too old; sign in again")]
    InvalidMfaToken,
    /// The second factor was not shown in this session lately.
    #[error(
        "show the second factor: send otp or recoveryCode, or call POST /auth/totp/verify up to five minutes before"
    )]
    StepUpRequired,
    /// A member's password or code was right, and its second factor has to follow. Nothing went wrong: go on with the token.
    #[error("the password or the code was right; a second factor has to follow")]
    SecondFactorOfMember(Box<SecondFactorOfMember>),
    /// The member did not show lately that it is there.
    #[error(
        "this takes a second factor shown within the last ten minutes (POST /api/auth/totp/verify), or without an \
         authenticator a sign-in (POST /api/auth/login)"
    )]
    MemberStepUpRequired,
    /// What was named does not exist, or is not the caller's.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyConflict,
    /// The change contradicts the present state.
    #[error("{0}")]
    Conflict(&'static str),
    /// The configuration is of another version than the caller expects, because somebody else changed it.
    #[error("the configuration was changed meanwhile and is now of version {0}; read it again")]
    VersionConflict(u64),
    /// The service was built without a way to ask the DNS.
    #[error("there is no DNS to ask, so sender domains cannot be verified")]
    NoResolver,
    /// The store did not do its part; nothing may be handed out.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored secret does not open.
    #[error(transparent)]
    CannotOpen(#[from] CannotOpen),
    /// A mistake of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// A field error.
    pub fn invalid(code: &'static str, field: impl Into<Cow<'static, str>>, message: impl ToString) -> Self {
        Self::invalid_field(code, field, message).into()
    }

    pub(crate) fn invalid_field(
        code: &'static str,
        field: impl Into<Cow<'static, str>>,
        message: impl ToString,
    ) -> InvalidField {
        InvalidField { code, field: field.into(), message: message.to_string() }
    }

    /// The stable, machine-readable name.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Invalid(invalid) => invalid.code,
            Error::OtpNotFound => "otp_not_found",
            Error::OtpInvalid { .. } => "otp_invalid",
            Error::OtpExpired => "otp_expired",
            Error::OtpAttemptsExceeded => "otp_attempts_exceeded",
            Error::RateLimited(_) => "rate_limit_exceeded",
            Error::Cooldown(_) => "cooldown",
            Error::QuotaExceeded(_) => "quota_exceeded",
            Error::PlanLimit(_) => "plan_limit",
            Error::ChannelDisabled(_) => "channel_disabled",
            Error::CountryNotEnabled(..) => "country_not_enabled",
            Error::ChannelGuard(_) => "channel_guard",
            Error::RecipientSuppressed(_) => "recipient_suppressed",
            Error::HookFailed => "hook_failed",
            Error::PlanBelowUse(_) => "plan_below_use",
            Error::BillingNotConfigured => "billing_not_configured",
            Error::SignupClosed => "signup_closed",
            Error::SignupRefused => "otp_invalid",
            Error::SignInRefused => "sign_in_refused",
            Error::InvalidSession => "invalid_session",
            Error::RoleRequired(_) => "role_required",
            Error::Busy(_) => "busy",
            Error::InvalidApiKey => "invalid_api_key",
            Error::TenantNotActive(TenantStatus::Suspended) => "customer_suspended",
            Error::TenantNotActive(TenantStatus::Cancelled) => "customer_cancelled",
            Error::TenantNotActive(_) => "customer_pending",
            Error::OriginNotAllowed => "origin_not_allowed",
            Error::IpNotAllowed => "ip_not_allowed",
            Error::SecretKeyRequired => "secret_key_required",
            Error::AdministratorRequired => "administrator_required",
            Error::ScopeRequired(_) => "scope_required",
            Error::InvalidToken => "invalid_token",
            Error::InvalidRefreshToken => "invalid_refresh_token",
            Error::RefreshTokenReused => "refresh_token_reused",
            Error::SecondFactorRequired(_) => "mfa_required",
            Error::InvalidMfaToken => "invalid_mfa_token",
            Error::SecondFactorOfMember(_) => "mfa_required",
            Error::StepUpRequired | Error::MemberStepUpRequired => "step_up_required",
            Error::NotFound(_) => "not_found",
            Error::IdempotencyConflict => "idempotency_conflict",
            Error::Conflict(_) => "conflict",
            Error::VersionConflict(_) => "version_conflict",
            Error::NoResolver => "dns_unavailable",
            Error::Store(StoreError::Busy) => "busy",
            Error::Store(_) => "store_unavailable",
            Error::CannotOpen(_) | Error::Internal(_) => "internal_error",
        }
    }

    /// Seconds to wait before the same request can succeed, where waiting helps.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Error::RateLimited(limited) | Error::Cooldown(limited) | Error::QuotaExceeded(limited) => {
                Some(limited.retry_after)
            }
            Error::ChannelGuard(guarded) => Some(guarded.retry_after),
            Error::Store(StoreError::Busy | StoreError::Unavailable(_)) | Error::Busy(_) => Some(1),
            _ => None,
        }
    }
}
