//! `/admin/webhooks/deliveries`: what was sent to endpoints, and what is to be sent again.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::event::{EventFilter, EventKind};
use otp_core::webhook::{Attempt, Delivery};
use otp_core::{DeliveryId, DeliveryQuery, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::asker::Asker;
use super::auth::mark_replay;
use super::body::Unread;
use super::docs::{
    AdminProblems, ConflictProblems, NamedProblems, OnceHeader, OnceProblems, ReadProblems, WriteProblems,
};
use super::list::{bad_limit, page_limit};
use super::path::Named;
use super::problem::Problem;
use super::webhooks::named as endpoint_named;

/// Which deliveries are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct DeliveryParams {
    /// `pending`, `held`, `delivered`, `failed` or `dropped`.
    status: Option<String>,
    /// The name of an event.
    #[param(example = "otp.verified")]
    event: Option<String>,
    /// The id of an endpoint.
    endpoint: Option<String>,
    /// Entries of a page, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// One event on its way to one endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryBody {
    #[schema(example = "whd_3vQB7B6MrGQZaxCuFg4oh3")]
    delivery_id: String,
    /// `webhook-id` of the request: the same each time it is sent.
    event_id: String,
    #[schema(example = "otp.verified")]
    event: &'static str,
    endpoint_id: String,
    /// `pending`, `held` (the endpoint is paused or was given up), `delivered`, `failed`, or `dropped` (the endpoint or the event
    /// is gone).
    status: &'static str,
    /// Whether it was made up by `POST /admin/webhooks/test`.
    sample: bool,
    /// When it happened.
    #[schema(format = DateTime)]
    timestamp: String,
    /// When it is sent next.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// The last attempts, oldest first; 16 at most.
    attempts: Vec<AttemptBody>,
}

/// One attempt.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptBody {
    #[schema(format = DateTime)]
    timestamp: String,
    duration_ms: u32,
    /// The HTTP status; null if there was no answer.
    status: Option<u16>,
    /// Why there was none: `dns`, `forbidden`, `connect`, `tls`, `timeout`, `broken` or `unavailable`.
    error: Option<&'static str>,
    /// How the answer begins: up to 256 bytes.
    response: String,
    /// `schedule` or `manual`.
    trigger: &'static str,
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        Self {
            timestamp: attempt.at.to_string(),
            duration_ms: attempt.millis,
            status: attempt.status,
            error: attempt.failure.map(|failure| failure.as_str()),
            response: attempt.answer,
            trigger: attempt.trigger.as_str(),
        }
    }
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            delivery_id: delivery.id.to_string(),
            event_id: delivery.event.to_string(),
            event: delivery.kind.as_str(),
            endpoint_id: delivery.endpoint.to_string(),
            status: delivery.state.as_str(),
            sample: delivery.sample,
            timestamp: delivery.at.to_string(),
            next_attempt_at: delivery.due.at.map(|at| at.to_string()),
            attempts: delivery.attempts.into_iter().map(AttemptBody::from).collect(),
        }
    }
}

/// A page of deliveries.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveriesBody {
    success: bool,
    deliveries: Vec<DeliveryBody>,
    /// What to ask the next page with; null at the end. With a filter a page can be short although more follow.
    next_cursor: Option<String>,
}

/// A delivery.
#[derive(Serialize, ToSchema)]
pub struct OneDeliveryBody {
    success: bool,
    delivery: DeliveryBody,
}

impl OneDeliveryBody {
    fn of(delivery: Delivery) -> Json<Self> {
        Json(Self { success: true, delivery: delivery.into() })
    }
}

/// The event of this name.
fn event_named(name: &str) -> Result<EventKind, Problem> {
    match name.parse() {
        Ok(EventFilter::Kind(kind)) => Ok(kind),
        Ok(EventFilter::All) => Err(Problem::field("invalid_field", "event", "name one event")),
        Err(error) => Err(Problem::field("invalid_field", "event", format!("{error}"))),
    }
}

