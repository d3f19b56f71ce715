//! `/admin/config`: what a customer sets up for itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use otp_core::audit::Actor;
use otp_core::plan::Feature;
use otp_core::tenant::Change;
use otp_core::{ConfigView, VersionView};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::App;
use super::asker::Asker;
use super::body::Unread;
use super::docs::{AdminProblems, NamedProblems, ReadProblems, RestoreProblems, VersionProblems, WriteProblems};
use super::list::{BadQuery, PageQuery};
use super::path::Named;
use super::problem::Problem;
use super::settings;

/// A customer's configuration.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigBody {
    success: bool,
    /// All settings; docs/tenant-settings.md tells them one by one.
    #[schema(schema_with = settings::settings)]
    config: Map<String, Value>,
    /// How often it was changed, counted from 1; what `If-Match` takes.
    config_version: u64,
    #[schema(example = "starter")]
    plan: String,
    #[schema(value_type = Vec<String>)]
    features: Vec<Feature>,
}

impl From<ConfigView> for ConfigBody {
    fn from(view: ConfigView) -> Self {
        let ConfigView { document, version, plan, features } = view;
        Self { success: true, config: document, config_version: version, plan, features }
    }
}

impl IntoResponse for ConfigBody {
    fn into_response(self) -> Response {
        let version = HeaderValue::try_from(format!("\"{}\"", self.config_version));
        let mut response = Json(self).into_response();
        response.headers_mut().extend(version.map(|version| (ETAG, version)));
        response
    }
}

/// The settings that are to change. What is left out stays; null brings a default back.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what is read as a map")]
pub struct ConfigChange {
    #[schema(schema_with = settings::change)]
    config: Map<String, Value>,
}

/// The configuration of the customer that the key belongs to.
#[utoipa::path(
    get, path = "/admin/config", operation_id = "config",
    tag = "Configuration", security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The configuration.", body = ConfigBody), AdminProblems)
)]
pub async fn show(State(app): State<Arc<App>>, asker: Asker) -> Result<ConfigBody, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(app.service.configuration(&caller).await?.into())
}

/// Changes any settings at once (JSON Merge Patch, RFC 7396).
#[utoipa::path(
    put, path = "/admin/config", operation_id = "configure",
    tag = "Configuration", security(("apiKey" = []), ("apiKeyHeader" = [])),
    request_body(
        content = ConfigChange,
        example = json!({"config": {"passcode": {"length": 6}, "rateLimits": {"perRecipient": 5}}}),
    ),
    params(("If-Match" = Option<String>, Header, description = "The version that is expected, as `\"3\"`.")),
    responses(
        (status = 200, description = "The configuration as it is now.", body = ConfigBody),
        AdminProblems, WriteProblems, VersionProblems,
    )
)]
pub async fn change(
    State(app): State<Arc<App>>,
    asker: Asker,
    headers: HeaderMap,
    body: Unread<Map<String, Value>>,
) -> Result<ConfigBody, Problem> {
    let caller = asker.secret_key(&app).await?;
    let expected = expected(&headers)?;
    let patch = config_of(body.read_with_templates().await?.value)?;
    Ok(app.service.configure(&caller, patch, expected).await?.into())
}

/// The part of a body that may be written.
fn config_of(mut body: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let config = body.remove("config");
    if let Some(name) = body.into_iter().map(|(name, _)| name).next() {
        return Err(match name.as_str() {
            "configVersion" | "plan" | "features" | "success" => {
                let detail = format!("`{name}` can be read only; leave it out");
                Problem::field("read_only_field", name, detail)
            }
            _ => Problem::field("unknown_field", name.clone(), format!("the field `{name}` is not known here")),
        });
    }
    match config {
        Some(Value::Object(config)) => Ok(config),
        Some(_) => Err(Problem::field("invalid_field", "config", "write an object of settings")),
        None => Err(Problem::field("missing_field", "config", "name config")),
    }
}

