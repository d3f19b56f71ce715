//! Errors as `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use otp_core::Error;
use otp_core::limit::{Allowance, Guard};
use otp_core::store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::limits;

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Each field that breaks its rule, and the rule.
    fields: Vec<(Cow<'static, str>, String)>,
    retry_after: Option<u64>,
    remaining_attempts: Option<u8>,
    reason: Option<Guard>,
    allowance: Option<(Kind, Allowance)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Limit,
    Quota,
}

/// How an error reads on the wire.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// Always `about:blank`: `code` names the problem.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub problem_type: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong and how to mend it.
    pub detail: String,
    /// Always false.
    pub success: bool,
    /// Stable and machine-readable.
    #[schema(example = "otp_invalid")]
    pub code: String,
    /// The id to quote to support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Which fields break which rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<FieldProblem>>,
    /// Seconds to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Guesses left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_attempts: Option<u8>,
    /// Of `channel_guard`, which guard: `prefix_velocity`, `prefix_conversion` or `daily_spend`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A field that breaks its rule.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Which field.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem of the HTTP layer itself.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let fields = Vec::new();
        Self {
            status,
            code,
            detail,
            fields,
            retry_after: None,
            remaining_attempts: None,
            reason: None,
            allowance: None,
        }
    }

    /// A field of the request breaks its rule.
    pub fn field(code: &'static str, field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { fields: vec![(field.into(), message.clone())], ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// With the field's name as it is in this section, whose fields stand bare in the request.
    pub fn within(mut self, section: &str) -> Self {
        for (field, _) in &mut self.fields {
            let bare = field.strip_prefix(section).and_then(|field| field.strip_prefix('.')).map(str::to_owned);
            if let Some(bare) = bare {
                *field = bare.into();
            }
        }
        self
    }

    /// Without how much is left of the plan's quota, which is told to secret keys only.
    pub fn without_quota(mut self) -> Self {
        self.allowance = self.allowance.filter(|(kind, _)| *kind != Kind::Quota);
        self
    }

    /// What was named does not exist, or is not the caller's: the two read the same.
    pub fn not_found(what: &'static str) -> Self {
        Error::NotFound(what).into()
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::OtpNotFound | Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::OtpInvalid { .. } | Error::OtpExpired | Error::OtpAttemptsExceeded => StatusCode::UNAUTHORIZED,
        Error::InvalidApiKey | Error::InvalidToken | Error::SignupRefused => StatusCode::UNAUTHORIZED,
        Error::SecondFactorRequired(_) | Error::InvalidMfaToken => StatusCode::UNAUTHORIZED,
        Error::SecondFactorOfMember(_) => StatusCode::UNAUTHORIZED,
        Error::StepUpRequired | Error::MemberStepUpRequired => StatusCode::FORBIDDEN,
        Error::SignInRefused | Error::InvalidSession => StatusCode::UNAUTHORIZED,
        Error::RoleRequired(_) => StatusCode::FORBIDDEN,
        Error::BillingNotConfigured => StatusCode::PAYMENT_REQUIRED,
        Error::InvalidRefreshToken | Error::RefreshTokenReused => StatusCode::UNAUTHORIZED,
        Error::RateLimited(_) | Error::Cooldown(_) | Error::QuotaExceeded(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::ChannelGuard(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::PlanLimit(_) | Error::ChannelDisabled(_) | Error::CountryNotEnabled(..) => StatusCode::FORBIDDEN,
        Error::RecipientSuppressed(_) => StatusCode::FORBIDDEN,
        Error::TenantNotActive(_) | Error::ScopeRequired(_) => StatusCode::FORBIDDEN,
        Error::SecretKeyRequired | Error::AdministratorRequired => StatusCode::FORBIDDEN,
        Error::OriginNotAllowed | Error::IpNotAllowed | Error::SignupClosed => StatusCode::FORBIDDEN,
        Error::IdempotencyConflict => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Conflict(_) | Error::VersionConflict(_) => StatusCode::CONFLICT,
        Error::NoResolver => StatusCode::SERVICE_UNAVAILABLE,
        Error::HookFailed => StatusCode::BAD_GATEWAY,
        Error::PlanBelowUse(_) => StatusCode::CONFLICT,
        Error::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Store(StoreError::Corrupt(_)) => StatusCode::INTERNAL_SERVER_ERROR,
        Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = status_of(&error);
        let code = if status == StatusCode::INTERNAL_SERVER_ERROR { "internal_error" } else { error.code() };
        let mut problem = Self::new(status, code, detail_of(status, &error));
        problem.retry_after = error.retry_after();
        match error {
            Error::Invalid(invalid) => {
                problem.detail.clone_from(&invalid.message);
                problem.fields = vec![(invalid.field, invalid.message)];
            }
            Error::PlanBelowUse(above) => {
                problem.fields = above.into_iter().map(|invalid| (invalid.field, invalid.message)).collect();
            }
            Error::OtpInvalid { remaining, allowance } => {
                problem.remaining_attempts = Some(remaining);
                problem.allowance = Some((Kind::Limit, allowance));
            }
            Error::RateLimited(limited) | Error::Cooldown(limited) => {
                problem.allowance = Some((Kind::Limit, limited.allowance));
            }
            Error::ChannelGuard(guarded) => problem.reason = Some(guarded.guard),
            Error::QuotaExceeded(limited) => problem.allowance = Some((Kind::Quota, limited.allowance)),
            _ => {}
        }
        problem
    }
}

/// What the client is told; of a server error nothing of the inside, which goes to the log.
fn detail_of(status: StatusCode, error: &Error) -> String {
    // What went wrong is outside, and the log has told of it where it did.
    if !status.is_server_error() || matches!(error, Error::HookFailed) {
        return error.to_string();
    }
    log_chain(error);
    let detail = match error {
        Error::Store(StoreError::Unknown(_)) => {
            "the database went away before it said whether this was done; look whether it was before you repeat it"
        }
        Error::NoResolver => "this server has no DNS to ask, so sender domains cannot be verified; tell its operator",
        _ if status == StatusCode::SERVICE_UNAVAILABLE => {
            "the service cannot do this right now; nothing was changed, try again"
        }
        _ => "something went wrong on our side",
    };
    detail.to_owned()
}

fn log_chain(error: &Error) {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    tracing::error!(code = error.code(), %error, ?causes, "a request failed");
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let told = |(field, message): (Cow<'_, str>, String)| FieldProblem { field: field.into_owned(), message };
        let errors: Vec<_> = self.fields.into_iter().map(told).collect();
        let body = ProblemBody {
            problem_type: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            errors: (!errors.is_empty()).then_some(errors),
            detail: self.detail,
            success: false,
            code: self.code.to_owned(),
            request_id: super::layers::current_request_id(),
            retry_after: self.retry_after,
            remaining_attempts: self.remaining_attempts,
            reason: self.reason.map(|guard| guard.as_str().to_owned()),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        match self.allowance {
            Some((Kind::Limit, allowance)) => limits::limit(headers, &allowance),
            Some((Kind::Quota, allowance)) => limits::quota(headers, &allowance),
            None => {}
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(ProblemCode(self.code));
        response
    }
}

/// The code of the problem a response carries, for metrics and CORS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemCode(pub &'static str);

/// No route has this path.
pub async fn no_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "route_not_found", "there is nothing at this path; see /docs")
}

/// The path exists, the method does not.
pub async fn no_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path knows other methods; see /docs")
}
