//! `/auth/me`, `/auth/refresh`, `/auth/logout`, `/auth/sessions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use otp_core::SessionView;
use otp_core::idempotency::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::{SignedInBody, signed_in};
use super::body::Unread;
use super::docs::{NamedProblems, OnceHeader, OnceProblems, TokenProblems, WriteProblems};
use super::path::Named;
use super::problem::Problem;

/// The signed-in user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeBody {
    success: bool,
    user_id: String,
    email: Option<String>,
    phone: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_login: String,
    session_id: String,
    totp_enabled: bool,
}

/// Who is signed in.
#[utoipa::path(
    get, path = "/auth/me", operation_id = "me", tag = "Sign-in", security(("accessToken" = [])),
    responses((status = 200, description = "The user.", body = MeBody), TokenProblems)
)]
pub async fn me(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<MeBody>, Problem> {
    let me = asker.user(&app).await?;
    Ok(Json(MeBody {
        success: true,
        user_id: me.user_id().to_string(),
        email: me.email.clone(),
        phone: me.phone.clone(),
        created_at: me.created_at().to_string(),
        last_login: me.last_login_at().to_string(),
        session_id: me.session_id().to_string(),
        totp_enabled: app.service.totp_status(&me).await?.enabled,
    }))
}

/// What a session is prolonged with: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshBody {
    /// The refresh token. It works once; one that was used before ends the session.
    refresh_token: Option<String>,
    /// A still valid access token: it is revoked and replaced.
    token: Option<String>,
}

/// Prolongs a session. Needs no key: the token says whose it is.
#[utoipa::path(
    post, path = "/auth/refresh", operation_id = "refresh", tag = "Sign-in", request_body = RefreshBody, security(()),
    params(OnceHeader),
    responses(
        (status = 200, description = "New tokens; the old ones are spent.", body = SignedInBody),
        TokenProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn refresh(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<RefreshBody>,
) -> Result<Response, Problem> {
    let caller = asker.key_beside_token(&app).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    match (body.value.refresh_token, body.value.token) {
        (Some(token), _) => Ok(signed_in(app.service.refresh(caller.as_ref(), &token, idempotency).await?)),
        (None, Some(token)) => {
            let me = app.service.me(&token).await?;
            if caller.is_some_and(|caller| !me.is_of(&caller)) {
                return Err(otp_core::Error::InvalidToken.into());
            }
            let value = app.service.replace_token(&me).await?;
            Ok(signed_in(Answer { value, replayed: false }))
        }
        (None, None) => Err(Problem::field("missing_field", "refreshToken", "name refreshToken or token")),
    }
}

/// How much is signed out.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogoutBody {
    /// All of the user's sessions instead of this one.
    #[serde(default)]
    everywhere: bool,
}

/// Done.
#[derive(Serialize, ToSchema)]
pub struct Done {
    success: bool,
    message: String,
}

impl Done {
    /// Done, in words.
    pub fn saying(message: impl Into<String>) -> Json<Self> {
        Json(Self { success: true, message: message.into() })
    }
}

/// Signs out: the session and its tokens are dead at once.
#[utoipa::path(
    post, path = "/auth/logout", operation_id = "logout", tag = "Sign-in", request_body(content = Option<LogoutBody>),
    security(("accessToken" = [])),
    responses((status = 200, description = "Signed out.", body = Done), TokenProblems, WriteProblems)
)]
pub async fn logout(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<LogoutBody>,
) -> Result<Json<Done>, Problem> {
    let me = asker.user(&app).await?;
    let body = body.read_if_any().await?;
    if body.value.everywhere {
        let ended = app.service.sign_out_everywhere(&me, &asker.client()).await?;
        return Ok(Done::saying(format!("Signed out of {ended} sessions")));
    }
    match app.service.sign_out(&me, me.session_id(), &asker.client()).await {
        // Somebody else ended it between the check and now: it is over either way.
        Ok(()) | Err(otp_core::Error::NotFound(_)) => Ok(Done::saying("Signed out")),
        Err(error) => Err(error.into()),
    }
}

/// A session as its user sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionBody {
    session_id: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_used_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
    ip: Option<String>,
    user_agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

impl From<SessionView> for SessionBody {
    fn from(session: SessionView) -> Self {
        Self {
            session_id: session.id.to_string(),
            created_at: session.created_at.to_string(),
            last_used_at: session.refreshed_at.to_string(),
            expires_at: session.expires_at.to_string(),
            ip: session.ip.map(|ip| ip.to_string()),
            user_agent: session.user_agent,
            current: session.current,
        }
    }
}

/// The user's open sessions, newest first.
#[derive(Serialize, ToSchema)]
pub struct SessionsBody {
    success: bool,
    sessions: Vec<SessionBody>,
}

impl From<Vec<SessionView>> for SessionsBody {
    fn from(sessions: Vec<SessionView>) -> Self {
        Self { success: true, sessions: sessions.into_iter().map(SessionBody::from).collect() }
    }
}

/// The user's own sessions.
#[utoipa::path(
    get, path = "/auth/sessions", operation_id = "listSessions", tag = "Sign-in", security(("accessToken" = [])),
    responses((status = 200, description = "The open sessions.", body = SessionsBody), TokenProblems)
)]
pub async fn list(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<SessionsBody>, Problem> {
    let me = asker.user(&app).await?;
    Ok(Json(app.service.sessions(&me).await?.into()))
}

/// Ends one of the user's own sessions.
#[utoipa::path(
    delete, path = "/auth/sessions/{id}", operation_id = "endSession", tag = "Sign-in", security(("accessToken" = [])),
    params(("id" = String, Path, description = "The session.")),
    responses(
        (status = 200, description = "It is over.", body = Done),
        NamedProblems, TokenProblems,
    )
)]
pub async fn end(State(app): State<Arc<App>>, asker: Asker, Named(id): Named<String>) -> Result<Json<Done>, Problem> {
    let me = asker.user(&app).await?;
    let id = id.parse().map_err(|_| Problem::not_found("session"))?;
    app.service.sign_out(&me, id, &asker.client()).await?;
    Ok(Done::saying("Session ended"))
}
