//! `/admin/customers`: customers of the installation.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::tenant::TenantStatus;
use otp_core::{Caller, EditTenant, NewTenant, TenantView};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::asker::Asker;
use super::auth::mark_replay;
use super::body::Unread;
use super::docs::{AdminProblems, NamedProblems, OnceHeader, OnceProblems, PlanProblems, ReadProblems, WriteProblems};
use super::list::{BadQuery, bad_limit, page_limit};
use super::path::Named;
use super::problem::Problem;

/// A customer to be created.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCustomer {
    #[schema(example = "Acme")]
    name: String,
    /// Contact address.
    #[schema(example = "ops@acme.com")]
    email: String,
    company_name: Option<String>,
    /// The first plan on offer, if left out.
    #[schema(example = "starter")]
    plan: Option<String>,
    /// Where events are to be sent.
    webhook_url: Option<String>,
    /// Web origins that may call, such as `https://app.acme.com` or `https://*.acme.com`; any, if left out.
    #[serde(default)]
    allowed_origins: Vec<String>,
}

/// A new customer. Key and secret are shown here and never again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedCustomer {
    success: bool,
    customer_id: String,
    /// A live secret key.
    api_key: String,
    key_id: String,
    /// Signs the events.
    api_secret: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Creates a customer.
#[utoipa::path(
    post, path = "/admin/customers", operation_id = "createCustomer",
    tag = "Customers", request_body = NewCustomer, security(("administrator" = [])),
    params(OnceHeader),
    responses(
        (status = 201, description = "The customer, with what is shown once.", body = CreatedCustomer),
        AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn create(State(app): State<Arc<App>>, asker: Asker, body: Unread<NewCustomer>) -> Result<Response, Problem> {
    asker.administrator(&app).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let body = body.value;
    let new = NewTenant {
        name: body.name,
        email: body.email,
        company_name: body.company_name,
        plan: body.plan,
        webhook_url: body.webhook_url,
        allowed_origins: body.allowed_origins,
        by_administrator: true,
        client: asker.client(),
        idempotency,
    };
    let answer = app.service.create_tenant_once(new).await?;
    let created = answer.value;
    let body = CreatedCustomer {
        success: true,
        customer_id: created.id.to_string(),
        api_key: created.api_key.expose().to_owned(),
        key_id: created.key_id.to_string(),
        api_secret: created.webhook_secret.expose().to_owned(),
        created_at: created.created_at.to_string(),
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}

/// A customer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    customer_id: String,
    name: String,
    email: String,
    company_name: Option<String>,
    plan: String,
    #[schema(value_type = String, example = "active")]
    status: TenantStatus,
    #[schema(value_type = Vec<String>)]
    features: Vec<otp_core::plan::Feature>,
    webhook_url: Option<String>,
    allowed_origins: Vec<String>,
    #[schema(format = DateTime)]
    status_changed_at: String,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<TenantView> for Customer {
    fn from(tenant: TenantView) -> Self {
        Self {
            customer_id: tenant.id.to_string(),
            name: tenant.name,
            email: tenant.email,
            company_name: tenant.company_name,
            plan: tenant.plan,
            status: tenant.status,
            features: tenant.features,
            webhook_url: tenant.webhook_url,
            allowed_origins: tenant.allowed_origins.iter().map(ToString::to_string).collect(),
            status_changed_at: tenant.status_changed_at.to_string(),
            created_at: tenant.created_at.to_string(),
        }
    }
}

/// One customer.
#[derive(Serialize, ToSchema)]
pub struct CustomerBody {
    success: bool,
    customer: Customer,
}

impl From<TenantView> for CustomerBody {
    fn from(tenant: TenantView) -> Self {
        Self { success: true, customer: tenant.into() }
    }
}

/// A page of customers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomersBody {
    success: bool,
    customers: Vec<Customer>,
    /// What to ask the next page with; null at the end.
    next_cursor: Option<String>,
}

/// What part of a list is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Entries of a page, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// Part of a name, address or id. A page may then be short although more follow.
    search: Option<String>,
}