/// The deliveries of the key's mode, newest event first. They are kept for 30 days.
#[utoipa::path(
    get, path = "/admin/webhooks/deliveries", operation_id = "listDeliveries", tag = "Webhooks",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(DeliveryParams),
    responses(
        (status = 200, description = "The deliveries.", body = DeliveriesBody),
        AdminProblems, ReadProblems,
    )
)]
pub async fn list(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<DeliveryParams>, QueryRejection>,
) -> Result<Json<DeliveriesBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let Query(DeliveryParams { status, event, endpoint, limit, cursor }) = query.map_err(|_| bad_limit())?;
    let limit = page_limit(limit)?;
    let no_id = |_| Problem::field("invalid_field", "endpoint", "use an id of the list of endpoints: whe_…");
    let query = DeliveryQuery {
        status,
        event: event.map(|name| event_named(&name)).transpose()?,
        endpoint: endpoint.map(|id| id.parse().map_err(no_id)).transpose()?,
    };
    let page = app.service.deliveries(&caller, query, cursor.as_deref(), limit).await?;
    let deliveries = page.items.into_iter().map(DeliveryBody::from).collect();
    Ok(Json(DeliveriesBody { success: true, deliveries, next_cursor: page.next }))
}

/// One delivery, with its attempts.
#[utoipa::path(
    get, path = "/admin/webhooks/deliveries/{id}", operation_id = "delivery", tag = "Webhooks",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The delivery.")),
    responses((status = 200, description = "The delivery.", body = OneDeliveryBody), NamedProblems, AdminProblems)
)]
pub async fn one(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<OneDeliveryBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(OneDeliveryBody::of(app.service.delivery(&caller, named(&id)?).await?))
}

fn named(id: &str) -> Result<DeliveryId, Problem> {
    id.parse().map_err(|_| Problem::not_found("delivery"))
}

/// Nothing to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NothingBody {}

/// Sends a delivery once more, whatever became of it, and begins its schedule anew.
#[utoipa::path(
    post, path = "/admin/webhooks/{deliveryId}/retry", operation_id = "retryDelivery", tag = "Webhooks",
    request_body(content = Option<NothingBody>),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("deliveryId" = String, Path, description = "The delivery."), OnceHeader),
    responses(
        (status = 202, description = "It is sent at once.", body = OneDeliveryBody),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn retry(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<NothingBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read_if_any().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let answer = app.service.retry_delivery(&caller, named(&id)?, idempotency).await?;
    let mut response = (StatusCode::ACCEPTED, OneDeliveryBody::of(answer.value)).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}

/// What is to be sent again.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecoverBody {
    /// Events since then.
    #[schema(format = DateTime, example = "2026-01-31T00:00:00Z")]
    since: String,
    /// To this endpoint only.
    endpoint_id: Option<String>,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub struct RecoveredBody {
    success: bool,
    /// How many deliveries.
    recovered: usize,
}

/// Sends again what has failed or was held since a time. To repeat it sends nothing twice.
#[utoipa::path(
    post, path = "/admin/webhooks/recover", operation_id = "recoverDeliveries", tag = "Webhooks",
    request_body = RecoverBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 202, description = "They are sent at once.", body = RecoveredBody),
        NamedProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn recover(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<RecoverBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let RecoverBody { since, endpoint_id } = body.read().await?.value;
    let since: Timestamp =
        since.parse().map_err(|error| Problem::field("invalid_field", "since", format!("{error}")))?;
    let endpoint = endpoint_id.map(|id| endpoint_named(&id)).transpose()?;
    let recovered = app.service.recover_deliveries(&caller, since, endpoint).await?;
    Ok((StatusCode::ACCEPTED, Json(RecoveredBody { success: true, recovered })).into_response())
}

/// What an endpoint is to be tried with.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestBody {
    /// The name of an event, of which one is made up; `webhook.test`, if left out.
    #[schema(example = "user.created")]
    event: Option<String>,
    /// Which endpoint; the only one, if left out.
    endpoint_id: Option<String>,
}

/// Sends a made-up event, marked `"sample": true`, once and at once, also to an endpoint that is paused. The answer tells what
/// came of it.
#[utoipa::path(
    post, path = "/admin/webhooks/test", operation_id = "testEndpoint", tag = "Webhooks",
    request_body(content = Option<TestBody>),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 200, description = "The delivery, with its one attempt.", body = OneDeliveryBody),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn test(State(app): State<Arc<App>>, asker: Asker, body: Unread<TestBody>) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read_if_any().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let event = body.value.event.map(|name| event_named(&name)).transpose()?;
    let endpoint = body.value.endpoint_id.map(|id| endpoint_named(&id)).transpose()?;
    let answer = app.service.test_endpoint(&caller, event, endpoint, idempotency).await?;
    let mut response = OneDeliveryBody::of(answer.value).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}
