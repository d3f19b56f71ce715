//! `/api/auth`: members register, sign in and out, and set a new password.

use std::convert::identity;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::member::CodeUse;
use otp_core::{MemberProof, MemberSessionView, MemberView, NewMember, Secret, SignedInMember};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::Unread;
use super::docs::{EntryProblems, MemberProblems, NamedProblems, ProofProblems, SessionProblems, WriteProblems};
use super::member_factor::{self, LoggedIn};
use super::path::Named;
use super::problem::Problem;
use super::sessions::Done;
use super::visitor::{Visitor, remove_cookie, set_cookie};

/// Somebody who registers.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterBody {
    #[schema(example = "ann@acme.com")]
    email: String,
    /// 12 to 256 bytes, and nothing that anybody would guess.
    #[schema(example = "eleven pears in a teapot")]
    password: String,
    /// What to be called.
    #[schema(example = "Ann")]
    name: Option<String>,
}

/// A mail is on its way, whether or not the address was known.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CodeTaken {
    success: bool,
    message: &'static str,
    /// Seconds that the code works.
    expires_in: u64,
}

fn taken(of_use: CodeUse) -> Response {
    let message = "If the address can be used, a mail with a code is on its way.";
    let body = CodeTaken { success: true, message, expires_in: of_use.valid_for().as_secs() };
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// Registers. The mail holds a code of nine digits that makes the account within 24 hours. The answer is the same for an address
/// that has an account; then the mail says so.
#[utoipa::path(
    post, path = "/api/auth/register", operation_id = "registerMember", tag = "Members", request_body = RegisterBody,
    security(()),
    responses((status = 202, description = "A mail is on its way.", body = CodeTaken), EntryProblems, WriteProblems)
)]
pub async fn register(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<RegisterBody>,
) -> Result<Response, Problem> {
    visitor.at_home()?;
    let RegisterBody { email, password, name } = body.read().await?.value;
    let new = NewMember { email, password: Secret::from(password), name, client: visitor.client() };
    app.service.register_member(new).await?;
    Ok(taken(CodeUse::Register))
}

/// What the mail held.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyBody {
    #[schema(example = "ann@acme.com")]
    email: String,
    /// Spaces and hyphens do not matter.
    #[schema(example = "123 456 789")]
    code: String,
}

/// A member.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberBody {
    #[schema(example = "mem_1ChFmqGmfQTctUmrBj4YHw")]
    member_id: String,
    email: String,
    name: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<MemberView> for MemberBody {
    fn from(member: MemberView) -> Self {
        Self {
            member_id: member.id.to_string(),
            email: member.email,
            name: member.name,
            created_at: member.created_at.to_string(),
        }
    }
}

/// The account.
#[derive(Serialize, ToSchema)]
pub struct Registered {
    success: bool,
    member: MemberBody,
}

/// Makes the account, once. Whatever is wrong is answered with `sign_in_refused`, whether or not the address is known. Five wrong
/// codes make the code worthless.
#[utoipa::path(
    post, path = "/api/auth/register/verify", operation_id = "confirmMember", tag = "Members",
    request_body = VerifyBody, security(()),
    responses((status = 201, description = "The account.", body = Registered), ProofProblems, WriteProblems)
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<VerifyBody>,
) -> Result<Response, Problem> {
    visitor.at_home()?;
    let VerifyBody { email, code } = body.read().await?.value;
    let member = app.service.confirm_member(&email, &code, &visitor.client()).await?.into();
    Ok((StatusCode::CREATED, Json(Registered { success: true, member })).into_response())
}

/// What a member is let in by: the password, a code, or neither to be mailed a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    #[schema(example = "ann@acme.com")]
    email: String,
    password: Option<String>,
    #[schema(example = "123 456 789")]
    code: Option<String>,
    /// For programs: the answer holds the session's token, to be sent as a bearer, and there is no cookie.
    #[serde(default)]
    token: bool,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberSignedIn {
    success: bool,
    member: MemberBody,
    session_id: String,
    /// When it ends whatever happens; without a request it ends after 30 minutes.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What a page sends as `X-CSRF-Token` with whatever changes anything.
    csrf_token: String,
    /// Where it was asked for: `Authorization: Bearer otp_ms_…`.
    #[schema(example = "otp_ms_…")]
    token: Option<String>,
}

