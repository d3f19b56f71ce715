//! `/api/auth/totp`: a member's second factor.

use std::convert::identity;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use otp_core::SecondFactorOfMember;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::auth::text;
use super::body::Unread;
use super::docs::{
    GuessProblems, HalfSignedInProblems, InUseProblems, MemberProblems, NoFactorProblems, SessionProblems,
    ShownProblems, WriteProblems,
};
use super::members::{MemberSignedIn, with_session};
use super::problem::Problem;
use super::totp::{EnrolmentBody, FactorBody, TotpStatusBody, proof};
use super::totp_recovery::RecoveryCodesBody;
use super::visitor::Visitor;

/// Password or code was right, and the second factor has to follow: show it with `mfaToken` to `POST /api/auth/totp`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberMfaBody {
    success: bool,
    /// Always true.
    mfa_required: bool,
    /// What the sign-in goes on with; it ends one sign-in.
    mfa_token: String,
    /// When it is too late.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Either answer to a right password or code.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // for the document: the handler answers with one or the other
pub enum LoggedIn {
    SignedIn(Box<MemberSignedIn>),
    SecondFactor(MemberMfaBody),
}

/// The answer to a sign-in that the second factor has to follow. There is no session yet, and no cookie.
pub fn required(required: &SecondFactorOfMember) -> Response {
    let body = MemberMfaBody {
        success: true,
        mfa_required: true,
        mfa_token: text(&required.mfa_token),
        expires_at: required.expires_at.to_string(),
    };
    Json(body).into_response()
}

/// A second factor, and the sign-in that it ends.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndSignInBody {
    /// What `POST /api/auth/login` was answered with.
    mfa_token: String,
    /// The code that the authenticator shows.
    #[schema(example = "755 224")]
    otp: Option<String>,
    /// One of the recovery codes; it works once.
    #[schema(example = "7KQ2M-94XRD")]
    recovery_code: Option<String>,
}

/// Ends a sign-in by the second factor. Browsers get a cookie, and lose the one that they had; whoever asked for a token gets it.
#[utoipa::path(
    post, path = "/api/auth/totp", operation_id = "completeMemberSignIn", tag = "Members", request_body = EndSignInBody,
    security(()),
    responses(
        (status = 200, description = "A session, and its cookie.", body = MemberSignedIn),
        GuessProblems, HalfSignedInProblems, WriteProblems,
    )
)]
pub async fn complete(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<EndSignInBody>,
) -> Result<Response, Problem> {
    visitor.at_home()?;
    let EndSignInBody { mfa_token, otp, recovery_code } = body.read().await?.value;
    let proof = proof(otp, recovery_code)?;
    let signed_in = app.service.complete_member_sign_in(&mfa_token, &proof, &visitor.client()).await?;
    if !signed_in.for_program {
        visitor.leave_behind(&app).await?;
    }
    Ok(with_session(&app, signed_in, identity))
}

/// Makes a secret for an authenticator app. It is in use once `/api/auth/totp/enable` is told a code; asked again before, it
/// makes another one. It takes a sign-in within the last ten minutes.
#[utoipa::path(
    post, path = "/api/auth/totp/register", operation_id = "registerMemberTotp", tag = "Members",
    security(("memberSession" = []), ("memberToken" = [])),
    responses(
        (status = 200, description = "The secret; it waits for its first code.", body = EnrolmentBody),
        InUseProblems, MemberProblems,
    )
)]
pub async fn register(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Json<EnrolmentBody>, Problem> {
    let caller = visitor.member(&app).await?;
    Ok(Json(app.service.register_member_totp(&caller).await?.into()))
}

/// The first code of an authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableMemberTotpBody {
    /// The code that it shows.
    #[schema(example = "755 224")]
    otp: String,
}

/// A session, and the recovery codes of the authenticator.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberTotpEnabled {
    #[serde(flatten)]
    session: MemberSignedIn,
    /// Ten, each good once; they are shown once. None where there was no room to make them: then ask for them.
    #[schema(example = json!(["7KQ2M-94XRD"]))]
    recovery_codes: Vec<String>,
}