/// Lists customers, newest first.
#[utoipa::path(
    get, path = "/admin/customers", operation_id = "listCustomers",
    tag = "Customers", params(ListQuery), security(("administrator" = [])),
    responses((status = 200, description = "A page.", body = CustomersBody), AdminProblems, ReadProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<ListQuery>, BadQuery>,
) -> Result<Json<CustomersBody>, Problem> {
    asker.administrator(&app).await?;
    let Query(query) = query.map_err(|_| bad_limit())?;
    let limit = page_limit(query.limit)?;
    let page = app.service.tenants(query.search.as_deref(), query.cursor.as_deref(), limit).await?;
    let customers = page.items.into_iter().map(Customer::from).collect();
    Ok(Json(CustomersBody { success: true, customers, next_cursor: page.next }))
}

/// One customer, for the administrator.
#[utoipa::path(
    get, path = "/admin/customers/{id}", operation_id = "customer",
    tag = "Customers", security(("administrator" = []), ("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The customer.")),
    responses(
        (status = 200, description = "The customer.", body = CustomerBody),
        NamedProblems, AdminProblems,
    )
)]
pub async fn one(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<CustomerBody>, Problem> {
    let caller = asker.of_tenant(&app, &id).await?;
    Ok(Json(app.service.tenant(caller.space().tenant).await?.into()))
}

/// The customer that the key belongs to.
#[utoipa::path(
    get, path = "/admin/customers/me", operation_id = "ownCustomer",
    tag = "Customers", security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The customer.", body = CustomerBody), AdminProblems)
)]
pub async fn own(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<CustomerBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.tenant(caller.space().tenant).await?.into()))
}

/// What a customer may change of itself; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditOwn {
    name: Option<String>,
    email: Option<String>,
    /// Null removes it.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    company_name: Option<Option<String>>,
    /// Null removes it.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<String>)]
    webhook_url: Option<Option<String>>,
    allowed_origins: Option<Vec<String>>,
}

/// Tells a field that is null from one that is left out.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl From<EditOwn> for EditTenant {
    fn from(edit: EditOwn) -> Self {
        Self {
            name: edit.name,
            email: edit.email,
            company_name: edit.company_name,
            webhook_url: edit.webhook_url,
            allowed_origins: edit.allowed_origins,
            ..Self::default()
        }
    }
}

/// Changes the customer that the key belongs to.
#[utoipa::path(
    put, path = "/admin/customers/me", operation_id = "editOwnCustomer", tag = "Customers", request_body = EditOwn,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The customer as it is now.", body = CustomerBody),
        AdminProblems, WriteProblems,
    )
)]
pub async fn edit_own(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<EditOwn>,
) -> Result<Json<CustomerBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.edit_tenant(&caller, body.read().await?.value.into()).await?.into()))
}

/// What the administrator may change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditCustomer {
    name: Option<String>,
    email: Option<String>,
    plan: Option<String>,
    /// Whether the plan is changed although more is in use than it allows.
    #[serde(default)]
    force: bool,
}

/// Changes a customer's name, address or plan.
#[utoipa::path(
    put, path = "/admin/customers/{id}", operation_id = "editCustomer", tag = "Customers", request_body = EditCustomer,
    security(("administrator" = [])), params(("id" = String, Path, description = "The customer.")),
    responses(
        (status = 200, description = "The customer as it is now.", body = CustomerBody),
        NamedProblems, PlanProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn edit(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<EditCustomer>,
) -> Result<Json<CustomerBody>, Problem> {
    let caller = for_administrator(&app, &asker, &id).await?;
    let EditCustomer { name, email, plan, force } = body.read().await?.value;
    let edit = EditTenant { name, email, plan, force, ..EditTenant::default() };
    Ok(Json(app.service.edit_tenant(&caller, edit).await?.into()))
}

/// The administrator acting on a tenant. A tenant itself is told that this is not for it; of another it learns nothing.
pub async fn for_administrator(app: &App, asker: &Asker, id: &str) -> Result<Caller, Problem> {
    let caller = asker.of_tenant(app, id).await?;
    asker.administrator(app).await?;
    Ok(caller)
}
