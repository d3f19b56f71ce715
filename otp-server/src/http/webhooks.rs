//! `/admin/webhooks/endpoints`: where a customer hears of events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::event::EventFilter;
use otp_core::secret::Secret;
use otp_core::webhook::{EndpointState, Signing};
use otp_core::{EditEndpoint, EndpointId, EndpointSecret, EndpointView, NewEndpoint};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::mark_replay;
use super::body::Unread;
use super::docs::{AdminProblems, ConflictProblems, NamedProblems, OnceHeader, OnceProblems, WriteProblems};
use super::path::Named;
use super::problem::Problem;
use super::sessions::Done;

/// An endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointBody {
    #[schema(example = "whe_3vQB7B6MrGQZaxCuFg4oh3")]
    endpoint_id: String,
    /// Whether it is what `PUT /admin/config/webhooks` says; then only `enabled` can be changed here.
    simple: bool,
    /// Whose events it hears of: `live` or `test`; null of the simple one, which hears of both.
    mode: Option<&'static str>,
    #[schema(example = "https://acme.com/hooks/otp")]
    url: String,
    description: String,
    #[schema(value_type = Vec<String>, example = json!(["otp.verified", "user.created"]))]
    events: Vec<EventFilter>,
    enabled: bool,
    /// `paused`; or by the service: `gone` (it answered 410), `failing` (it took nothing for five days).
    disabled_reason: Option<&'static str>,
    #[schema(format = DateTime)]
    disabled_at: Option<String>,
    /// Since when it has taken nothing.
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    /// `hmac` or `ed25519`.
    #[schema(example = "hmac")]
    signing: &'static str,
    /// `whpk_…`, of an endpoint that is signed for with ed25519.
    public_key: Option<String>,
    /// Until when the secret before signs as well.
    #[schema(format = DateTime)]
    old_secret_until: Option<String>,
    /// The names of the headers that are sent along; their values are not shown.
    headers: Vec<String>,
    /// Requests that it takes in a second; null for any number.
    rate_per_second: Option<u32>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<EndpointView> for EndpointBody {
    fn from(view: EndpointView) -> Self {
        let (disabled_reason, disabled_at) = match view.state {
            EndpointState::Enabled => (None, None),
            EndpointState::Paused => (Some("paused"), None),
            EndpointState::Disabled { at, why } => (Some(why.as_str()), Some(at.to_string())),
        };
        Self {
            endpoint_id: view.id.to_string(),
            simple: view.is_simple,
            mode: view.mode.map(|mode| mode.as_str()),
            url: view.url,
            description: view.description,
            events: view.events,
            enabled: view.state == EndpointState::Enabled,
            disabled_reason,
            disabled_at,
            failing_since: view.failing_since.map(|at| at.to_string()),
            signing: view.signing.as_str(),
            public_key: view.public_key,
            old_secret_until: view.retiring_until.map(|at| at.to_string()),
            headers: view.headers,
            rate_per_second: view.per_second,
            created_at: view.created_at.to_string(),
        }
    }
}

/// An endpoint.
#[derive(Serialize, ToSchema)]
pub struct OneEndpointBody {
    success: bool,
    endpoint: EndpointBody,
}

impl OneEndpointBody {
    fn of(view: EndpointView) -> Json<Self> {
        Json(Self { success: true, endpoint: view.into() })
    }
}

/// The endpoints of a customer.
#[derive(Serialize, ToSchema)]
pub struct EndpointsBody {
    success: bool,
    endpoints: Vec<EndpointBody>,
}

/// An endpoint with its secret, shown once.
#[derive(Serialize, ToSchema)]
pub struct EndpointSecretBody {
    success: bool,
    endpoint: EndpointBody,
    /// Shown once; null of an endpoint that is signed for with ed25519.
    #[schema(example = "whsec_c2VjcmV0IG9mIHRoZSBleGFtcGxl")]
    secret: Option<String>,
}

impl From<EndpointSecret> for EndpointSecretBody {
    fn from(shown: EndpointSecret) -> Self {
        let secret = shown.secret.map(|secret| secret.expose().to_owned());
        Self { success: true, endpoint: shown.endpoint.into(), secret }
    }
}

/// An endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEndpointBody {
    /// An https URL on the public internet.
    #[schema(example = "https://acme.com/hooks/otp")]
    url: String,
    #[serde(default)]
    description: String,
    /// Names of events; `*` for all.
    #[serde(default = "all")]
    #[schema(example = json!(["otp.verified", "user.created"]))]
    events: Vec<String>,
    /// `hmac` or `ed25519`.
    #[serde(default = "hmac")]
    #[schema(value_type = String, default = "hmac")]
    signing: Signing,
    /// `whsec_` and 24 to 64 bytes in base64; made here, if left out.
    secret: Option<String>,
    /// Headers to send along, such as `Authorization`.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Requests that it takes in a second, 1 to 1000.
    rate_per_second: Option<u32>,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

fn hmac() -> Signing {
    Signing::Hmac
}

