//! `/admin/suppressions`: recipients that nothing is sent to.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::suppression::SuppressionReason;
use otp_core::{Address, NewSuppression, SuppressionView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::asker::Asker;
use super::body::Unread;
use super::docs::{AdminProblems, NamedProblems, RecipientProblems, WriteProblems};
use super::list::{BadQuery, bad_limit, page_limit};
use super::problem::Problem;
use super::sessions::Done;

/// A recipient that nothing is sent to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionBody {
    /// The address; null once all else that was held about them was erased.
    #[schema(example = "ann@example.org")]
    recipient: Option<String>,
    /// `hard_bounce`, `complaint`, `stop` or `manual`.
    #[schema(example = "hard_bounce")]
    reason: &'static str,
    /// The service that told of it.
    provider: Option<String>,
    note: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    until: Option<String>,
}

impl From<SuppressionView> for SuppressionBody {
    fn from(view: SuppressionView) -> Self {
        Self {
            recipient: view.recipient,
            reason: view.reason.as_str(),
            provider: view.provider,
            note: view.note,
            created_at: view.at.to_string(),
            until: view.until.map(|until| until.to_string()),
        }
    }
}

/// A page of the list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionsBody {
    success: bool,
    suppressions: Vec<SuppressionBody>,
    /// What to ask the next page with; null at the end.
    next_cursor: Option<String>,
}

/// One of them.
#[derive(Serialize, ToSchema)]
pub struct OneSuppressionBody {
    success: bool,
    suppression: SuppressionBody,
}

/// Which are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SuppressionsQuery {
    /// Entries of a page, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// The whole address or number of the one who is wanted, in any spelling.
    #[param(example = "ann@example.org")]
    recipient: Option<String>,
}

/// Whom to let go.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecipientQuery {
    /// The whole address or number, in any spelling.
    #[param(example = "ann@example.org")]
    recipient: String,
}

/// Who is to be sent nothing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSuppressionBody {
    /// Either this or the phone number is needed.
    #[schema(example = "ann@example.org")]
    email: Option<String>,
    phone: Option<String>,
    /// `manual` unless it is another of `hard_bounce`, `complaint` and `stop`, as in a list that is brought along.
    #[schema(default = "manual")]
    reason: Option<String>,
    /// Up to 200 characters of your own.
    note: Option<String>,
}

/// An e-mail address, or a phone number with its `+`.
pub(super) fn recipient(text: &str) -> Result<Address, Problem> {
    let invalid = |error: String| Problem::field("invalid_recipient", "recipient", error);
    match text.contains('@') {
        true => text.parse().map(Address::Email).map_err(|error| invalid(format!("{error}"))),
        false => text.parse().map(Address::Phone).map_err(|error| invalid(format!("{error}"))),
    }
}

impl NewSuppressionBody {
    fn read(self) -> Result<NewSuppression, Problem> {
        let recipient = match (self.email, self.phone) {
            (Some(email), None) => email
                .parse()
                .map(Address::Email)
                .map_err(|error| Problem::field("invalid_email", "email", format!("{error}")))?,
            (None, Some(phone)) => phone
                .parse()
                .map(Address::Phone)
                .map_err(|error| Problem::field("invalid_phone", "phone", format!("{error}")))?,
            _ => return Err(Problem::field("missing_field", "email", "name either email or phone")),
        };
        let reason = self.reason.map(|text| text.parse::<SuppressionReason>()).transpose();
        let reason = reason.map_err(|error| Problem::field("invalid_reason", "reason", error.to_string()))?;
        Ok(NewSuppression { recipient, reason: reason.unwrap_or(SuppressionReason::Manual), note: self.note })
    }
}

/// Lists the recipients that nothing is sent to, or finds one. They came to the list by a bounce, a complaint or a STOP that a
/// provider told of, or were put on it. The order means nothing.
#[utoipa::path(
    get, path = "/admin/suppressions", operation_id = "listSuppressions", tag = "Messages", params(SuppressionsQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "A page.", body = SuppressionsBody), AdminProblems, RecipientProblems)
)]
pub async fn list(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<SuppressionsQuery>, BadQuery>,
) -> Result<Json<SuppressionsBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let Query(query) = query.map_err(|_| bad_limit())?;
    let limit = page_limit(query.limit)?;
    if let Some(text) = &query.recipient {
        let found = app.service.suppression_of(&caller, &recipient(text)?).await?;
        let suppressions = found.into_iter().map(SuppressionBody::from).collect();
        return Ok(Json(SuppressionsBody { success: true, suppressions, next_cursor: None }));
    }
    let page = app.service.suppressions(&caller, query.cursor.as_deref(), limit).await?;
    let suppressions = page.items.into_iter().map(SuppressionBody::from).collect();
    Ok(Json(SuppressionsBody { success: true, suppressions, next_cursor: page.next }))
}

/// Has nothing more sent to a recipient; asking for a code is answered with `recipient_suppressed`. It is in the audit trail,
/// without the address.
#[utoipa::path(
    post, path = "/admin/suppressions", operation_id = "suppress", tag = "Messages", request_body = NewSuppressionBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 201, description = "Nothing is sent there any more.", body = OneSuppressionBody),
        AdminProblems, WriteProblems,
    )
)]
pub async fn add(
    State(app): State<Arc<App>>,
    asker: Asker,
    body: Unread<NewSuppressionBody>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let new = body.read().await?.value.read()?;
    let suppression = app.service.suppress(&caller, new).await?.into();
    Ok((StatusCode::CREATED, Json(OneSuppressionBody { success: true, suppression })).into_response())
}

/// Lets messages to a recipient leave again. It is in the audit trail, without the address. What providers keep on lists of
/// their own is not changed by it.
#[utoipa::path(
    delete, path = "/admin/suppressions", operation_id = "unsuppress", tag = "Messages", params(RecipientQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "Messages leave again.", body = Done),
        NamedProblems, AdminProblems, RecipientProblems,
    )
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<RecipientQuery>, BadQuery>,
) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let missing = |_| Problem::field("invalid_recipient", "recipient", "name the whole address or number");
    let Query(query) = query.map_err(missing)?;
    app.service.unsuppress(&caller, &recipient(&query.recipient)?).await?;
    Ok(Done::saying("Messages to this recipient leave again"))
}
