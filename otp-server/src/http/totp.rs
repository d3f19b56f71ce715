//! `/auth/totp`: the second factor of whoever is signed in, or of whoever cannot be without it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use otp_core::{Caller, SecondFactorProof, SecondFactorRequired, SecondSignIn, Secret, TotpEnrolment, TotpStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::{Asker, Claimant, missing_token};
use super::auth::{ClientBody, SignedInBody, end_user, mark_replay, text};
use super::body::Unread;
use super::docs::{
    FactorProblems, GuessProblems, InUseProblems, NoFactorProblems, SignInProblems, TokenProblems, WriteProblems,
};
use super::problem::Problem;
use super::sessions::Done;
use super::totp_recovery::RecoveryCodesBody;

/// A secret for an authenticator; it is shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentBody {
    success: bool,
    /// In base32, for whoever types it in.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    secret: String,
    /// What authenticators read.
    #[schema(example = "otpauth://totp/Acme:ann%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme&\
                        algorithm=SHA1&digits=6&period=30")]
    otpauth_uri: String,
    /// The URI as a picture: a data URI of a PNG.
    qr_png: String,
    /// The URI as a picture: an SVG document.
    qr_svg: String,
    /// Until when the first code is waited for.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<TotpEnrolment> for EnrolmentBody {
    fn from(enrolment: TotpEnrolment) -> Self {
        Self {
            success: true,
            secret: text(&enrolment.secret),
            otpauth_uri: text(&enrolment.uri),
            qr_png: format!("data:image/png;base64,{}", STANDARD.encode(enrolment.qr.to_png())),
            qr_svg: enrolment.qr.to_svg(),
            expires_at: enrolment.expires_at.to_string(),
        }
    }
}

/// A session whose user showed a second factor: `acr` of the token is `2fa`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecondSignInBody {
    #[serde(flatten)]
    signed_in: SignedInBody,
    /// With `trustDevice`: what makes this device a trusted one. It is shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    /// After the first code of an authenticator: its recovery codes. They are shown once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["7KQ2M-94XRD"]))]
    recovery_codes: Vec<String>,
}

impl From<SecondSignIn> for SecondSignInBody {
    fn from(second: SecondSignIn) -> Self {
        Self {
            device_token: second.device_token.as_ref().map(text),
            recovery_codes: second.recovery_codes.iter().map(text).collect(),
            signed_in: second.signed_in.into(),
        }
    }
}

/// The code was right, and a second factor has to follow: show it with `mfaToken` to `POST /auth/totp/verify`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MfaRequiredBody {
    success: bool,
    /// Always true.
    mfa_required: bool,
    /// What the sign-in goes on with; it ends one sign-in.
    mfa_token: String,
    /// When it is too late.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whether an authenticator has to be set up first (`POST /auth/totp/register` and `/auth/totp/enable`, both with
    /// `mfaToken`): you require one and the user has none.
    enrolment_required: bool,
}

/// The answer to a right code that a second factor has to follow.
pub fn required(required: &SecondFactorRequired) -> Response {
    let body = MfaRequiredBody {
        success: true,
        mfa_required: true,
        mfa_token: text(&required.mfa_token),
        expires_at: required.expires_at.to_string(),
        enrolment_required: required.enrol,
    };
    let mut response = Json(body).into_response();
    mark_replay(&mut response, required.replayed);
    response
}

/// Whose sign-in goes on; signed-in users need not say.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterTotpBody {
    /// With a key in the place of an access token: what `verify-otp` was answered with.
    mfa_token: Option<String>,
}

