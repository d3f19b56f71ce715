//! `/api/otp`: the second factor of somebody whom the caller names.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use otp_core::totp::{Digits, HashAlgorithm, Moving, Period};
use otp_core::{NewAuthenticator, TotpEnrolment};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::asker::Asker;
use super::body::Unread;
use super::docs::{GuessProblems, InUseProblems, NameProblems, NamedFactorProblems, WriteProblems};
use super::list::BadQuery;
use super::problem::Problem;
use super::sessions::Done;
use super::totp::{EnrolmentBody, TotpStatusBody, proof};
use super::totp_recovery::RecoveryCodesBody;

/// What changes from code to code.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CodeType {
    /// The time (RFC 6238).
    #[default]
    Totp,
    /// A counter (RFC 4226).
    Hotp,
}

/// An authenticator for somebody.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterAuthenticatorBody {
    /// Any name of 1 to 128 characters that you know them by. The id of one of your users names that user.
    #[schema(example = "employee-4711")]
    user_id: String,
    /// What changes from code to code.
    #[serde(rename = "type", default)]
    #[schema(default = "totp")]
    kind: CodeType,
    /// `SHA1`, `SHA256` or `SHA512`. Many apps take any other for SHA1.
    #[schema(default = "SHA1", example = "SHA1")]
    algorithm: Option<String>,
    /// 6 to 8. Many apps show six in any case.
    #[schema(default = 6, minimum = 6, maximum = 8)]
    digits: Option<u8>,
    /// Seconds that a code of the time is shown, 15 to 120. Many apps take any other for 30.
    #[schema(default = 30, minimum = 15, maximum = 120)]
    period: Option<u32>,
    /// The first counter of `hotp`.
    #[schema(default = 0)]
    counter: Option<u64>,
    /// A secret that you bring along, in base32, of 16 to 128 bytes; else one is made.
    secret: Option<String>,
    /// Whom the authenticator says that it is for; the name in your branding if left out.
    #[schema(example = "Acme")]
    issuer: Option<String>,
    /// The account that the authenticator shows; `userId` if left out.
    #[schema(example = "ann@example.org")]
    account_name: Option<String>,
}

impl RegisterAuthenticatorBody {
    fn read(self) -> Result<NewAuthenticator, Problem> {
        let invalid = |field: &'static str, error: String| Problem::field("invalid_field", field, error);
        let algorithm = self.algorithm.as_deref().map(str::parse::<HashAlgorithm>).transpose();
        let digits = self.digits.map(Digits::try_from).transpose();
        let period = self.period.map(Period::try_from).transpose();
        let period = period.map_err(|error| invalid("period", error.to_string()))?.unwrap_or(Period::USUAL);
        let secret = self.secret.as_deref().map(str::parse).transpose();
        let base = NewAuthenticator::of(&self.user_id);
        Ok(NewAuthenticator {
            algorithm: algorithm.map_err(|error| invalid("algorithm", error.to_string()))?.unwrap_or_default(),
            digits: digits.map_err(|error| invalid("digits", error.to_string()))?.unwrap_or(Digits::SIX),
            moving: match self.kind {
                CodeType::Totp => Moving::Totp { period, accepted: None },
                CodeType::Hotp => Moving::Hotp { next: self.counter.unwrap_or(0) },
            },
            secret: secret.map_err(|error: otp_core::totp::InvalidOtpSecret| invalid("secret", error.to_string()))?,
            issuer: self.issuer,
            account: self.account_name,
            ..base
        })
    }
}

/// The picture alone to whoever asks for a picture.
fn enrolled(headers: &HeaderMap, enrolment: TotpEnrolment) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let media = |range: &str| range.split(';').next().is_some_and(|media| media.trim() == "image/png");
    if accept.split(',').any(media) {
        return ([(header::CONTENT_TYPE, "image/png")], enrolment.qr.to_png()).into_response();
    }
    Json(EnrolmentBody::from(enrolment)).into_response()
}

/// Makes a secret for somebody's authenticator. It is in use once `/api/otp/enable` is told a code. With `Accept: image/png` the
/// answer is the QR picture alone.
#[utoipa::path(
    post, path = "/api/otp/register", operation_id = "registerAuthenticator", tag = "Second factor",
    request_body = RegisterAuthenticatorBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The secret; it waits for its first code.", content(
            (EnrolmentBody = "application/json"), (Vec<u8> = "image/png"),
        )),
        InUseProblems, NamedFactorProblems, WriteProblems,
    )
)]
pub async fn register(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    asker: Asker,
    body: Unread<RegisterAuthenticatorBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let new = body.read().await?.value.read()?;
    Ok(enrolled(&headers, app.service.register_authenticator(&caller, new).await?))
}

