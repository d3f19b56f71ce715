//! `/api/code`: the codes of an authenticator that the caller set up for somebody.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use otp_core::{SecondFactorProof, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::text;
use super::body::Unread;
use super::docs::{GuessProblems, NamedFactorProblems, WriteProblems};
use super::problem::Problem;
use super::totp_named::{AuthenticatorBody, CheckedBody};

/// A code.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CodeBody {
    success: bool,
    #[schema(example = "755224")]
    otp: String,
    /// `totp` or `hotp`.
    #[serde(rename = "type")]
    #[schema(example = "totp")]
    kind: &'static str,
    /// Until when the authenticator shows it; null for a code of a counter, which it shows until it is used.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// The code that somebody's authenticator shows now, for whoever sends codes by ways of their own. The key needs the scope
/// `otp:reveal`; every use is in the audit trail. The authenticators of your users are shown to nobody.
#[utoipa::path(
    post, path = "/api/code/generate", operation_id = "generateCode", tag = "Second factor",
    request_body = AuthenticatorBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The code.", body = CodeBody), NamedFactorProblems, WriteProblems)
)]
pub async fn generate(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<AuthenticatorBody>,
) -> Result<Json<CodeBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let code = app.service.reveal_code(&caller, body.read().await?.value.user_id()).await?;
    Ok(Json(CodeBody {
        success: true,
        otp: text(&code.otp),
        kind: code.kind,
        expires_at: code.expires_at.map(|at| at.to_string()),
    }))
}

/// A code of somebody's authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckCodeBody {
    /// Whose it is.
    #[schema(example = "employee-4711")]
    user_id: String,
    /// The code that the authenticator shows.
    #[schema(example = "755224")]
    otp: String,
    /// The one that it shows next: finds a counter that ran up to a thousand ahead.
    #[schema(example = "287082")]
    next_otp: Option<String>,
}

/// Accepts a code, once: of the time one step to either side, of a counter up to ten ahead. With `nextOtp` a counter that ran
/// further is found again.
#[utoipa::path(
    post, path = "/api/code/verify", operation_id = "verifyCode", tag = "Second factor",
    request_body = CheckCodeBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "It was right.", body = CheckedBody),
        GuessProblems, NamedFactorProblems, WriteProblems,
    )
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<CheckCodeBody>,
) -> Result<Json<CheckedBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let CheckCodeBody { user_id, otp, next_otp } = body.read().await?.value;
    let status = match next_otp {
        Some(next) => app.service.resynchronise_authenticator(&caller, &user_id, &otp, &next).await?,
        None => {
            let proof = SecondFactorProof::Otp(Secret::from(otp));
            app.service.check_authenticator(&caller, &user_id, &proof).await?
        }
    };
    Ok(Json(CheckedBody { success: true, recovery_codes_left: status.recovery_codes_left }))
}
