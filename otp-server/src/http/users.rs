//! `/admin/users`: a customer's users, what is held about them, and its end.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use otp_core::user::Consent;
use otp_core::{Address, Page, UserExport, UserId, UserView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::asker::Asker;
use super::docs::{AdminProblems, NamedProblems, ReadProblems};
use super::list::{BadQuery, bad_limit, page_limit};
use super::path::Named;
use super::problem::Problem;
use super::sessions::{Done, SessionsBody};

/// The terms a user accepted last.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentBody {
    /// As you named them when the code was said.
    #[schema(example = "2026-01")]
    version: String,
    #[schema(format = DateTime)]
    accepted_at: String,
}

impl From<Consent> for ConsentBody {
    fn from(consent: Consent) -> Self {
        Self { version: consent.version, accepted_at: consent.at.to_string() }
    }
}

/// A user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    #[schema(example = "user_1ChFmqGmfQTctUmrBj4YHw")]
    user_id: String,
    #[schema(example = "ann@example.org")]
    email: Option<String>,
    phone: Option<String>,
    /// How codes reach them.
    #[schema(example = "email")]
    channel: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_login: String,
    consent: Option<ConsentBody>,
}

impl From<UserView> for User {
    fn from(user: UserView) -> Self {
        Self {
            user_id: user.id.to_string(),
            email: user.email,
            phone: user.phone,
            channel: user.channel.as_str(),
            created_at: user.created_at.to_string(),
            last_login: user.last_login_at.to_string(),
            consent: user.consent.map(ConsentBody::from),
        }
    }
}

/// One user.
#[derive(Serialize, ToSchema)]
pub struct UserBody {
    success: bool,
    user: User,
}

/// A page of users.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsersBody {
    success: bool,
    users: Vec<User>,
    /// What to ask the next page with; null at the end.
    next_cursor: Option<String>,
}

impl From<Page<UserView>> for UsersBody {
    fn from(page: Page<UserView>) -> Self {
        let users = page.items.into_iter().map(User::from).collect();
        Self { success: true, users, next_cursor: page.next }
    }
}

/// Which users are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsersQuery {
    /// Entries of a page, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// The whole e-mail address of the one who is wanted, in any spelling. Parts of it find nobody.
    #[param(example = "ann@example.org")]
    email: Option<String>,
    /// The whole phone number of the one who is wanted.
    phone: Option<String>,
}

impl UsersQuery {
    fn address(&self) -> Result<Option<Address>, Problem> {
        match (&self.email, &self.phone) {
            (Some(_), Some(_)) => Err(Problem::field("invalid_request", "phone", "name either email or phone")),
            (Some(email), None) => match email.parse() {
                Ok(email) => Ok(Some(Address::Email(email))),
                Err(error) => Err(Problem::field("invalid_email", "email", format!("{error}"))),
            },
            (None, Some(phone)) => match phone.parse() {
                Ok(phone) => Ok(Some(Address::Phone(phone))),
                Err(error) => Err(Problem::field("invalid_phone", "phone", format!("{error}"))),
            },
            (None, None) => Ok(None),
        }
    }
}

/// Lists users, newest first, or finds the one with an address.
#[utoipa::path(
    get, path = "/admin/users", operation_id = "listUsers", tag = "Users", params(UsersQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "A page.", body = UsersBody), AdminProblems, ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<UsersQuery>, BadQuery>,
) -> Result<Json<UsersBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let Query(query) = query.map_err(|_| bad_limit())?;
    let limit = page_limit(query.limit)?;
    if let Some(address) = query.address()? {
        let users = app.service.user_at(&caller, &address).await?.into_iter().map(User::from).collect();
        return Ok(Json(UsersBody { success: true, users, next_cursor: None }));
    }
    let page = app.service.users(&caller, query.cursor.as_deref(), limit).await?;
    Ok(Json(page.into()))
}

/// One user.
#[utoipa::path(
    get, path = "/admin/users/{id}", operation_id = "user", tag = "Users",
    security(("apiKey" = []), ("apiKeyHeader" = [])), params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "The user.", body = UserBody), NamedProblems, AdminProblems)
)]
pub async fn one(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<UserBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let user = app.service.user(&caller, user_id(&id)?).await?;
    Ok(Json(UserBody { success: true, user: user.into() }))
}

/// All that is held about a user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportBody {
    success: bool,
    data: ExportData,
    #[schema(format = DateTime)]
    exported_at: String,
}