/// Signs a member in, by its password or by a code; with the address alone, mails a code. Browsers get a cookie, and lose the one
/// that they had. Where the member has an authenticator, `POST /api/auth/totp` has to follow first. Whatever is wrong is answered with `sign_in_refused`, whether or not the address is known.
#[utoipa::path(
    post, path = "/api/auth/login", operation_id = "signInMember", tag = "Members", request_body = LoginBody,
    security(()),
    responses(
        (status = 200, description = "A session, and its cookie; or a second factor is to follow.", body = LoggedIn),
        (status = 202, description = "A mail is on its way.", body = CodeTaken),
        ProofProblems, WriteProblems,
    )
)]
pub async fn login(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<LoginBody>,
) -> Result<Response, Problem> {
    visitor.at_home()?;
    let LoginBody { email, password, code, token } = body.read().await?.value;
    let proof = match (password, code) {
        (Some(password), None) => MemberProof::Password(Secret::from(password)),
        (None, Some(code)) => MemberProof::Code(code),
        (Some(_), Some(_)) => {
            return Err(Problem::field("invalid_request", "code", "name either password or code"));
        }
        (None, None) => {
            app.service.request_member_code(&email, &visitor.client()).await?;
            return Ok(taken(CodeUse::SignIn));
        }
    };
    let signed_in = match app.service.sign_in_member(&email, proof, token, &visitor.client()).await {
        Ok(signed_in) => signed_in,
        Err(otp_core::Error::SecondFactorOfMember(required)) => return Ok(member_factor::required(&required)),
        Err(error) => return Err(error.into()),
    };
    if !token {
        visitor.leave_behind(&app).await?;
    }
    Ok(with_session(&app, signed_in, identity))
}

/// The answer that a new session goes with, and the cookie of a browser's.
pub fn with_session<T: Serialize>(
    app: &App,
    signed_in: SignedInMember,
    words: impl FnOnce(MemberSignedIn) -> T,
) -> Response {
    let for_program = signed_in.for_program;
    let token = signed_in.token.expose().to_owned();
    let body = MemberSignedIn {
        success: true,
        member: signed_in.member.into(),
        session_id: signed_in.session.to_string(),
        expires_at: signed_in.expires_at.to_string(),
        csrf_token: signed_in.csrf_token.expose().to_owned(),
        token: for_program.then(|| token.clone()),
    };
    let mut response = Json(words(body)).into_response();
    if !for_program {
        set_cookie(app, &mut response, &token);
    }
    response
}

/// How much is signed out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberLogoutBody {
    /// All of the member's sessions instead of this one.
    #[serde(default)]
    everywhere: bool,
}

/// Signs out: the session is over at once.
#[utoipa::path(
    post, path = "/api/auth/logout", operation_id = "signOutMember", tag = "Members",
    request_body = Option<MemberLogoutBody>, security(("memberSession" = []), ("memberToken" = [])),
    responses((status = 200, description = "Signed out.", body = Done), MemberProblems, WriteProblems)
)]
pub async fn logout(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<MemberLogoutBody>,
) -> Result<Response, Problem> {
    let caller = visitor.member(&app).await?;
    let MemberLogoutBody { everywhere } = body.read_if_any().await?.value;
    app.service.sign_out_member(&caller, everywhere).await?;
    let mut response = Done::saying("Signed out").into_response();
    remove_cookie(&app, &mut response);
    Ok(response)
}

/// An address that is to be mailed a code, or that code and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoveryBody {
    #[schema(example = "ann@acme.com")]
    email: String,
    #[schema(example = "123 456 789")]
    code: Option<String>,
    /// 12 to 256 bytes, and nothing that anybody would guess.
    new_password: Option<String>,
}

