//! `/auth/request-otp` and `/auth/verify-otp`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use otp_core::api_key::KeyType;
use otp_core::idempotency::Answer;
use otp_core::limit::Allowance;
use otp_core::{Caller, Client, Deliver, OtpChallenge, OtpRequest, OtpVerification, Secret, SignedIn, parse_challenge};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::body::Unread;
use super::docs::{CodeProblems, KeyProblems, LimitProblems, OnceHeader, OnceProblems, SignInProblems, WriteProblems};
use super::limits;
use super::problem::Problem;
use super::recipient::{self, ChannelName, StepBody};
use super::templates;
use super::totp::{self, MfaRequiredBody};

/// Asks for a code.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestOtpBody {
    /// Whom to send it to.
    #[schema(example = "ann@example.org")]
    email: Option<String>,
    /// Or a mobile number, of a country that the customer has listed: `+`, country code, number.
    #[schema(example = "+4915112345678")]
    phone: Option<String>,
    /// How it travels: to a phone `sms`, unless `whatsapp` is named.
    #[schema(value_type = Option<ChannelName>)]
    channel: Option<String>,
    /// Instead of `channel`: up to four steps, each taken when the code was not said after the one before.
    #[schema(min_items = 1, max_items = 4)]
    channels: Option<Vec<StepBody>>,
    /// What the code will be good for.
    #[schema(default = "login", example = "login")]
    purpose: Option<String>,
    /// What the recipient reads (BCP 47); `branding.locale` if left out.
    #[schema(example = "de-CH")]
    locale: Option<String>,
    /// What is being approved: bound into the code and shown in the message.
    #[schema(example = "Pay 120 EUR to Acme")]
    context: Option<String>,
    /// Whether an unknown address may become a user.
    #[schema(default = true)]
    create_user: Option<bool>,
    /// Your own notes, given back in events.
    metadata: Option<Map<String, Value>>,
    /// The end user's side, honoured for secret keys.
    client: Option<ClientBody>,
    /// Who hands the code over: `caller` returns it to a secret key with the scope `otp:reveal`.
    #[schema(default = "service")]
    deliver: Option<DeliverBody>,
}

/// The end user's side of a server's call.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientBody {
    /// The end user's address.
    #[schema(value_type = Option<String>, example = "203.0.113.7")]
    ip: Option<IpAddr>,
    /// The end user's browser or app.
    user_agent: Option<String>,
}

/// Who hands the code over.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliverBody {
    /// The service.
    Service,
    /// The caller.
    Caller,
}

/// A code is on its way.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OtpSent {
    success: bool,
    message: &'static str,
    /// Show it when saying the code: it has guesses of its own.
    #[schema(example = "otp_9rMBTKQb9CyJtyAaVmjYpb")]
    challenge_id: String,
    /// Seconds the code lives.
    expires_in: u64,
    /// When the code dies.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When another message can be sent.
    #[schema(format = DateTime)]
    resend_at: String,
    /// Messages that can still be sent to this recipient within the hour.
    remaining: u64,
    /// How it travels.
    channel: &'static str,
    /// The code, with test keys only.
    #[serde(skip_serializing_if = "Option::is_none")]
    test_code: Option<String>,
    /// The code, with `deliver: "caller"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// Sends a code, or the same code again while it lives.
#[utoipa::path(
    post, path = "/auth/request-otp", operation_id = "requestOtp", tag = "Sign-in", request_body = RequestOtpBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 200, description = "The code is on its way.", body = OtpSent),
        KeyProblems, WriteProblems, OnceProblems, LimitProblems,
    )
)]
pub async fn request_otp(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<RequestOtpBody>,
) -> Result<Response, Problem> {
    let caller = asker.key(&app).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let body = body.value;
    let deliver = match body.deliver {
        Some(DeliverBody::Caller) => Deliver::Caller,
        _ => Deliver::Service,
    };
    let named = recipient::address(body.email.as_deref(), body.phone.as_deref())?;
    let base = recipient::request(named, body.channel.as_deref(), body.channels.as_deref())?;
    let request = OtpRequest {
        purpose: body.purpose.unwrap_or(base.purpose),
        locale: templates::locale(body.locale.as_deref())?,
        context: body.context,
        create_user: body.create_user.unwrap_or(true),
        metadata: body.metadata,
        client: end_user(&asker, &caller, body.client),
        deliver,
        idempotency,
        ..base
    };
    send(&app, &caller, request).await
}