/// Puts the authenticator in use by its first code, and gives the recovery codes. All of the member's sessions are over, this one
/// too: the answer has another one.
#[utoipa::path(
    post, path = "/api/auth/totp/enable", operation_id = "enableMemberTotp", tag = "Members",
    request_body = EnableMemberTotpBody, security(("memberSession" = []), ("memberToken" = [])),
    responses(
        (status = 200, description = "It is in use; the session that goes on.", body = MemberTotpEnabled),
        NoFactorProblems, InUseProblems, GuessProblems, ShownProblems, WriteProblems,
    )
)]
pub async fn enable(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<EnableMemberTotpBody>,
) -> Result<Response, Problem> {
    let caller = visitor.member(&app).await?;
    let otp = body.read().await?.value.otp;
    let enabled = app.service.enable_member_totp(&caller, &otp).await?;
    let recovery_codes = enabled.recovery_codes.iter().map(text).collect();
    Ok(with_session(&app, enabled.signed_in, |session| MemberTotpEnabled { session, recovery_codes }))
}

/// Takes the authenticator away, with its recovery codes. All of the member's sessions are over, this one too: the answer has
/// another one.
#[utoipa::path(
    post, path = "/api/auth/totp/disable", operation_id = "disableMemberTotp", tag = "Members",
    request_body = FactorBody, security(("memberSession" = []), ("memberToken" = [])),
    responses(
        (status = 200, description = "There is none any more; the session that goes on.", body = MemberSignedIn),
        NoFactorProblems, GuessProblems, ShownProblems, WriteProblems,
    )
)]
pub async fn disable(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<FactorBody>,
) -> Result<Response, Problem> {
    let caller = visitor.member(&app).await?;
    let FactorBody { otp, recovery_code } = body.read().await?.value;
    let proof = proof(otp, recovery_code)?;
    let signed_in = app.service.disable_member_totp(&caller, &proof).await?;
    Ok(with_session(&app, signed_in, identity))
}

/// Shows the second factor again, which lets the member do for ten minutes what cannot be undone. This session is over: the
/// answer has another one, which lasts no longer than this one would have.
#[utoipa::path(
    post, path = "/api/auth/totp/verify", operation_id = "stepUpMember", tag = "Members", request_body = FactorBody,
    security(("memberSession" = []), ("memberToken" = [])),
    responses(
        (status = 200, description = "The session that goes on.", body = MemberSignedIn),
        NoFactorProblems, GuessProblems, ShownProblems, WriteProblems,
    )
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<FactorBody>,
) -> Result<Response, Problem> {
    let caller = visitor.member(&app).await?;
    let FactorBody { otp, recovery_code } = body.read().await?.value;
    let proof = proof(otp, recovery_code)?;
    let signed_in = app.service.step_up_member(&caller, &proof).await?;
    Ok(with_session(&app, signed_in, identity))
}

/// How the member's second factor stands.
#[utoipa::path(
    get, path = "/api/auth/totp/status", operation_id = "memberTotpStatus", tag = "Members",
    security(("memberSession" = []), ("memberToken" = [])),
    responses((status = 200, description = "How it stands.", body = TotpStatusBody), SessionProblems)
)]
pub async fn status(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Json<TotpStatusBody>, Problem> {
    let caller = visitor.member(&app).await?;
    Ok(Json(app.service.member_totp_status(&caller).await?.into()))
}

/// Makes ten new recovery codes; those before are dead. It takes a second factor that was shown within the last ten minutes.
#[utoipa::path(
    post, path = "/api/auth/totp/recovery-codes", operation_id = "renewMemberRecoveryCodes", tag = "Members",
    security(("memberSession" = []), ("memberToken" = [])),
    responses(
        (status = 200, description = "The codes.", body = RecoveryCodesBody),
        NoFactorProblems, MemberProblems,
    )
)]
pub async fn renew(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Json<RecoveryCodesBody>, Problem> {
    let caller = visitor.member(&app).await?;
    Ok(Json(app.service.renew_member_recovery_codes(&caller).await?.into()))
}
