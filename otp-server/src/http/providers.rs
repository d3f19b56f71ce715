//! `/admin/providers`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::message::Channel;
use otp_core::{EditProvider, ProviderId, ProviderUrl, ProviderView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::mark_replay;
use super::body::Unread;
use super::docs::{
    AdminProblems, ConflictProblems, LimitProblems, NamedProblems, OnceHeader, OnceProblems, WriteProblems,
};
use super::path::Named;
use super::problem::Problem;
use super::sessions::Done;
use crate::delivery::{REACH, own_provider};

/// A provider for the customer's own messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderBody {
    /// Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    #[schema(example = "prov_1ChFmqGmfQTctUmrBj4YHw")]
    id: String,
    #[schema(example = "resend")]
    label: String,
    /// Without its secrets: of each the last four characters are shown, of short ones none.
    #[schema(example = "resend:••••9876")]
    url: String,
    #[schema(value_type = Vec<String>, example = json!(["email"]))]
    channels: Vec<Channel>,
    /// The lowest is preferred.
    position: u32,
    /// How often it was written, counted from 1.
    version: u64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl ProviderBody {
    fn listed(view: ProviderView) -> Self {
        let ProviderView { id, label, url, channels, position, version, created_at, updated_at } = view;
        let (created_at, updated_at) = (created_at.to_string(), updated_at.to_string());
        Self { success: None, id: id.to_string(), label, url, channels, position, version, created_at, updated_at }
    }
}

impl From<ProviderView> for ProviderBody {
    fn from(view: ProviderView) -> Self {
        Self { success: Some(true), ..Self::listed(view) }
    }
}

/// A provider to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProviderBody {
    /// `smtp://USER:PASSWORD@HOST:PORT?tls=…`, `resend:KEY`, `sendgrid:KEY`, `ses:REGION?…`, `twilio:SID:TOKEN?…`,
    /// `gateway:https://…`, or `installation` for the installation's own providers.
    #[schema(example = "resend:re_123456789")]
    url: String,
    /// What it is to carry, of `email`, `sms` and `whatsapp`; all that it can if not given.
    #[schema(value_type = Option<Vec<String>>)]
    channels: Option<Vec<String>>,
    /// What you call it, 1 to 60 characters; the kind of the provider if not given.
    label: Option<String>,
    /// The lowest is preferred; behind the others if not given.
    position: Option<u32>,
}

/// What is to be changed of a provider; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditProviderBody {
    /// As for a new one.
    url: Option<String>,
    #[schema(value_type = Option<Vec<String>>)]
    channels: Option<Vec<String>>,
    label: Option<String>,
    position: Option<u32>,
}

impl NewProviderBody {
    fn edit(self) -> Result<EditProvider, Problem> {
        let Self { url, channels, label, position } = self;
        EditProviderBody { url: Some(url), channels, label, position }.edit()
    }
}

impl EditProviderBody {
    fn edit(self) -> Result<EditProvider, Problem> {
        let Self { url, channels, label, position } = self;
        let url = url.as_deref().map(read).transpose()?;
        Ok(EditProvider { url, channels: channels.map(named_channels).transpose()?, label, position })
    }
}

fn read(url: &str) -> Result<ProviderUrl, Problem> {
    own_provider(url, REACH).map_err(|error| Problem::field("invalid_provider_url", "url", error.to_string()))
}

fn named_channels(names: Vec<String>) -> Result<Vec<Channel>, Problem> {
    let named = |name: &String| Channel::ALL.into_iter().find(|channel| channel.as_str() == name);
    let channels: Option<Vec<Channel>> = names.iter().map(named).collect();
    channels.ok_or_else(|| Problem::field("invalid_channels", "channels", "use email, sms and whatsapp"))
}

/// The provider that a path names; what is no identifier is that of nothing.
fn provider(id: &str) -> Result<ProviderId, Problem> {
    id.parse().map_err(|_| Problem::not_found("provider"))
}

/// The providers of a customer.
#[derive(Serialize, ToSchema)]
pub struct ProvidersBody {
    success: bool,
    providers: Vec<ProviderBody>,
}

/// Lists the providers that take the customer's messages, in the order in which they are preferred. Where there are none the
/// installation's take them.
#[utoipa::path(
    get, path = "/admin/providers", operation_id = "listProviders", tag = "Configuration",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The providers.", body = ProvidersBody), AdminProblems)
)]
pub async fn list(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<ProvidersBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let providers = app.service.providers(&caller).await?.into_iter().map(ProviderBody::listed).collect();
    Ok(Json(ProvidersBody { success: true, providers }))
}

/// Adds a provider; there may be eight. From then on the customer's messages of live mode leave by these providers, the first
/// that works, and by the installation's only if `installation` is among them. Mail leaves by a provider of the customer's own
/// only from an address of a verified domain (`emailConfig.fromEmail`). Messages of test mode are never sent.
#[utoipa::path(
    post, path = "/admin/providers", operation_id = "addProvider", tag = "Configuration",
    request_body = NewProviderBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 201, description = "It was added.", body = ProviderBody),
        ConflictProblems, AdminProblems, WriteProblems, OnceProblems,
    )
)]
pub async fn add(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<NewProviderBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let answer = app.service.add_provider(&caller, body.value.edit()?, idempotency).await?;
    let mut response = (StatusCode::CREATED, Json(ProviderBody::from(answer.value))).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}

/// Changes what is named of a provider, at once.
#[utoipa::path(
    put, path = "/admin/providers/{id}", operation_id = "editProvider", tag = "Configuration",
    request_body = EditProviderBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The provider.")),
    responses(
        (status = 200, description = "The provider.", body = ProviderBody),
        NamedProblems, AdminProblems, WriteProblems,
    )
)]
pub async fn edit(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
    body: Unread<EditProviderBody>,
) -> Result<Json<ProviderBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let edit = body.read().await?.value.edit()?;
    Ok(Json(app.service.edit_provider(&caller, provider(&id)?, edit).await?.into()))
}

/// Whether a provider works.
#[derive(Serialize, ToSchema)]
pub struct ProviderTestBody {
    success: bool,
    /// Whether it could be reached and took the credentials.
    works: bool,
    /// What is wrong, and what to do about it.
    problem: Option<String>,
}

/// Asks a provider whether it works, at most every ten seconds. Nothing is sent.
#[utoipa::path(
    post, path = "/admin/providers/{id}/test", operation_id = "testProvider", tag = "Configuration",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The provider.")),
    responses(
        (status = 200, description = "What was found.", body = ProviderTestBody),
        NamedProblems, AdminProblems, LimitProblems,
    )
)]
pub async fn test(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<ProviderTestBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let problem = app.service.test_provider(&caller, provider(&id)?).await?.err();
    Ok(Json(ProviderTestBody { success: true, works: problem.is_none(), problem }))
}

/// Deletes a provider, at once.
#[utoipa::path(
    delete, path = "/admin/providers/{id}", operation_id = "deleteProvider", tag = "Configuration",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("id" = String, Path, description = "The provider.")),
    responses((status = 200, description = "Deleted.", body = Done), NamedProblems, AdminProblems)
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    app.service.delete_provider(&caller, provider(&id)?).await?;
    Ok(Done::saying("Provider deleted"))
}