/// The version that `If-Match` names (RFC 9110 section 13.1.1).
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let refuse = || Problem::field("invalid_field", "If-Match", "write the configVersion in quotes, as \"3\", or *");
    text.trim_matches('"').parse().map(Some).map_err(|_| refuse())
}

macro_rules! sections {
    ($($(#[$about:meta])* $handler:ident, $id:literal, $path:literal, $section:ident, $body:ident, $example:tt;)*) => {$(
        /// The settings of the section that are to change. What is left out stays; null brings a default back.
        pub struct $body;

        impl PartialSchema for $body {
            fn schema() -> RefOr<Schema> {
                Section::$section.schema().into()
            }
        }

        impl ToSchema for $body {}

        $(#[$about])*
        #[utoipa::path(
            put, path = $path, operation_id = $id, tag = "Configuration",
            request_body(content = $body, example = json!($example)),
            security(("apiKey" = []), ("apiKeyHeader" = [])),
            params(("If-Match" = Option<String>, Header, description = "The version that is expected, as `\"3\"`.")),
            responses(
                (status = 200, description = "The whole configuration as it is now.", body = ConfigBody),
                AdminProblems, WriteProblems, VersionProblems,
            )
        )]
        pub async fn $handler(
            State(app): State<Arc<App>>,
            asker: Asker,
            headers: HeaderMap,
            body: Unread<Map<String, Value>>,
        ) -> Result<ConfigBody, Problem> {
            write_section(&app, &asker, &headers, body, Section::$section).await
        }
    )*};
}

/// How a section is written by itself.
#[derive(Clone, Copy)]
enum Section {
    /// Its fields stand in an object of this name.
    Object(&'static str),
    /// It is one field.
    List(&'static str),
}

impl Section {
    const EMAIL: Self = Self::Object("emailConfig");
    const LIMITS: Self = Self::Object("rateLimits");
    const WEBHOOKS: Self = Self::Object("webhookConfig");
    const TOKENS: Self = Self::Object("tokens");
    const ORIGINS: Self = Self::List("allowedOrigins");
    const IPS: Self = Self::List("allowedIps");
    const TEMPLATES: Self = Self::List("templates");

    fn schema(self) -> Object {
        match self {
            Self::Object(name) => settings::change_of_section(name),
            Self::List(name) => settings::change_of_list(name),
        }
    }
}

sections! {
    /// Changes who mails are from.
    email, "configureEmail", "/admin/config/email", EMAIL, EmailChange, {"fromName": "Acme", "replyTo": "help@acme.com"};
    /// Changes the customer's own limits.
    limits, "configureRateLimits", "/admin/config/rate-limits", LIMITS, LimitsChange,
        {"otpRequestsPerHour": 500, "perRecipient": 5};
    /// Changes where events are sent, which, and what signs them.
    webhooks, "configureWebhooks", "/admin/config/webhooks", WEBHOOKS, WebhooksChange,
        {"url": "https://acme.com/hooks", "events": ["*"]};
    /// Changes tokens and sessions. Another algorithm comes with new signing keys.
    tokens, "configureTokens", "/admin/config/tokens", TOKENS, TokensChange, {"algorithm": "EdDSA", "accessTtl": 900};
    /// Changes which web origins may call.
    origins, "configureOrigins", "/admin/config/origins", ORIGINS, OriginsChange,
        {"allowedOrigins": ["https://*.acme.com"]};
    /// Changes which networks may call.
    networks, "configureIpAllowlist", "/admin/config/ip-allowlist", IPS, NetworksChange,
        {"allowedIps": ["203.0.113.0/24"]};
    /// Changes the templates for purposes and languages. They stand in the place of all that were there.
    templates, "configureTemplates", "/admin/config/templates", TEMPLATES, TemplatesChange,
        {"templates": [{"locale": "de", "subject": "Ihr Code für {{appName}}"}]};
}

async fn write_section(
    app: &App,
    asker: &Asker,
    headers: &HeaderMap,
    body: Unread<Map<String, Value>>,
    section: Section,
) -> Result<ConfigBody, Problem> {
    let caller = asker.secret_key(app).await?;
    let expected = expected(headers)?;
    let body = body.read_with_templates().await?.value;
    let patch = match section {
        Section::Object(name) => Map::from_iter([(name.to_owned(), Value::Object(body))]),
        Section::List(name) => match body.keys().find(|field| *field != name) {
            Some(field) => {
                let detail = format!("the field `{field}` is not known here; name {name}");
                return Err(Problem::field("unknown_field", field.clone(), detail));
            }
            None => body,
        },
    };
    let bare = |problem: Problem| match section {
        Section::Object(name) => problem.within(name),
        Section::List(_) => problem,
    };
    let view = app.service.configure(&caller, patch, expected).await;
    Ok(view.map_err(|error| bare(error.into()))?.into())
}

/// A version of the configuration.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionBody {
    version: u64,
    #[schema(format = DateTime)]
    created_at: String,
    /// The id of a key, `administrator` or `program`.
    #[schema(example = "key_1ChFmpUojv8eiw4hdrbZRf")]
    author: String,
    /// What it changed of the version before.
    changes: Vec<ChangeBody>,
}

/// A setting that was changed.
#[derive(Serialize, ToSchema)]
pub struct ChangeBody {
    #[schema(example = "passcode.length")]
    field: String,
    /// What it was. A long value is told by its digest, a secret by its end.
    #[schema(example = 9)]
    old: Value,
    /// What it is.
    #[schema(example = 6)]
    new: Value,
}

impl From<Change> for ChangeBody {
    fn from(Change { field, old, new }: Change) -> Self {
        Self { field, old, new }
    }
}

impl From<VersionView> for VersionBody {
    fn from(view: VersionView) -> Self {
        let VersionView { version, at, actor, changes } = view;
        let changes = changes.into_iter().map(ChangeBody::from).collect();
        Self { version, created_at: at.to_string(), author: author(actor), changes }
    }
}

/// The name of who acted.
pub fn author(actor: Actor) -> String {
    match actor {
        Actor::Administrator => "administrator".to_owned(),
        Actor::Program => "program".to_owned(),
        Actor::Service => "service".to_owned(),
        Actor::Key(id) => id.to_string(),
        Actor::Member(id) => id.to_string(),
    }
}

/// A page of versions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionsBody {
    success: bool,
    versions: Vec<VersionBody>,
    /// What to ask the next page with; null at the end.
    next_cursor: Option<String>,
}