/// Makes a secret for an authenticator app. It is in use once `/auth/totp/enable` is told a code; asked again before, it makes
/// another one.
#[utoipa::path(
    post, path = "/auth/totp/register", operation_id = "registerTotp", tag = "Second factor",
    request_body(content = Option<RegisterTotpBody>), security(("accessToken" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The secret; it waits for its first code.", body = EnrolmentBody),
        InUseProblems, FactorProblems, WriteProblems,
    )
)]
pub async fn register(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<RegisterTotpBody>,
) -> Result<Json<EnrolmentBody>, Problem> {
    let claimant = asker.claimant(&app).await?;
    let body = body.read_if_any().await?.value;
    let enrolment = match claimant {
        Claimant::User(me) => app.service.register_totp(&me).await?,
        Claimant::SigningIn(caller) => {
            app.service.register_totp_to_sign_in(&caller, &token_of(body.mfa_token)?).await?
        }
    };
    Ok(Json(enrolment.into()))
}

/// The first code of an authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnableTotpBody {
    /// The code that it shows.
    #[schema(example = "755 224")]
    otp: String,
    /// With a key in the place of an access token: what `verify-otp` was answered with.
    mfa_token: Option<String>,
    /// With `mfaToken`: ask for no second factor on this device for 30 days.
    #[serde(default)]
    trust_device: bool,
    /// The end user's side, honoured for secret keys.
    client: Option<ClientBody>,
}

/// Either answer to the first code.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // for the document: a handler answers with one or the other
pub enum Enabled {
    Codes(RecoveryCodesBody),
    SignedIn(Box<SecondSignInBody>),
}

/// Puts the authenticator in use by its first code, and gives the recovery codes. With `mfaToken` it ends the sign-in as well.
#[utoipa::path(
    post, path = "/auth/totp/enable", operation_id = "enableTotp", tag = "Second factor", request_body = EnableTotpBody,
    security(("accessToken" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "It is in use.", body = Enabled),
        SignInProblems, NoFactorProblems, InUseProblems, GuessProblems, FactorProblems, WriteProblems,
    )
)]
pub async fn enable(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<EnableTotpBody>,
) -> Result<Response, Problem> {
    let claimant = asker.claimant(&app).await?;
    let body = body.read().await?.value;
    match claimant {
        Claimant::User(me) => {
            let codes = app.service.enable_totp(&me, &body.otp, &asker.client()).await?;
            Ok(Json(RecoveryCodesBody::from(codes)).into_response())
        }
        Claimant::SigningIn(caller) => {
            let (token, client) = (token_of(body.mfa_token)?, end_user(&asker, &caller, body.client));
            let signed_in =
                app.service.enable_totp_to_sign_in(&caller, &token, &body.otp, body.trust_device, &client).await?;
            Ok(Json(SecondSignInBody::from(signed_in)).into_response())
        }
    }
}

/// What is shown as a second factor: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactorBody {
    /// The code that the authenticator shows.
    #[schema(example = "755 224")]
    pub otp: Option<String>,
    /// One of the recovery codes; it works once.
    #[schema(example = "7KQ2M-94XRD")]
    pub recovery_code: Option<String>,
}

/// What is shown, if anything is.
pub fn shown(otp: Option<String>, recovery_code: Option<String>) -> Result<Option<SecondFactorProof>, Problem> {
    match (otp, recovery_code) {
        (Some(_), Some(_)) => Err(Problem::field("invalid_request", "recoveryCode", "name either otp or recoveryCode")),
        (Some(otp), None) => Ok(Some(SecondFactorProof::Otp(Secret::from(otp)))),
        (None, Some(code)) => Ok(Some(SecondFactorProof::RecoveryCode(Secret::from(code)))),
        (None, None) => Ok(None),
    }
}

/// What is shown where something has to be.
pub fn proof(otp: Option<String>, recovery_code: Option<String>) -> Result<SecondFactorProof, Problem> {
    shown(otp, recovery_code)?.ok_or_else(|| Problem::field("missing_field", "otp", "name otp or recoveryCode"))
}

fn token_of(mfa_token: Option<String>) -> Result<String, Problem> {
    mfa_token.ok_or_else(missing_token)
}

