//! `/signup`: anybody becomes a customer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::api_key::KeyType;
use otp_core::idempotency::Answer;
use otp_core::signup::VALID_FOR;
use otp_core::{ConfirmSignup, ConfirmedSignup, Mode, NewApiKey, NewSignup, Secret, SignupSecret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::mark_replay;
use super::body::Unread;
use super::customers::Customer;
use super::docs::{ConfirmProblems, OnceHeader, OnceProblems, SignupKeyProblems, SignupProblems, WriteProblems};
use super::keys::NewKeyAnswer;
use super::problem::Problem;

/// Somebody who signs up.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignupBody {
    #[schema(example = "ann@acme.com")]
    email: String,
    #[schema(example = "Acme")]
    company_name: String,
    /// 12 to 256 bytes, and nothing that anybody would guess.
    #[schema(example = "eleven pears in a teapot")]
    password: String,
}

/// A mail is on its way, whether or not the address was known.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignupTaken {
    success: bool,
    message: &'static str,
    /// Seconds that link and code of a first mail work.
    expires_in: u64,
}

fn taken(answer: &Answer<()>) -> Response {
    let message = "If the address can be used, a mail with a link and a code is on its way.";
    let body = SignupTaken { success: true, message, expires_in: VALID_FOR.as_secs() };
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    mark_replay(&mut response, answer.replayed);
    response
}

/// Signs up. The mail holds a link and a code of nine digits, either of which opens the account within 24 hours. The answer
/// is the same for an address that has an account; then the mail says so.
#[utoipa::path(
    post, path = "/signup", operation_id = "signUp", tag = "Signup", request_body = SignupBody, security(()),
    params(OnceHeader),
    responses(
        (status = 202, description = "A mail is on its way.", body = SignupTaken),
        SignupProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn sign_up(State(app): State<Arc<App>>, asker: Asker, body: Unread<SignupBody>) -> Result<Response, Problem> {
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let SignupBody { email, company_name, password } = body.value;
    let new = NewSignup { email, company_name, password: Secret::from(password), client: asker.client(), idempotency };
    Ok(taken(&app.service.sign_up(new).await?))
}

/// Whose mail is to be sent again.
#[derive(Deserialize, ToSchema)]
pub struct ResendBody {
    #[schema(example = "ann@acme.com")]
    email: String,
}

/// Sends the mail of an open signup again, with the same link and code. The answer is the same if there is none.
#[utoipa::path(
    post, path = "/signup/resend", operation_id = "resendSignup", tag = "Signup", request_body = ResendBody,
    security(()),
    params(OnceHeader),
    responses(
        (status = 202, description = "If there is an open signup, its mail is on its way.", body = SignupTaken),
        SignupProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn resend(State(app): State<Arc<App>>, asker: Asker, body: Unread<ResendBody>) -> Result<Response, Problem> {
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    Ok(taken(&app.service.resend_signup(&body.value.email, &asker.client(), idempotency).await?))
}

/// What the mail held.
#[derive(Deserialize, ToSchema)]
pub struct ConfirmBody {
    #[schema(example = "ann@acme.com")]
    email: String,
    /// What stands behind `token=` in the link. Either this or the code is needed.
    token: Option<String>,
    /// The code; spaces and hyphens do not matter.
    #[schema(example = "123 456 789")]
    code: Option<String>,
}

/// A new customer. Key and token are shown here and never again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedUp {
    success: bool,
    customer_id: String,
    /// A live secret key.
    api_key: String,
    key_id: String,
    customer: Customer,
    /// Makes further keys at `POST /signup/api-key`.
    #[schema(example = "otp_su_…")]
    signup_token: String,
    /// When that ends.
    #[schema(format = DateTime)]
    signup_token_expires_at: String,
}

/// Opens the account, once ever. Whatever is wrong is answered with `otp_invalid`, whether or not the address is known; who
/// shows the right link or code is told why it does not count any more. Five wrong codes make the code worthless, but not the link.
#[utoipa::path(
    post, path = "/signup/verify", operation_id = "confirmSignup", tag = "Signup", request_body = ConfirmBody,
    security(()),
    params(OnceHeader),
    responses(
        (status = 201, description = "The customer, with what is shown once.", body = SignedUp),
        ConfirmProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn verify(State(app): State<Arc<App>>, asker: Asker, body: Unread<ConfirmBody>) -> Result<Response, Problem> {
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let ConfirmBody { email, token, code } = body.value;
    let secret = match (token, code) {
        (Some(token), None) => SignupSecret::Token(token),
        (None, Some(code)) => SignupSecret::Code(code),
        _ => return Err(Problem::field("missing_field", "token", "name either token or code")),
    };
    let confirm = ConfirmSignup { email, secret, client: asker.client(), idempotency };
    let Answer { value, replayed } = app.service.confirm_signup(confirm).await?;
    let mut response = (StatusCode::CREATED, Json(SignedUp::from(value))).into_response();
    mark_replay(&mut response, replayed);
    Ok(response)
}

impl From<ConfirmedSignup> for SignedUp {
    fn from(confirmed: ConfirmedSignup) -> Self {
        Self {
            success: true,
            customer_id: confirmed.tenant.id.to_string(),
            api_key: confirmed.api_key.expose().to_owned(),
            key_id: confirmed.key_id.to_string(),
            customer: confirmed.tenant.into(),
            signup_token: confirmed.signup_token.expose().to_owned(),
            signup_token_expires_at: confirmed.signup_token_expires_at.to_string(),
        }
    }
}

/// A further key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FurtherKeyBody {
    #[schema(example = "Staging")]
    name: String,
}

/// Makes one more live secret key, within an hour of signing up.
#[utoipa::path(
    post, path = "/signup/api-key", operation_id = "createSignupKey", tag = "Signup", request_body = FurtherKeyBody,
    security(("signupToken" = [])),
    params(OnceHeader),
    responses(
        (status = 201, description = "The key.", body = NewKeyAnswer),
        SignupKeyProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn api_key(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<FurtherKeyBody>,
) -> Result<Response, Problem> {
    let caller = asker.signup(&app).await?;
    let body = body.read().await?;
    let new = NewApiKey {
        name: body.value.name,
        key_type: KeyType::Secret,
        mode: Mode::Live,
        allowed_origins: Vec::new(),
        allowed_ips: Vec::new(),
        scopes: Vec::new(),
        expires_at: None,
        idempotency: asker.idempotency(&body.raw)?,
    };
    let Answer { value, replayed } = app.service.create_key(&caller, new).await?;
    let mut response = (StatusCode::CREATED, Json(NewKeyAnswer::from(value))).into_response();
    mark_replay(&mut response, replayed);
    Ok(response)
}