/// The first code of somebody's authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnableAuthenticatorBody {
    /// Whose it is.
    #[schema(example = "employee-4711")]
    user_id: String,
    /// The code that it shows.
    #[schema(example = "755224")]
    otp: String,
}

/// Puts somebody's authenticator in use by its first code, and gives the recovery codes.
#[utoipa::path(
    put, path = "/api/otp/enable", operation_id = "enableAuthenticator", tag = "Second factor",
    request_body = EnableAuthenticatorBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "It is in use.", body = RecoveryCodesBody),
        InUseProblems, GuessProblems, NamedFactorProblems, WriteProblems,
    )
)]
pub async fn enable(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<EnableAuthenticatorBody>,
) -> Result<Json<RecoveryCodesBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read().await?.value;
    Ok(Json(app.service.enable_authenticator(&caller, &body.user_id, &body.otp).await?.into()))
}

/// Whose authenticator is meant.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorBody {
    /// Whose it is.
    #[schema(example = "employee-4711")]
    user_id: String,
}

impl AuthenticatorBody {
    /// Whose it is.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }
}

/// Takes somebody's authenticator away, with its recovery codes and the trusted devices. It needs no code.
#[utoipa::path(
    put, path = "/api/otp/disable", operation_id = "disableAuthenticator", tag = "Second factor",
    request_body = AuthenticatorBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "There is none any more.", body = Done), NamedFactorProblems, WriteProblems)
)]
pub async fn disable(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<AuthenticatorBody>,
) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    app.service.disable_authenticator(&caller, body.read().await?.value.user_id()).await?;
    Ok(Done::saying("Authenticator disabled"))
}

/// Who lost an authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplaceAuthenticatorBody {
    /// Whose it is.
    #[schema(example = "employee-4711")]
    user_id: String,
    /// The account that the authenticator shows; `userId` if left out.
    #[schema(example = "ann@example.org")]
    account_name: Option<String>,
}

/// Gives somebody who lost the authenticator a new secret. The old one, its recovery codes and the trusted devices are dead at
/// once; the new one is in use once `/api/otp/enable` is told a code. With `Accept: image/png` the answer is the QR picture alone.
#[utoipa::path(
    put, path = "/api/otp/recovery", operation_id = "replaceAuthenticator", tag = "Second factor",
    request_body = ReplaceAuthenticatorBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The secret; it waits for its first code.", content(
            (EnrolmentBody = "application/json"), (Vec<u8> = "image/png"),
        )),
        NamedFactorProblems, WriteProblems,
    )
)]
pub async fn replace(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    asker: Asker,
    body: Unread<ReplaceAuthenticatorBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read().await?.value;
    let account = body.account_name.as_deref();
    Ok(enrolled(&headers, app.service.replace_authenticator(&caller, &body.user_id, account).await?))
}

/// Whose authenticator is asked about.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct AuthenticatorQuery {
    /// Whose it is.
    #[param(example = "employee-4711")]
    user_id: String,
}

/// How somebody's second factor stands.
#[utoipa::path(
    get, path = "/api/otp/status", operation_id = "authenticatorStatus", tag = "Second factor", params(AuthenticatorQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "How it stands.", body = TotpStatusBody), NameProblems, NamedFactorProblems)
)]
pub async fn status(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<AuthenticatorQuery>, BadQuery>,
) -> Result<Json<TotpStatusBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let Query(query) = query.map_err(|_| Problem::field("missing_field", "userId", "name userId, once"))?;
    Ok(Json(app.service.authenticator(&caller, &query.user_id).await?.into()))
}

/// What somebody shows: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckAuthenticatorBody {
    /// Whose it is.
    #[schema(example = "employee-4711")]
    user_id: String,
    /// The code that the authenticator shows.
    #[schema(example = "755224")]
    otp: Option<String>,
    /// One of the recovery codes; it works once.
    #[schema(example = "7KQ2M-94XRD")]
    recovery_code: Option<String>,
}

/// It was right.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckedBody {
    pub success: bool,
    /// Recovery codes that were not used.
    pub recovery_codes_left: u8,
}

/// Accepts what somebody shows, once.
#[utoipa::path(
    post, path = "/api/otp/verify", operation_id = "checkAuthenticator", tag = "Second factor",
    request_body = CheckAuthenticatorBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "It was right.", body = CheckedBody),
        GuessProblems, NamedFactorProblems, WriteProblems,
    )
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<CheckAuthenticatorBody>,
) -> Result<Json<CheckedBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read().await?.value;
    let proof = proof(body.otp, body.recovery_code)?;
    let status = app.service.check_authenticator(&caller, &body.user_id, &proof).await?;
    Ok(Json(CheckedBody { success: true, recovery_codes_left: status.recovery_codes_left }))
}
