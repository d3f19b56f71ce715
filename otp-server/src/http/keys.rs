//! `/admin/customers/{id}/api-keys`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::api_key::{KeyScope, KeyType};
use otp_core::{Caller, CreatedKey, EditKey, KeyId, KeyView, Mode, NewApiKey, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::mark_replay;
use super::body::Unread;
use super::docs::{AdminProblems, ConflictProblems, NamedProblems, OnceHeader, OnceProblems, WriteProblems};
use super::path::Named;
use super::problem::Problem;
use super::sessions::Done;

/// A key, without the key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyBody {
    key_id: String,
    name: String,
    #[serde(rename = "type")]
    #[schema(example = "secret")]
    key_type: &'static str,
    #[schema(example = "live")]
    mode: &'static str,
    /// Its last four characters.
    last4: String,
    /// `active`, `rotating`, `expired` or `revoked`.
    #[schema(example = "active")]
    status: &'static str,
    allowed_origins: Vec<String>,
    allowed_ips: Vec<String>,
    #[schema(value_type = Vec<String>)]
    scopes: Vec<KeyScope>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    last_used: Option<String>,
    /// The network that it was last used from: the /24 of an IPv4 address, the /48 of an IPv6 one.
    #[schema(example = "203.0.113.0/24")]
    last_used_ip: Option<String>,
    /// How often it was used.
    calls: u64,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl From<KeyView> for KeyBody {
    fn from(view: KeyView) -> Self {
        let key = view.key;
        Self {
            key_id: key.id.to_string(),
            expires_at: key.ends_at().map(|end| end.to_string()),
            name: key.name,
            key_type: key.key_type.as_str(),
            mode: key.mode.as_str(),
            last4: key.last4,
            status: view.status,
            allowed_origins: key.allowed_origins.iter().map(ToString::to_string).collect(),
            allowed_ips: key.allowed_ips.iter().map(ToString::to_string).collect(),
            scopes: key.scopes,
            created_at: key.created_at.to_string(),
            last_used: view.last_used_at.map(|at| at.to_string()),
            last_used_ip: view.last_used_ip.map(|network| network.to_string()),
            calls: view.calls,
        }
    }
}

/// The keys of a customer.
#[derive(Serialize, ToSchema)]
pub struct KeysBody {
    success: bool,
    keys: Vec<KeyBody>,
}

/// Lists the customer's keys, newest first.
#[utoipa::path(
    get, path = "/admin/customers/{id}/api-keys", operation_id = "listKeys", tag = "Customers",
    security(("administrator" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The customer.")),
    responses(
        (status = 200, description = "The keys.", body = KeysBody),
        NamedProblems, AdminProblems,
    )
)]
pub async fn list(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<KeysBody>, Problem> {
    let caller = asker.of_tenant(&app, &id).await?;
    let keys = app.service.keys(&caller).await?.into_iter().map(KeyBody::from).collect();
    Ok(Json(KeysBody { success: true, keys }))
}

/// A key to be created.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKeyBody {
    #[schema(example = "Web shop")]
    name: String,
    #[serde(rename = "type", default = "secret")]
    #[schema(value_type = String, example = "secret", default = "secret")]
    key_type: KeyType,
    #[serde(default = "live")]
    #[schema(value_type = String, example = "live", default = "live")]
    mode: Mode,
    /// Web origins that may use it, exactly; the customer's, if left out.
    #[serde(default)]
    allowed_origins: Vec<String>,
    /// Addresses or networks that may use it; the customer's, if left out.
    #[serde(default)]
    allowed_ips: Vec<String>,
    /// Extra permissions: `otp:reveal`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    scopes: Vec<KeyScope>,
    /// When it ends by itself (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

fn secret() -> KeyType {
    KeyType::Secret
}

fn live() -> Mode {
    Mode::Live
}

/// A new key, shown here and never again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewKeyAnswer {
    success: bool,
    api_key: String,
    key_id: String,
    name: String,
    message: &'static str,
}

impl From<CreatedKey> for NewKeyAnswer {
    fn from(created: CreatedKey) -> Self {
        Self {
            success: true,
            api_key: created.api_key.expose().to_owned(),
            key_id: created.key.id.to_string(),
            name: created.key.name,
            message: SHOWN_ONCE,
        }
    }
}

const SHOWN_ONCE: &str = "Store the key now: it is not shown again.";

/// Creates a key.
#[utoipa::path(
    post, path = "/admin/customers/{id}/api-keys", operation_id = "createKey",
    tag = "Customers", request_body = NewKeyBody,
    security(("administrator" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader, ("id" = String, Path, description = "The customer.")),
    responses(
        (status = 201, description = "The key.", body = NewKeyAnswer),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<NewKeyBody>,
) -> Result<Response, Problem> {
    let caller = asker.of_tenant(&app, &id).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let body = body.value;
    let new = NewApiKey {
        name: body.name,
        key_type: body.key_type,
        mode: body.mode,
        allowed_origins: body.allowed_origins,
        allowed_ips: body.allowed_ips,
        scopes: body.scopes,
        expires_at: body.expires_at.as_deref().map(parse_time).transpose()?,
        idempotency,
    };
    let answer = app.service.create_key(&caller, new).await?;
    let mut response = (StatusCode::CREATED, Json(NewKeyAnswer::from(answer.value))).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}

fn parse_time(text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| Problem::field("invalid_field", "expiresAt", "use RFC 3339, as in 2027-01-31T08:15:30Z"))
}

/// What to change of a key; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditKeyBody {
    name: Option<String>,
    allowed_origins: Option<Vec<String>>,
    allowed_ips: Option<Vec<String>>,
}