/// Sends a code and words the answer.
pub async fn send(app: &App, caller: &Caller, request: OtpRequest) -> Result<Response, Problem> {
    let deliver = request.deliver;
    let answer = app.service.request_otp(caller, request).await.map_err(|error| refused(caller, error))?;
    Ok(sent(caller, deliver, answer))
}

/// Words the answer about a code that was sent.
pub fn sent(caller: &Caller, deliver: Deliver, answer: Answer<OtpChallenge>) -> Response {
    let challenge = answer.value;
    let code = challenge.code.as_ref().map(|code| code.expose().to_owned());
    let (code, test_code) = if deliver == Deliver::Caller { (code, None) } else { (None, code) };
    let body = OtpSent {
        success: true,
        message: if deliver == Deliver::Caller { "Code created" } else { "Code sent" },
        challenge_id: challenge.challenge_id.to_string(),
        expires_in: challenge.expires_at.secs_after(challenge.requested_at),
        expires_at: challenge.expires_at.to_string(),
        resend_at: challenge.resend_at.to_string(),
        remaining: challenge.limit.remaining,
        channel: challenge.channel.as_str(),
        test_code,
        code,
    };
    let mut response = Json(body).into_response();
    limits::limit(response.headers_mut(), &challenge.limit);
    tell_quota(&mut response, caller, challenge.quota);
    mark_replay(&mut response, answer.replayed);
    response
}

/// The quota is the tenant's business: browsers are not told how much of it is left.
fn refused(caller: &Caller, error: otp_core::Error) -> Problem {
    let problem = Problem::from(error);
    if caller.key_type() == Some(KeyType::Secret) { problem } else { problem.without_quota() }
}

fn tell_quota(response: &mut Response, caller: &Caller, quota: Option<Allowance>) {
    if let Some(quota) = quota.filter(|_| caller.key_type() == Some(KeyType::Secret)) {
        limits::quota(response.headers_mut(), &quota);
    }
}

/// Says that nothing was done this time.
pub fn mark_replay(response: &mut Response, replayed: bool) {
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
}

/// Whose address and browser count: what a server says of its user, or the client itself. A server that says nothing has
/// no client address: its own would lump all its users together.
pub fn end_user(asker: &Asker, caller: &Caller, named: Option<ClientBody>) -> Client {
    let own = asker.client();
    match (caller.key_type(), named) {
        (Some(KeyType::Publishable), _) => own,
        (_, Some(named)) => Client { ip: named.ip, user_agent: named.user_agent, ..own },
        (_, None) if asker.is_browser() => own,
        (_, None) => Client { ip: None, user_agent: None, ..own },
    }
}

/// Says a code.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyOtpBody {
    /// The address that was asked.
    email: Option<String>,
    /// Or the phone number.
    phone: Option<String>,
    /// The challenge, as the request was answered with. Either this or the address is needed.
    #[schema(example = "otp_9rMBTKQb9CyJtyAaVmjYpb")]
    challenge_id: Option<String>,
    /// The code; spaces and hyphens do not matter.
    #[schema(example = "123 456 789")]
    otp: String,
    /// What it was asked for.
    #[schema(default = "login")]
    purpose: Option<String>,
    /// What is being approved, as it was when the code was asked for.
    context: Option<String>,
    /// The version of your terms that the user accepts with it; kept with the user.
    #[schema(example = "2026-01")]
    consent: Option<String>,
    /// The `deviceToken` of a trusted device: on one, no second factor is asked for.
    device_token: Option<String>,
    /// What a right code is exchanged for.
    #[schema(default = "session")]
    result: Option<ResultBody>,
    /// The end user's side, honoured for secret keys.
    client: Option<ClientBody>,
}

