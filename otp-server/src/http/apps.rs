//! `/api/app`: what a member runs. An application is a customer of the installation.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::{AppView, NewApp, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::auth::mark_replay;
use super::body::Unread;
use super::docs::{
    ConflictProblems, MemberProblems, NamedProblems, OnceHeader, OnceProblems, ReadProblems, SessionProblems,
    WriteProblems,
};
use super::list::{BadQuery, PageQuery};
use super::path::Named;
use super::problem::Problem;
use super::users::UsersBody;
use super::visitor::Visitor;

/// An application to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAppBody {
    #[schema(example = "Acme")]
    name: String,
    /// Web origins that may call, such as `https://app.acme.com` or `https://*.acme.com`; any, if left out.
    #[serde(default)]
    allowed_origins: Vec<String>,
}

/// A new application. Key and secret are shown here and never again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedApp {
    success: bool,
    #[schema(example = "cust_1ChFmqGmfQTctUmrBj4YHw")]
    app_id: String,
    /// A live secret key.
    api_key: String,
    key_id: String,
    /// Signs the events.
    api_secret: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// An application.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppBody {
    /// The customer.
    #[schema(example = "cust_1ChFmqGmfQTctUmrBj4YHw")]
    app_id: String,
    name: String,
    #[schema(example = "active")]
    status: &'static str,
    plan: String,
    /// What you are to it: `owner`, `admin`, `developer`, `billing` or `viewer`.
    #[schema(example = "owner")]
    role: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    /// When all that is held of it is erased, if it was deleted.
    #[schema(format = DateTime)]
    erased_at: Option<String>,
}

impl From<AppView> for AppBody {
    fn from(app: AppView) -> Self {
        Self {
            app_id: app.id.to_string(),
            name: app.name,
            status: app.status.as_str(),
            plan: app.plan,
            role: app.role.as_str(),
            created_at: app.created_at.to_string(),
            erased_at: app.erase_at.map(|at| at.to_string()),
        }
    }
}

/// One application.
#[derive(Serialize, ToSchema)]
pub struct OneApp {
    success: bool,
    app: AppBody,
}

impl OneApp {
    /// The application, as an answer.
    pub fn of(app: AppView) -> Json<Self> {
        Json(Self { success: true, app: app.into() })
    }
}

/// All applications.
#[derive(Serialize, ToSchema)]
pub struct AppsBody {
    success: bool,
    apps: Vec<AppBody>,
}

/// The application that a path names.
pub fn app_id(id: &str) -> Result<TenantId, Problem> {
    id.parse().map_err(|_| Problem::not_found("app"))
}

/// Makes an application, whose owner you are.
#[utoipa::path(
    post, path = "/api/app", operation_id = "createApp", tag = "Applications", request_body = NewAppBody,
    params(OnceHeader), security(("memberSession" = []), ("memberToken" = [])),
    responses(
        (status = 201, description = "The application, with what is shown once.", body = CreatedApp),
        MemberProblems, WriteProblems, ConflictProblems, OnceProblems,
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<NewAppBody>,
) -> Result<Response, Problem> {
    let caller = visitor.member(&app).await?;
    let body = body.read().await?;
    let idempotency = visitor.idempotency(&body.raw)?;
    let NewAppBody { name, allowed_origins } = body.value;
    let answer = app.service.create_app_once(&caller, NewApp { name, allowed_origins, idempotency }).await?;
    let created = answer.value;
    let body = CreatedApp {
        success: true,
        app_id: created.id.to_string(),
        api_key: created.api_key.expose().to_owned(),
        key_id: created.key_id.to_string(),
        api_secret: created.webhook_secret.expose().to_owned(),
        created_at: created.created_at.to_string(),
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}

/// Your applications, newest first.
#[utoipa::path(
    get, path = "/api/app", operation_id = "listApps", tag = "Applications",
    security(("memberSession" = []), ("memberToken" = [])),
    responses((status = 200, description = "All of them.", body = AppsBody), SessionProblems)
)]
pub async fn list(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Json<AppsBody>, Problem> {
    let caller = visitor.member(&app).await?;
    let apps = app.service.apps(&caller).await?.into_iter().map(AppBody::from).collect();
    Ok(Json(AppsBody { success: true, apps }))
}

/// One of your applications.
#[utoipa::path(
    get, path = "/api/app/{id}", operation_id = "showApp", tag = "Applications",
    security(("memberSession" = []), ("memberToken" = [])),
    params(("id" = String, Path, description = "The application.")),
    responses((status = 200, description = "The application.", body = OneApp), NamedProblems, SessionProblems)
)]
pub async fn one(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
) -> Result<Json<OneApp>, Problem> {
    let caller = visitor.member(&app).await?;
    Ok(OneApp::of(app.service.app(&caller, app_id(&id)?).await?))
}