/// Mails a code; with that code, sets a new password and ends all sessions. The answer does not tell whether the address is known.
#[utoipa::path(
    post, path = "/api/auth/recovery", operation_id = "recoverMember", tag = "Members", request_body = RecoveryBody,
    security(()),
    responses(
        (status = 200, description = "The password is set; sign in with it.", body = Done),
        (status = 202, description = "A mail is on its way.", body = CodeTaken),
        ProofProblems, WriteProblems,
    )
)]
pub async fn recovery(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<RecoveryBody>,
) -> Result<Response, Problem> {
    visitor.at_home()?;
    let RecoveryBody { email, code, new_password } = body.read().await?.value;
    match (code, new_password) {
        (None, None) => {
            app.service.request_recovery(&email, &visitor.client()).await?;
            Ok(taken(CodeUse::Recover))
        }
        (Some(code), Some(password)) => {
            app.service.recover_member(&email, &code, Secret::from(password), &visitor.client()).await?;
            let mut response = Done::saying("The password is set; sign in with it").into_response();
            remove_cookie(&app, &mut response);
            Ok(response)
        }
        (None, _) => Err(Problem::field("missing_field", "code", "name the code of the mail")),
        (_, None) => Err(Problem::field("missing_field", "newPassword", "name the new password")),
    }
}

/// The signed-in member.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberSelf {
    success: bool,
    member: MemberBody,
    session_id: String,
    /// What a page sends as `X-CSRF-Token` with whatever changes anything.
    csrf_token: String,
}

/// Who is signed in.
#[utoipa::path(
    get, path = "/api/auth/me", operation_id = "showMember", tag = "Members",
    security(("memberSession" = []), ("memberToken" = [])),
    responses((status = 200, description = "The member.", body = MemberSelf), SessionProblems)
)]
pub async fn me(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Json<MemberSelf>, Problem> {
    let caller = visitor.member(&app).await?;
    let member = app.service.member_self(&caller)?.into();
    let (session_id, csrf_token) = (caller.session().to_string(), caller.csrf_token());
    Ok(Json(MemberSelf { success: true, member, session_id, csrf_token }))
}

/// A session of a member.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberSessionBody {
    session_id: String,
    /// Whether it is the one that asks.
    current: bool,
    #[schema(format = DateTime)]
    created_at: String,
    /// Latest request, to the minute.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// When it ends, unless it is used before.
    #[schema(format = DateTime)]
    expires_at: String,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl From<MemberSessionView> for MemberSessionBody {
    fn from(session: MemberSessionView) -> Self {
        Self {
            session_id: session.id.to_string(),
            current: session.current,
            created_at: session.created_at.to_string(),
            last_seen_at: session.seen_at.to_string(),
            expires_at: session.ends_at.to_string(),
            ip: session.ip.map(|ip| ip.to_string()),
            user_agent: session.user_agent,
        }
    }
}

/// The member's open sessions, newest first.
#[derive(Serialize, ToSchema)]
pub struct MemberSessionsBody {
    success: bool,
    sessions: Vec<MemberSessionBody>,
}

/// The member's own sessions.
#[utoipa::path(
    get, path = "/api/auth/sessions", operation_id = "listMemberSessions", tag = "Members",
    security(("memberSession" = []), ("memberToken" = [])),
    responses((status = 200, description = "The open sessions.", body = MemberSessionsBody), SessionProblems)
)]
pub async fn sessions(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Json<MemberSessionsBody>, Problem> {
    let caller = visitor.member(&app).await?;
    let sessions = app.service.member_sessions(&caller).await?.into_iter().map(MemberSessionBody::from).collect();
    Ok(Json(MemberSessionsBody { success: true, sessions }))
}

/// Ends one of the member's own sessions.
#[utoipa::path(
    delete, path = "/api/auth/sessions/{id}", operation_id = "endMemberSession", tag = "Members",
    security(("memberSession" = []), ("memberToken" = [])),
    params(("id" = String, Path, description = "The session.")),
    responses((status = 200, description = "It is over.", body = Done), NamedProblems, MemberProblems)
)]
pub async fn end(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
) -> Result<Json<Done>, Problem> {
    let caller = visitor.member(&app).await?;
    let id = id.parse().map_err(|_| Problem::not_found("session"))?;
    app.service.end_member_session(&caller, id).await?;
    Ok(Done::saying("Session ended"))
}