/// One key.
#[derive(Serialize, ToSchema)]
pub struct OneKey {
    success: bool,
    key: KeyBody,
}

/// Changes a key's name, origins or networks.
#[utoipa::path(
    put, path = "/admin/customers/{id}/api-keys/{keyId}", operation_id = "editKey",
    tag = "Customers", request_body = EditKeyBody,
    security(("administrator" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The customer."), ("keyId" = String, Path, description = "The key.")),
    responses(
        (status = 200, description = "The key as it is now.", body = OneKey),
        NamedProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn edit(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named((id, key)): Named<(String, String)>,
    body: Unread<EditKeyBody>,
) -> Result<Json<OneKey>, Problem> {
    let (caller, key) = key_of(&app, &asker, &id, &key).await?;
    let EditKeyBody { name, allowed_origins, allowed_ips } = body.read().await?.value;
    let edited = app.service.edit_key(&caller, key, EditKey { name, allowed_origins, allowed_ips }).await?;
    Ok(Json(OneKey { success: true, key: edited.into() }))
}

async fn key_of(app: &App, asker: &Asker, id: &str, key: &str) -> Result<(Caller, KeyId), Problem> {
    let caller = asker.of_tenant(app, id).await?;
    let key = key.parse().map_err(|_| Problem::not_found("key"))?;
    Ok((caller, key))
}

/// Revokes a key, at once and for ever.
#[utoipa::path(
    delete, path = "/admin/customers/{id}/api-keys/{keyId}", operation_id = "revokeKey", tag = "Customers",
    security(("administrator" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The customer."), ("keyId" = String, Path, description = "The key.")),
    responses(
        (status = 200, description = "Revoked.", body = Done),
        NamedProblems, AdminProblems,
    )
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named((id, key)): Named<(String, String)>,
) -> Result<Json<Done>, Problem> {
    let (caller, key) = key_of(&app, &asker, &id, &key).await?;
    app.service.revoke_key(&caller, key).await?;
    Ok(Done::saying("Key revoked"))
}

/// How long the old key works on.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateBody {
    /// Seconds, 0 to 2592000 (30 days).
    #[schema(default = 604_800)]
    grace_seconds: Option<u64>,
}

/// A new key in the place of an old one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    success: bool,
    /// Shown here and never again.
    api_key: String,
    key_id: String,
    old_key_id: String,
    #[schema(format = DateTime)]
    old_key_expires_at: String,
    message: &'static str,
}

/// Makes a new key at once; the old one works on for seven days, or `graceSeconds`.
#[utoipa::path(
    post, path = "/admin/customers/{id}/api-keys/{keyId}/rotate", operation_id = "rotateKey", tag = "Customers",
    request_body(content = Option<RotateBody>),
    security(("administrator" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    params(
        OnceHeader,
        ("id" = String, Path, description = "The customer."), ("keyId" = String, Path, description = "The key."),
    ),
    responses(
        (status = 200, description = "The new key.", body = Rotated),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn rotate(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named((id, key)): Named<(String, String)>,
    body: Unread<RotateBody>,
) -> Result<Response, Problem> {
    let (caller, key) = key_of(&app, &asker, &id, &key).await?;
    let body = body.read_if_any().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let grace = Duration::from_secs(body.value.grace_seconds.unwrap_or(7 * 86_400));
    let answer = app.service.rotate_key(&caller, key, grace, idempotency).await?;
    let rotated = answer.value;
    let body = Rotated {
        success: true,
        api_key: rotated.created.api_key.expose().to_owned(),
        key_id: rotated.created.key.id.to_string(),
        old_key_id: rotated.old.to_string(),
        old_key_expires_at: rotated.old_expires_at.to_string(),
        message: SHOWN_ONCE,
    };
    let mut response = Json(body).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}
