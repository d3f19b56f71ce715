//! `/admin/templates/preview` and `/admin/config/email/test`: a customer looks at its own messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use otp_core::locale::Locale;
use otp_core::template::{Drafts, Part};
use otp_core::{MessagePreview, PreviewedMessage, TestEmail};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::{self, OtpSent};
use super::body::Unread;
use super::docs::{AdminProblems, LimitProblems, OnceHeader, OnceProblems, WriteProblems};
use super::problem::Problem;

/// Templates that are tried out. Whatever is left out is shown as it would be sent today.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// The subject of the mail.
    #[schema(example = "Your {{appName}} code")]
    subject: Option<String>,
    /// Its HTML part.
    #[schema(example = "<p>{{otpGrouped}}</p>")]
    html: Option<String>,
    /// Its plain-text part.
    text: Option<String>,
    /// The text message.
    sms: Option<String>,
    /// What the code is for.
    #[schema(default = "login", example = "login")]
    purpose: Option<String>,
    /// What the recipient reads (BCP 47).
    #[schema(example = "de-CH")]
    locale: Option<String>,
    /// What is being approved.
    #[schema(example = "Pay 120 EUR to Acme")]
    context: Option<String>,
    /// Values for the templates, beside those of `emailConfig.variables`.
    #[serde(default)]
    #[schema(example = json!({"shop": "Berlin"}))]
    variables: BTreeMap<String, String>,
}

/// A message with sample values.
#[derive(Serialize, ToSchema)]
pub struct PreviewedBody {
    success: bool,
    /// The subject of the mail.
    #[schema(example = "Your Acme code")]
    subject: String,
    /// Its HTML part.
    html: String,
    /// Its plain-text part.
    text: String,
    /// The text message.
    sms: String,
}

impl From<PreviewedMessage> for PreviewedBody {
    fn from(PreviewedMessage { mail, sms }: PreviewedMessage) -> Self {
        Self { success: true, subject: mail.subject, html: mail.html, text: mail.text, sms }
    }
}

/// Renders a message with sample values: the templates of the request, or what would be sent. Nothing is stored or sent.
#[utoipa::path(
    post, path = "/admin/templates/preview", operation_id = "previewTemplates", tag = "Configuration",
    request_body = PreviewBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The message.", body = PreviewedBody),
        AdminProblems, WriteProblems,
    )
)]
pub async fn preview(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<PreviewBody>,
) -> Result<Json<PreviewedBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read_with_templates().await?.value;
    let sources = [body.subject, body.html, body.text, body.sms];
    let parts = Part::ALL.into_iter().zip(sources).filter_map(|(part, source)| Some((part, source?))).collect();
    let preview = MessagePreview {
        drafts: Drafts { parts, variables: body.variables },
        purpose: body.purpose,
        locale: locale(body.locale.as_deref())?,
        context: body.context,
    };
    Ok(Json(app.service.preview_message(&caller, preview).await?.into()))
}

/// Where a mail goes to be looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestEmailBody {
    /// The contact's address, if left out, or a member's; no other one is taken.
    #[schema(example = "ops@acme.com")]
    to: Option<String>,
    /// What the recipient reads (BCP 47).
    #[schema(example = "de-CH")]
    locale: Option<String>,
    /// What the code is for.
    #[schema(default = "login", example = "login")]
    purpose: Option<String>,
}

/// Sends the customer's mail to an address of its own, with a code as `/auth/request-otp` makes it: it counts the same, and a
/// test key shows it and sends nothing.
#[utoipa::path(
    post, path = "/admin/config/email/test", operation_id = "sendTestEmail", tag = "Configuration",
    request_body = TestEmailBody, security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 200, description = "The mail is on its way.", body = OtpSent),
        AdminProblems, WriteProblems, OnceProblems, LimitProblems,
    )
)]
pub async fn test_email(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<TestEmailBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read_if_any().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let TestEmailBody { to, locale: tag, purpose } = body.value;
    let to = to.map(|to| to.parse()).transpose();
    let to = to.map_err(|error| Problem::field("invalid_email", "to", format!("{error}")))?;
    let test = TestEmail { to, purpose, locale: locale(tag.as_deref())?, idempotency };
    let answer = app.service.send_test_email(&caller, test).await?;
    Ok(auth::sent(&caller, otp_core::Deliver::Service, answer))
}

/// The language that a request names.
pub fn locale(tag: Option<&str>) -> Result<Option<Locale>, Problem> {
    let refuse = |error| Problem::field("invalid_locale", "locale", format!("{error}"));
    tag.map(|tag| tag.parse::<Locale>().map_err(refuse)).transpose()
}
