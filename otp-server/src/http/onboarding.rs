//! `/admin/onboarding`, and asking for another plan.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use otp_core::onboarding::Step;
use otp_core::{Address, OnboardingView, OtpRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::{self, OtpSent};
use super::body::Unread;
use super::docs::{AdminProblems, BillingProblems, LimitProblems, OnceHeader, OnceProblems, WriteProblems};
use super::problem::Problem;

/// How far the customer has come.
#[derive(Serialize, ToSchema)]
pub struct OnboardingBody {
    success: bool,
    onboarding: Onboarding,
}

/// What is done, what is left.
#[derive(Serialize, ToSchema)]
pub struct Onboarding {
    /// The next step; null when nothing is left.
    #[schema(value_type = Option<String>, example = "firstTestCompleted")]
    step: Option<Step>,
    /// Whether every step is done or skipped.
    completed: bool,
    steps: Steps,
    /// Steps that are not wanted.
    #[schema(value_type = Vec<String>)]
    skipped: Vec<Step>,
}

/// Every step, and whether it is done: told from what is there.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Steps {
    account_created: bool,
    /// The contact's mail is read by somebody: the signup was confirmed, or the address has verified a code.
    email_verified: bool,
    /// There is a key that works.
    api_key_generated: bool,
    /// A code was verified, with a key of either mode.
    first_test_completed: bool,
    webhook_configured: bool,
    /// Messages have a name or a help page of the customer's own.
    email_template_configured: bool,
}

impl From<OnboardingView> for OnboardingBody {
    fn from(view: OnboardingView) -> Self {
        let step = view.next();
        let is_done = |wanted| view.steps.iter().any(|(step, done)| *step == wanted && *done);
        let steps = Steps {
            account_created: is_done(Step::AccountCreated),
            email_verified: is_done(Step::EmailVerified),
            api_key_generated: is_done(Step::ApiKeyGenerated),
            first_test_completed: is_done(Step::FirstTestCompleted),
            webhook_configured: is_done(Step::WebhookConfigured),
            email_template_configured: is_done(Step::EmailTemplateConfigured),
        };
        let onboarding = Onboarding { step, completed: step.is_none(), steps, skipped: view.skipped };
        Self { success: true, onboarding }
    }
}

/// Tells how far the customer has come with setting itself up.
#[utoipa::path(
    get, path = "/admin/onboarding", operation_id = "onboarding", tag = "Customers",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The steps.", body = OnboardingBody), AdminProblems)
)]
pub async fn show(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<OnboardingBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.onboarding(&caller).await?.into()))
}

/// Steps that are not wanted, in the place of those named before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipBody {
    #[schema(example = json!(["webhookConfigured"]))]
    skip: Vec<String>,
}

/// Notes which steps the customer does not want to take.
#[utoipa::path(
    put, path = "/admin/onboarding", operation_id = "skipOnboarding", tag = "Customers", request_body = SkipBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The steps.", body = OnboardingBody), AdminProblems, WriteProblems)
)]
pub async fn skip(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<SkipBody>,
) -> Result<Json<OnboardingBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.skip_onboarding(&caller, &body.read().await?.value.skip).await?.into()))
}

/// Where the first code goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestOtpBody {
    #[schema(example = "ann@acme.com")]
    email: String,
}

/// Sends a code as `/auth/request-otp` does, to sign in with at `/auth/verify-otp`; a test key shows it. `firstTestCompleted`
/// is done once it was verified.
#[utoipa::path(
    post, path = "/admin/onboarding/test-otp", operation_id = "sendTestOtp", tag = "Customers",
    request_body = TestOtpBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 200, description = "The code is on its way.", body = OtpSent),
        AdminProblems, WriteProblems, OnceProblems, LimitProblems,
    )
)]
pub async fn test_otp(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<TestOtpBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read().await?;
    let email = body.value.email.parse();
    let email = email.map_err(|error| Problem::field("invalid_email", "email", format!("{error}")))?;
    let idempotency = asker.idempotency(&body.raw)?;
    let request = OtpRequest { idempotency, ..OtpRequest::to(Address::Email(email)) };
    auth::send(&app, &caller, request).await
}

/// The plan that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpgradeBody {
    #[schema(example = "pro")]
    plan: String,
}

/// Asks for another plan. An installation without billing says who changes plans instead.
#[utoipa::path(
    post, path = "/admin/customers/me/upgrade", operation_id = "upgradePlan", tag = "Customers",
    request_body = UpgradeBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(BillingProblems, AdminProblems, WriteProblems)
)]
pub async fn upgrade(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<UpgradeBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    match app.service.upgrade_plan(&caller, &body.read().await?.value.plan)? {}
}
