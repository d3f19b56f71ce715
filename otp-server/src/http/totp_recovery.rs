//! `/auth/totp/recovery-codes`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use otp_core::Secret;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::text;
use super::body::Unread;
use super::docs::{FactorProblems, GuessProblems, NoFactorProblems, WriteProblems};
use super::problem::Problem;
use super::totp::{FactorBody, shown};

/// Recovery codes; they are shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodesBody {
    success: bool,
    /// Ten, each good once. None where there was no room to make them: then ask for them.
    #[schema(example = json!(["7KQ2M-94XRD"]))]
    recovery_codes: Vec<String>,
}

impl From<Vec<Secret>> for RecoveryCodesBody {
    fn from(codes: Vec<Secret>) -> Self {
        Self { success: true, recovery_codes: codes.iter().map(text).collect() }
    }
}

/// Makes ten new recovery codes; those before are dead. It takes a second factor: in the body, or shown in this session within
/// the last five minutes.
#[utoipa::path(
    post, path = "/auth/totp/recovery-codes", operation_id = "recoveryCodes", tag = "Second factor",
    request_body(content = Option<FactorBody>), security(("accessToken" = [])),
    responses(
        (status = 200, description = "The codes.", body = RecoveryCodesBody),
        NoFactorProblems, GuessProblems, FactorProblems, WriteProblems,
    )
)]
pub async fn renew(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<FactorBody>,
) -> Result<Json<RecoveryCodesBody>, Problem> {
    let me = asker.user(&app).await?;
    let FactorBody { otp, recovery_code } = body.read_if_any().await?.value;
    let proof = shown(otp, recovery_code)?;
    let codes = app.service.renew_recovery_codes(&me, proof.as_ref(), &asker.client()).await?;
    Ok(Json(codes.into()))
}
