//! `/admin/messages`: what was sent to whom, and what became of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use otp_core::delivery::MessageStatus;
use otp_core::message::{Attempt, AttemptOutcome, Channel};
use otp_core::{MessageQuery, MessageView, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::asker::Asker;
use super::docs::{AdminProblems, NamedProblems, RecipientProblems};
use super::list::{BadQuery, bad_limit, page_limit};
use super::path::Named;
use super::problem::Problem;
use super::suppressions::recipient;

/// A try to hand a message over.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageAttemptBody {
    /// The service, where there are several.
    #[schema(example = "resend")]
    provider: Option<String>,
    #[schema(format = DateTime)]
    at: String,
    /// Whether the service took it.
    taken: bool,
    /// What it said, if it did not.
    reason: Option<String>,
    /// What it calls the message, if it did.
    provider_id: Option<String>,
}

impl From<Attempt> for MessageAttemptBody {
    fn from(attempt: Attempt) -> Self {
        let (taken, reason) = match attempt.outcome {
            AttemptOutcome::Taken => (true, None),
            AttemptOutcome::Refused { reason } => (false, Some(reason)),
        };
        let Attempt { provider, at, provider_id, .. } = attempt;
        Self { provider, at: at.to_string(), taken, reason, provider_id }
    }
}

/// A message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody {
    #[schema(example = "msg_1ChFmqGmfQTctUmrBj4YHw")]
    message_id: String,
    #[schema(example = "email")]
    channel: &'static str,
    #[schema(example = "ann@example.org")]
    recipient: String,
    /// What its code is for.
    #[schema(example = "login")]
    purpose: Option<String>,
    /// `queued`, `sent`, `delivered`, `bounced`, `complained`, `failed`, `vetoed` (by a hook), `expired`, or `held` in test mode. `sent` means that a
    /// provider took it and has not told more; not all of them do.
    #[schema(example = "delivered")]
    status: &'static str,
    /// The service that told what became of it, or else the one that took it, where there are several.
    provider: Option<String>,
    /// What that service calls it.
    provider_id: Option<String>,
    /// How often it was tried.
    tries: u32,
    /// The latest of the tries, oldest first.
    attempts: Vec<MessageAttemptBody>,
    /// What a service said last, if it was no success.
    last_error: Option<String>,
    /// Parts of a text message.
    segments: Option<u32>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    /// When it was given up, returned, complained of or too late.
    #[schema(format = DateTime)]
    failed_at: Option<String>,
}

impl From<MessageView> for MessageBody {
    fn from(view: MessageView) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            message_id: view.id.to_string(),
            channel: view.channel.as_str(),
            recipient: view.recipient,
            purpose: view.purpose,
            status: view.status.as_str(),
            provider: view.provider,
            provider_id: view.provider_id,
            tries: view.tries,
            attempts: view.attempts.into_iter().map(MessageAttemptBody::from).collect(),
            last_error: view.last_error,
            segments: view.segments,
            created_at: view.created_at.to_string(),
            sent_at: text(view.sent_at),
            delivered_at: text(view.delivered_at),
            failed_at: text(view.failed_at),
        }
    }
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagesBody {
    success: bool,
    messages: Vec<MessageBody>,
    /// What to ask the next page with; null at the end. With filters a page can have fewer entries than `limit`, or none, and
    /// another behind it.
    next_cursor: Option<String>,
}

/// One message.
#[derive(Serialize, ToSchema)]
pub struct OneMessageBody {
    success: bool,
    message: MessageBody,
}

/// Which messages are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessagesQuery {
    /// Entries of a page, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// To whom: the whole address or number, in any spelling.
    #[param(example = "ann@example.org")]
    recipient: Option<String>,
    /// How they stand.
    #[param(example = "bounced")]
    status: Option<String>,
    /// How they travel: `email`, `sms` or `whatsapp`.
    #[param(example = "email")]
    channel: Option<String>,
    /// Queued at this time or later.
    #[param(example = "2026-01-31T08:00:00Z")]
    from: Option<String>,
    /// Queued before this time.
    #[param(example = "2026-02-01T00:00:00Z")]
    to: Option<String>,
}

impl MessagesQuery {
    fn read(&self) -> Result<MessageQuery, Problem> {
        let invalid = |field: &'static str, message: &str| Problem::field("invalid_field", field, message);
        let status = |text: &String| MessageStatus::ALL.into_iter().find(|status| status.as_str() == text);
        let channel = |text: &String| Channel::ALL.into_iter().find(|channel| channel.as_str() == text);
        let time = |field, text: &Option<String>| {
            let read = |text: &String| text.parse::<Timestamp>().map_err(|error| invalid(field, &error.to_string()));
            text.as_ref().map(read).transpose()
        };
        let no_status = || invalid("status", "use one that messages have, such as delivered or bounced");
        let no_channel = || invalid("channel", "use email, sms or whatsapp");
        Ok(MessageQuery {
            recipient: self.recipient.as_deref().map(recipient).transpose()?,
            status: self.status.as_ref().map(|text| status(text).ok_or_else(no_status)).transpose()?,
            channel: self.channel.as_ref().map(|text| channel(text).ok_or_else(no_channel)).transpose()?,
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
        })
    }
}

/// Lists messages, newest first.
#[utoipa::path(
    get, path = "/admin/messages", operation_id = "listMessages", tag = "Messages", params(MessagesQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "A page.", body = MessagesBody), AdminProblems, RecipientProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<MessagesQuery>, BadQuery>,
) -> Result<Json<MessagesBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let Query(query) = query.map_err(|_| bad_limit())?;
    let limit = page_limit(query.limit)?;
    let page = app.service.messages(&caller, &query.read()?, query.cursor.as_deref(), limit).await?;
    let messages = page.items.into_iter().map(MessageBody::from).collect();
    Ok(Json(MessagesBody { success: true, messages, next_cursor: page.next }))
}

/// One message.
#[utoipa::path(
    get, path = "/admin/messages/{id}", operation_id = "message", tag = "Messages",
    security(("apiKey" = []), ("apiKeyHeader" = [])), params(("id" = String, Path, description = "The message.")),
    responses((status = 200, description = "The message.", body = OneMessageBody), NamedProblems, AdminProblems)
)]
pub async fn one(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<OneMessageBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let id = id.parse().map_err(|_| Problem::not_found("message"))?;
    let message = app.service.message(&caller, id).await?.into();
    Ok(Json(OneMessageBody { success: true, message }))
}
