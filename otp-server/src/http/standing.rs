//! A customer's standing: suspended, activated, cancelled.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use otp_core::Caller;
use otp_core::tenant::TenantStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::body::Unread;
use super::customers::for_administrator;
use super::docs::{AdminProblems, ConflictProblems, NamedProblems, WriteProblems};
use super::path::Named;
use super::problem::Problem;

/// A customer's new standing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusBody {
    #[schema(value_type = String, example = "suspended")]
    status: TenantStatus,
    /// Why, for the record.
    reason: Option<String>,
}

/// Why a customer is suspended or activated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    /// Why, for the record.
    reason: Option<String>,
}

/// A change of standing, in force.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusChanged {
    success: bool,
    customer_id: String,
    #[schema(value_type = String)]
    old_status: TenantStatus,
    #[schema(value_type = String)]
    new_status: TenantStatus,
    #[schema(format = DateTime)]
    status_changed_at: String,
}

/// Changes a customer's standing, at once. A customer itself can only cancel itself.
#[utoipa::path(
    put, path = "/admin/customers/{id}/status", operation_id = "setCustomerStatus",
    tag = "Customers", request_body = StatusBody,
    security(("administrator" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The customer.")),
    responses(
        (status = 200, description = "In force.", body = StatusChanged),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn set_status(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<StatusBody>,
) -> Result<Json<StatusChanged>, Problem> {
    let caller = asker.of_tenant(&app, &id).await?;
    let StatusBody { status, reason } = body.read().await?.value;
    change_status(&app, &caller, status, reason).await
}

/// Suspends a customer: its keys and its users' tokens stop working at once.
#[utoipa::path(
    post, path = "/admin/customers/{id}/suspend", operation_id = "suspendCustomer",
    tag = "Customers", request_body(content = Option<ReasonBody>),
    security(("administrator" = [])), params(("id" = String, Path, description = "The customer.")),
    responses(
        (status = 200, description = "Suspended.", body = StatusChanged),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn suspend(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<ReasonBody>,
) -> Result<Json<StatusChanged>, Problem> {
    let caller = for_administrator(&app, &asker, &id).await?;
    change_status(&app, &caller, TenantStatus::Suspended, body.read_if_any().await?.value.reason).await
}

/// Activates a suspended or pending customer.
#[utoipa::path(
    post, path = "/admin/customers/{id}/activate", operation_id = "activateCustomer",
    tag = "Customers", request_body(content = Option<ReasonBody>),
    security(("administrator" = [])), params(("id" = String, Path, description = "The customer.")),
    responses(
        (status = 200, description = "Active.", body = StatusChanged),
        NamedProblems, ConflictProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn activate(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<ReasonBody>,
) -> Result<Json<StatusChanged>, Problem> {
    let caller = for_administrator(&app, &asker, &id).await?;
    change_status(&app, &caller, TenantStatus::Active, body.read_if_any().await?.value.reason).await
}

async fn change_status(
    app: &App,
    caller: &Caller,
    status: TenantStatus,
    reason: Option<String>,
) -> Result<Json<StatusChanged>, Problem> {
    let (old_status, tenant) = app.service.set_status(caller, status, reason).await?;
    Ok(Json(StatusChanged {
        success: true,
        customer_id: tenant.id.to_string(),
        old_status,
        new_status: tenant.status,
        status_changed_at: tenant.status_changed_at.to_string(),
    }))
}