/// What a right code is exchanged for.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultBody {
    /// A session with its tokens.
    Session,
    /// A signed proof and no session.
    Proof,
}

/// A user has signed in, or a session was prolonged.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedInBody {
    success: bool,
    /// The access token, a JWT.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// When the access token ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What the next access token is got with; it works once.
    refresh_token: String,
    /// When the refresh token ends.
    #[schema(format = DateTime)]
    refresh_expires_at: String,
    user_id: String,
    email: Option<String>,
    phone: Option<String>,
    /// Whether this was the first sign-in.
    is_new_user: bool,
    session_id: String,
}

/// The answer to `result: "proof"`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProofBody {
    success: bool,
    /// A JWT of type `proof+jwt`, good for five minutes and to be accepted once.
    proof: String,
}

/// Either answer to a right code.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // for the document: a handler answers with one or the other
pub enum Verified {
    Session(SignedInBody),
    SecondFactor(MfaRequiredBody),
    Proof(ProofBody),
}

/// Accepts a right code, once ever, and signs the user in.
#[utoipa::path(
    post, path = "/auth/verify-otp", operation_id = "verifyOtp", tag = "Sign-in", request_body = VerifyOtpBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 200, description = "The code was right.", body = Verified),
        CodeProblems, SignInProblems, KeyProblems, WriteProblems, OnceProblems, LimitProblems,
    )
)]
pub async fn verify_otp(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<VerifyOtpBody>,
) -> Result<Response, Problem> {
    let caller = asker.key(&app).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let body = body.value;
    let result = body.result.unwrap_or(ResultBody::Session);
    let address = recipient::address(body.email.as_deref(), body.phone.as_deref())?;
    let challenge = body.challenge_id.as_deref().map(parse_challenge).transpose()?;
    let verification = OtpVerification {
        address,
        challenge,
        code: body.otp,
        purpose: body.purpose.unwrap_or_else(|| "login".to_owned()),
        context: body.context,
        consent: body.consent,
        trusted_device: body.device_token.map(Secret::from),
        client: end_user(&asker, &caller, body.client),
        idempotency,
    };
    if result == ResultBody::Proof {
        let answer = app.service.prove_otp(&caller, verification).await?;
        let mut response = Json(ProofBody { success: true, proof: text(&answer.value.token) }).into_response();
        mark_replay(&mut response, answer.replayed);
        return Ok(response);
    }
    let (mut response, limit, quota) = match app.service.verify_otp(&caller, verification).await {
        Ok(answer) => {
            let (limit, quota) = (answer.value.limit, answer.value.quota);
            (signed_in(answer), limit, quota)
        }
        Err(otp_core::Error::SecondFactorRequired(required)) => {
            (totp::required(&required), Some(required.limit), required.quota)
        }
        Err(error) => return Err(error.into()),
    };
    limit.iter().for_each(|limit| limits::limit(response.headers_mut(), limit));
    tell_quota(&mut response, &caller, quota);
    Ok(response)
}

impl From<SignedIn> for SignedInBody {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            success: true,
            token: text(&signed_in.token),
            token_type: "Bearer",
            expires_at: signed_in.expires_at.to_string(),
            refresh_token: text(&signed_in.refresh_token),
            refresh_expires_at: signed_in.refresh_expires_at.to_string(),
            user_id: signed_in.user_id.to_string(),
            email: signed_in.email,
            phone: signed_in.phone,
            is_new_user: signed_in.is_new_user,
            session_id: signed_in.session_id.to_string(),
        }
    }
}

/// The answer that carries tokens.
pub fn signed_in(answer: Answer<SignedIn>) -> Response {
    let mut response = Json(SignedInBody::from(answer.value)).into_response();
    mark_replay(&mut response, answer.replayed);
    response
}

pub fn text(secret: &Secret) -> String {
    secret.expose().to_owned()
}