/// The endpoint that a path names; what is no id is the name of nothing.
pub fn named(id: &str) -> Result<EndpointId, Problem> {
    id.parse().map_err(|_| Problem::not_found("endpoint"))
}

/// Makes an endpoint for the events of the key's mode; there are 16 at most. The secret is shown once.
#[utoipa::path(
    post, path = "/admin/webhooks/endpoints", operation_id = "createEndpoint", tag = "Webhooks",
    request_body = NewEndpointBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 201, description = "The endpoint.", body = EndpointSecretBody),
        ConflictProblems, AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<NewEndpointBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let NewEndpointBody { url, description, events, signing, secret, headers, rate_per_second } = body.value;
    let new = NewEndpoint {
        url,
        description,
        events,
        signing,
        secret: secret.map(Secret::from),
        headers: headers.into_iter().collect(),
        per_second: rate_per_second,
        idempotency,
    };
    let answer = app.service.create_endpoint(&caller, new).await?;
    let mut response = (StatusCode::CREATED, Json(EndpointSecretBody::from(answer.value))).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}

/// Lists the endpoints that hear of the key's mode, newest first.
#[utoipa::path(
    get, path = "/admin/webhooks/endpoints", operation_id = "listEndpoints", tag = "Webhooks",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The endpoints.", body = EndpointsBody), AdminProblems)
)]
pub async fn list(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<EndpointsBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let endpoints = app.service.endpoints(&caller).await?.into_iter().map(EndpointBody::from).collect();
    Ok(Json(EndpointsBody { success: true, endpoints }))
}

/// One endpoint.
#[utoipa::path(
    get, path = "/admin/webhooks/endpoints/{id}", operation_id = "endpoint", tag = "Webhooks",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The endpoint.")),
    responses((status = 200, description = "The endpoint.", body = OneEndpointBody), NamedProblems, AdminProblems)
)]
pub async fn one(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<OneEndpointBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(OneEndpointBody::of(app.service.endpoint(&caller, named(&id)?).await?))
}

/// What is to change of an endpoint. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditEndpointBody {
    url: Option<String>,
    description: Option<String>,
    events: Option<Vec<String>>,
    /// All of them anew.
    headers: Option<BTreeMap<String, String>>,
    /// Null for any number.
    #[serde(default, deserialize_with = "named_or_null")]
    #[schema(value_type = Option<u32>)]
    rate_per_second: Option<Option<u32>>,
    /// False lets deliveries wait. True begins anew, also after the service has given the endpoint up; what waits is sent by
    /// `POST /admin/webhooks/recover`.
    enabled: Option<bool>,
}

fn named_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Changes an endpoint. Its secret is changed by `rotate-secret`.
#[utoipa::path(
    put, path = "/admin/webhooks/endpoints/{id}", operation_id = "editEndpoint", tag = "Webhooks",
    request_body = EditEndpointBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The endpoint.")),
    responses(
        (status = 200, description = "The endpoint as it is now.", body = OneEndpointBody),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn edit(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<EditEndpointBody>,
) -> Result<Json<OneEndpointBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let EditEndpointBody { url, description, events, headers, rate_per_second, enabled } = body.read().await?.value;
    let headers = headers.map(|headers| headers.into_iter().collect());
    let edit = EditEndpoint { url, description, events, headers, per_second: rate_per_second, enabled };
    Ok(OneEndpointBody::of(app.service.edit_endpoint(&caller, named(&id)?, edit).await?))
}

/// Deletes an endpoint. What has not been sent to it never is.
#[utoipa::path(
    delete, path = "/admin/webhooks/endpoints/{id}", operation_id = "deleteEndpoint", tag = "Webhooks",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The endpoint.")),
    responses(
        (status = 200, description = "Deleted.", body = Done),
        NamedProblems, ConflictProblems, AdminProblems,
    )
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    app.service.delete_endpoint(&caller, named(&id)?).await?;
    Ok(Done::saying("Endpoint deleted"))
}

/// Another secret for an endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateBody {
    /// `whsec_` and 24 to 64 bytes in base64; made here, if left out.
    secret: Option<String>,
    /// Seconds that the old one signs as well, 0 to 604800.
    #[schema(default = 86400, maximum = 604_800)]
    grace_seconds: Option<u64>,
}

/// Gives an endpoint another secret. While both are good, requests have two signatures.
#[utoipa::path(
    post, path = "/admin/webhooks/endpoints/{id}/rotate-secret", operation_id = "rotateEndpointSecret",
    tag = "Webhooks", request_body(content = Option<RotateBody>),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The endpoint."), OnceHeader),
    responses(
        (status = 200, description = "The endpoint with its new secret.", body = EndpointSecretBody),
        NamedProblems, AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn rotate(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<RotateBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read_if_any().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let secret = body.value.secret.map(Secret::from);
    let overlap = body.value.grace_seconds.map(Duration::from_secs);
    let answer = app.service.rotate_endpoint_secret(&caller, named(&id)?, secret, overlap, idempotency).await?;
    let mut response = Json(EndpointSecretBody::from(answer.value)).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}