/// The user and everything else about them, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportData {
    user_id: String,
    email: Option<String>,
    phone: Option<String>,
    channel: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_login: String,
    consent: Option<ConsentBody>,
    /// Open ones, and those that ended within the last week.
    #[schema(value_type = Vec<Object>)]
    sessions: Vec<Value>,
    /// Codes asked for within about the last hour; not the codes themselves, which stand nowhere.
    #[schema(value_type = Vec<Object>)]
    codes: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    /// When codes were sent and guesses were wrong within the last hour.
    #[schema(value_type = Object)]
    limits: Value,
    /// Why nothing is sent to them, if nothing is.
    #[schema(value_type = Option<Object>)]
    suppression: Option<Value>,
    /// The authenticator and its recovery codes, as far as they are no secret; null without.
    #[schema(value_type = Option<Object>)]
    second_factor: Value,
    /// Devices that a second factor is not asked for on.
    #[schema(value_type = Vec<Object>)]
    trusted_devices: Vec<Value>,
    /// Answers kept for idempotency keys.
    #[schema(value_type = Vec<Object>)]
    kept_replies: Vec<Value>,
}

impl From<UserExport> for ExportData {
    fn from(export: UserExport) -> Self {
        let user = User::from(export.user);
        Self {
            user_id: user.user_id,
            email: user.email,
            phone: user.phone,
            channel: user.channel,
            created_at: user.created_at,
            last_login: user.last_login,
            consent: user.consent,
            sessions: export.sessions,
            codes: export.codes,
            messages: export.messages,
            events: export.events,
            limits: export.limits,
            suppression: export.suppression,
            second_factor: export.second_factor,
            trusted_devices: export.trusted_devices,
            kept_replies: export.kept_replies,
        }
    }
}

/// A copy of all that is held about a user, for the user. That it was asked for is in the audit trail.
#[utoipa::path(
    get, path = "/admin/users/{id}/export", operation_id = "exportUser", tag = "Users",
    security(("apiKey" = []), ("apiKeyHeader" = [])), params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "The copy.", body = ExportBody), NamedProblems, AdminProblems)
)]
pub async fn export(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<ExportBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let export = app.service.export_user(&caller, user_id(&id)?).await?;
    let exported_at = export.exported_at.to_string();
    Ok(Json(ExportBody { success: true, data: export.into(), exported_at }))
}

/// Erases a user with all that is held about them: sessions and their tokens, codes, messages, events. Messages that wait
/// are not sent. It cannot be undone; after a failure, ask again.
#[utoipa::path(
    delete, path = "/admin/users/{id}", operation_id = "eraseUser", tag = "Users",
    security(("apiKey" = []), ("apiKeyHeader" = [])), params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "The user is erased.", body = Done), NamedProblems, AdminProblems)
)]
pub async fn erase(State(app): State<Arc<App>>, asker: Asker, Named(id): Named<String>) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    app.service.erase_user(&caller, user_id(&id)?).await?;
    Ok(Done::saying("User erased"))
}

/// A user's open sessions, newest first.
#[utoipa::path(
    get, path = "/admin/users/{id}/sessions", operation_id = "listUserSessions", tag = "Users",
    security(("apiKey" = []), ("apiKeyHeader" = [])), params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "The open sessions.", body = SessionsBody), NamedProblems, AdminProblems)
)]
pub async fn sessions(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<SessionsBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.user_sessions(&caller, user_id(&id)?).await?.into()))
}

/// Ends one of a user's sessions: its tokens are dead at once.
#[utoipa::path(
    delete, path = "/admin/users/{id}/sessions/{sessionId}", operation_id = "revokeUserSession", tag = "Users",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(
        ("id" = String, Path, description = "The user."),
        ("sessionId" = String, Path, description = "The session."),
    ),
    responses((status = 200, description = "It is over.", body = Done), NamedProblems, AdminProblems)
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named((id, session)): Named<(String, String)>,
) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let id = user_id(&id)?;
    let Ok(session) = session.parse() else {
        // Whose it is not is answered first, as with any other.
        app.service.user(&caller, id).await?;
        return Err(Problem::not_found("session"));
    };
    app.service.revoke_session(&caller, id, session).await?;
    Ok(Done::saying("Session ended"))
}

/// Ends all of a user's sessions: their tokens are dead at once.
#[utoipa::path(
    delete, path = "/admin/users/{id}/sessions", operation_id = "revokeUserSessions", tag = "Users",
    security(("apiKey" = []), ("apiKeyHeader" = [])), params(("id" = String, Path, description = "The user.")),
    responses((status = 200, description = "They are over.", body = Done), NamedProblems, AdminProblems)
)]
pub async fn revoke_all(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let ended = app.service.revoke_sessions(&caller, user_id(&id)?).await?;
    Ok(Done::saying(format!("{ended} sessions ended")))
}

fn user_id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| Problem::not_found("user"))
}