/// Another name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameBody {
    #[schema(example = "Acme Rockets")]
    name: String,
}

/// Gives an application another name. Owners and admins may.
#[utoipa::path(
    put, path = "/api/app/{id}", operation_id = "renameApp", tag = "Applications", request_body = RenameBody,
    security(("memberSession" = []), ("memberToken" = [])),
    params(("id" = String, Path, description = "The application.")),
    responses(
        (status = 200, description = "The application.", body = OneApp),
        NamedProblems, MemberProblems, WriteProblems,
    )
)]
pub async fn rename(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
    body: Unread<RenameBody>,
) -> Result<Json<OneApp>, Problem> {
    let caller = visitor.member(&app).await?;
    let name = body.read().await?.value.name;
    Ok(OneApp::of(app.service.rename_app(&caller, app_id(&id)?, name).await?))
}

/// Ends an application: no key works from now on, and in 30 days all that is held of it is erased. Owners may.
#[utoipa::path(
    delete, path = "/api/app/{id}", operation_id = "deleteApp", tag = "Applications",
    security(("memberSession" = []), ("memberToken" = [])),
    params(("id" = String, Path, description = "The application.")),
    responses((status = 200, description = "The application.", body = OneApp), NamedProblems, MemberProblems)
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
) -> Result<Json<OneApp>, Problem> {
    let caller = visitor.member(&app).await?;
    Ok(OneApp::of(app.service.delete_app(&caller, app_id(&id)?).await?))
}

/// The one live secret key, shown here and never again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResetKeyBody {
    success: bool,
    api_key: String,
    key_id: String,
    /// How many keys were revoked.
    revoked: usize,
}

/// Revokes all live secret keys of an application at once, and makes a new one. Owners, admins and developers may.
#[utoipa::path(
    put, path = "/api/app/{id}/api-key", operation_id = "resetAppKey", tag = "Applications",
    security(("memberSession" = []), ("memberToken" = [])),
    params(("id" = String, Path, description = "The application.")),
    responses(
        (status = 200, description = "The key.", body = ResetKeyBody),
        NamedProblems, MemberProblems, ConflictProblems,
    )
)]
pub async fn reset_key(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
) -> Result<Json<ResetKeyBody>, Problem> {
    let caller = visitor.member(&app).await?;
    let reset = app.service.reset_app_key(&caller, app_id(&id)?).await?;
    Ok(Json(ResetKeyBody {
        success: true,
        api_key: reset.api_key.expose().to_owned(),
        key_id: reset.id.to_string(),
        revoked: reset.revoked,
    }))
}

/// The users of an application, newest first. All but billing may.
#[utoipa::path(
    get, path = "/api/app/{id}/users", operation_id = "listAppUsers", tag = "Applications",
    params(("id" = String, Path, description = "The application."), PageQuery),
    security(("memberSession" = []), ("memberToken" = [])),
    responses((status = 200, description = "A page.", body = UsersBody), NamedProblems, MemberProblems, ReadProblems)
)]
pub async fn users(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
    query: Result<Query<PageQuery>, BadQuery>,
) -> Result<Json<UsersBody>, Problem> {
    let caller = visitor.member(&app).await?;
    let (limit, cursor) = PageQuery::read(query)?;
    let page = app.service.app_users(&caller, app_id(&id)?, cursor.as_deref(), limit).await?;
    Ok(Json(page.into()))
}
