//! Health. It asks no outside service, so that an outage elsewhere takes no server out of rotation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::store::Read;
use otp_core::usage::CounterKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;

/// How the service is.
#[derive(Serialize, ToSchema)]
pub struct Health {
    success: bool,
    /// `ok`, `draining` or `unavailable`.
    #[schema(example = "ok")]
    status: &'static str,
}

fn answer(status: &'static str) -> Response {
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Health { success: status == "ok", status })).into_response()
}

/// Whether the server answers and its store reads.
async fn state(app: &App) -> &'static str {
    if app.draining.load(Ordering::SeqCst) {
        return "draining";
    }
    match app.service.store().read(vec![Read::Counter(CounterKey::CONFIGURATION)]).await {
        Ok(_) => "ok",
        Err(_) => "unavailable",
    }
}

/// Whether the service works.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "Service", security(()),
    responses(
        (status = 200, description = "It does.", body = Health),
        (status = 503, description = "It does not, or is about to stop.", body = Health),
    )
)]
pub async fn health(State(app): State<Arc<App>>) -> Response {
    answer(state(&app).await)
}

/// Whether requests should be sent here.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "healthReady", tag = "Service", security(()),
    responses(
        (status = 200, description = "Yes.", body = Health),
        (status = 503, description = "No: draining, or the store is down.", body = Health),
    )
)]
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    answer(state(&app).await)
}

/// Whether the process is alive.
#[utoipa::path(
    get, path = "/health/live", operation_id = "healthLive", tag = "Service", security(()),
    responses((status = 200, description = "It is.", body = Health))
)]
pub async fn live() -> Response {
    answer("ok")
}

/// Health in detail, for the operator.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    status: &'static str,
    version: &'static str,
    time: String,
}

/// As `/health`, with version and time.
pub async fn detail(State(app): State<Arc<App>>) -> Response {
    let status = state(&app).await;
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let time = app.service.now().to_string();
    (code, Json(Detail { status, version: env!("CARGO_PKG_VERSION"), time })).into_response()
}