/// Takes the authenticator away, with its recovery codes and the trusted devices.
#[utoipa::path(
    post, path = "/auth/totp/disable", operation_id = "disableTotp", tag = "Second factor", request_body = FactorBody,
    security(("accessToken" = [])),
    responses(
        (status = 200, description = "There is none any more.", body = Done),
        NoFactorProblems, GuessProblems, FactorProblems, WriteProblems,
    )
)]
pub async fn disable(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<FactorBody>,
) -> Result<Json<Done>, Problem> {
    let me = asker.user(&app).await?;
    let body = body.read().await?.value;
    let proof = proof(body.otp, body.recovery_code)?;
    app.service.disable_totp(&me, &proof, &asker.client()).await?;
    Ok(Done::saying("Authenticator disabled"))
}

/// How a second factor stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TotpStatusBody {
    success: bool,
    /// Whether an authenticator is in use.
    enabled: bool,
    /// Whether a secret waits for its first code.
    pending: bool,
    /// `totp` or `hotp`; null without an authenticator.
    #[serde(rename = "type")]
    #[schema(example = "totp")]
    kind: Option<&'static str>,
    /// Since when it is in use.
    #[schema(format = DateTime)]
    enabled_at: Option<String>,
    /// Recovery codes that were not used.
    recovery_codes_left: u8,
}

impl From<TotpStatus> for TotpStatusBody {
    fn from(status: TotpStatus) -> Self {
        Self {
            success: true,
            enabled: status.enabled,
            pending: status.pending,
            kind: status.kind,
            enabled_at: status.enabled_at.map(|at| at.to_string()),
            recovery_codes_left: status.recovery_codes_left,
        }
    }
}

/// How the user's second factor stands.
#[utoipa::path(
    get, path = "/auth/totp/status", operation_id = "totpStatus", tag = "Second factor", security(("accessToken" = [])),
    responses((status = 200, description = "How it stands.", body = TotpStatusBody), TokenProblems)
)]
pub async fn status(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<TotpStatusBody>, Problem> {
    let me = asker.user(&app).await?;
    Ok(Json(app.service.totp_status(&me).await?.into()))
}

/// A second factor: a code of the authenticator or a recovery code.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyTotpBody {
    /// The code that the authenticator shows.
    #[schema(example = "755 224")]
    otp: Option<String>,
    /// One of the recovery codes; it works once.
    #[schema(example = "7KQ2M-94XRD")]
    recovery_code: Option<String>,
    /// With a key in the place of an access token: what `verify-otp` was answered with.
    mfa_token: Option<String>,
    /// Ask for no second factor on this device for 30 days: the answer has a `deviceToken` for `verify-otp`.
    #[serde(default)]
    trust_device: bool,
    /// The end user's side, honoured for secret keys.
    client: Option<ClientBody>,
}

/// Accepts a second factor. With an access token it is a step-up: the session's tokens are replaced by those of one with a
/// second factor. With a key and `mfaToken` it ends the sign-in that `verify-otp` began. Each code is accepted once.
#[utoipa::path(
    post, path = "/auth/totp/verify", operation_id = "verifyTotp", tag = "Second factor", request_body = VerifyTotpBody,
    security(("accessToken" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The session's tokens.", body = SecondSignInBody),
        SignInProblems, NoFactorProblems, GuessProblems, FactorProblems, WriteProblems,
    )
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<VerifyTotpBody>,
) -> Result<Json<SecondSignInBody>, Problem> {
    let claimant = asker.claimant(&app).await?;
    let body = body.read().await?.value;
    let signed_in = match claimant {
        Claimant::User(me) => {
            let proof = proof(body.otp, body.recovery_code)?;
            app.service.step_up(&me, &proof, body.trust_device, &asker.client()).await?
        }
        Claimant::SigningIn(caller) => complete(&app, &asker, &caller, body).await?,
    };
    Ok(Json(signed_in.into()))
}

async fn complete(app: &App, asker: &Asker, caller: &Caller, body: VerifyTotpBody) -> Result<SecondSignIn, Problem> {
    let token = token_of(body.mfa_token)?;
    let proof = proof(body.otp, body.recovery_code)?;
    let client = end_user(asker, caller, body.client);
    Ok(app.service.complete_sign_in(caller, &token, &proof, body.trust_device, &client).await?)
}