/// Lists the versions that are kept, newest first.
#[utoipa::path(
    get, path = "/admin/config/versions", operation_id = "configVersions",
    tag = "Configuration", params(PageQuery), security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "A page.", body = VersionsBody), AdminProblems, ReadProblems)
)]
pub async fn versions(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<PageQuery>, BadQuery>,
) -> Result<Json<VersionsBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let (limit, cursor) = PageQuery::read(query)?;
    let page = app.service.configuration_versions(&caller, cursor.as_deref(), limit).await?;
    let versions = page.items.into_iter().map(VersionBody::from).collect();
    Ok(Json(VersionsBody { success: true, versions, next_cursor: page.next }))
}

/// Puts the settings of an earlier version in effect, as a new version. Secrets stay.
#[utoipa::path(
    post, path = "/admin/config/versions/{version}/restore", operation_id = "restoreConfig",
    tag = "Configuration", security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(
        ("version" = String, Path, description = "Which version."),
        ("If-Match" = Option<String>, Header, description = "The version that is expected, as `\"3\"`."),
    ),
    responses(
        (status = 200, description = "The configuration as it is now.", body = ConfigBody),
        NamedProblems, AdminProblems, VersionProblems, RestoreProblems,
    )
)]
pub async fn restore(
    State(app): State<Arc<App>>,
    asker: Asker,
    headers: HeaderMap,
    Named(version): Named<String>,
) -> Result<ConfigBody, Problem> {
    let caller = asker.secret_key(&app).await?;
    let expected = expected(&headers)?;
    let version = version.parse().map_err(|_| Problem::not_found("version"))?;
    Ok(app.service.restore_configuration(&caller, version, expected).await?.into())
}
