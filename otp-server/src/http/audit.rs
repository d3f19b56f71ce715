//! `/admin/audit-logs`: who did what.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use otp_core::audit::{Action, Actor};
use otp_core::period::{Period, PeriodQuery};
use otp_core::{AuditQuery, AuditView, Caller};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::analytics::{PeriodBody, read};
use super::asker::Asker;
use super::configuration::author;
use super::csv::Table;
use super::docs::{AdminProblems, PeriodProblems};
use super::list::page_limit;
use super::problem::Problem;

/// What is kept by default.
const USUAL_DAYS: i64 = 90;

/// Which part of the trail is wanted, and how.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct AuditParams {
    /// The first day (UTC); 89 days before the last, if left out.
    #[param(example = "2026-01-01")]
    start_date: Option<String>,
    /// The last day, included; today, if left out.
    #[param(example = "2026-01-31")]
    end_date: Option<String>,
    /// Lines of this name only.
    #[param(example = "config.changed")]
    event_type: Option<String>,
    /// `json`; `csv` and `jsonl` give the whole period at once.
    #[param(default = "json")]
    format: Option<String>,
    /// Entries of a page, 1 to 200.
    #[param(default = 50, minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A line of the trail.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditBody {
    id: String,
    #[schema(example = "config.changed")]
    event_type: &'static str,
    #[schema(format = DateTime)]
    timestamp: String,
    /// The id of a key, `administrator` or `program`.
    actor: String,
    /// The key that it was done with, if one was.
    key_id: Option<String>,
    /// To what it was done.
    target: String,
    #[schema(example = "PUT")]
    method: Option<String>,
    #[schema(example = "/admin/config")]
    endpoint: Option<String>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    /// What else there is to say. Of a configuration what it was and what it is, secrets masked.
    data: Value,
}

impl From<AuditView> for AuditBody {
    fn from(view: AuditView) -> Self {
        let (method, endpoint) = match view.operation.as_deref().and_then(|operation| operation.split_once(' ')) {
            Some((method, path)) => (Some(method.to_owned()), Some(path.to_owned())),
            None => (None, None),
        };
        let key_id = match view.actor {
            Actor::Key(id) => Some(id.to_string()),
            _ => None,
        };
        Self {
            id: view.id.to_string(),
            event_type: view.action.as_str(),
            timestamp: view.at.to_string(),
            actor: author(view.actor),
            key_id,
            target: view.target,
            method,
            endpoint,
            ip: view.ip.map(|ip| ip.to_string()),
            user_agent: view.user_agent,
            request_id: view.request_id,
            data: view.data,
        }
    }
}

/// A page of the trail.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditLogBody {
    success: bool,
    period: PeriodBody,
    /// Lines of all pages together.
    total: usize,
    events: Vec<AuditBody>,
    /// What to ask the next page with; null at the end.
    next_cursor: Option<String>,
}

/// The audit trail of the customer, newest first. Lines are kept for 90 days, or as many as whoever runs the installation has set.
#[utoipa::path(
    get, path = "/admin/audit-logs", operation_id = "auditLogs",
    tag = "Customers", params(AuditParams), security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "A page, or with `format` the whole period.", content(
            (AuditLogBody = "application/json"), (String = "text/csv; charset=utf-8"), (String = "application/jsonl"),
        )),
        AdminProblems, PeriodProblems,
    )
)]
pub async fn logs(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<AuditParams>, QueryRejection>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let params = read(query)?;
    let limit = page_limit(params.limit)?;
    let period = PeriodQuery { start_date: params.start_date, end_date: params.end_date, ..PeriodQuery::default() };
    let period = Period::parse_from(&period, app.service.now(), USUAL_DAYS)?;
    let action = params.event_type.map(|name| name.parse::<Action>());
    let action =
        action.transpose().map_err(|error| Problem::field("unknown_event_type", "eventType", error.to_string()))?;
    let query = AuditQuery { from: period.from(), until: period.until(), action };
    match params.format.as_deref() {
        None | Some("json") => {
            let (page, total) = app.service.audit_log(&caller, query, params.cursor.as_deref(), limit).await?;
            let events = page.items.into_iter().map(AuditBody::from).collect();
            let body = AuditLogBody { success: true, period: period.into(), total, events, next_cursor: page.next };
            Ok(Json(body).into_response())
        }
        Some("csv") => Ok(table(all(&app, &caller, query).await?).into_response()),
        Some("jsonl") => Ok(json_lines(all(&app, &caller, query).await?)),
        Some(_) => Err(Problem::field("invalid_field", "format", "use json, csv or jsonl")),
    }
}

/// The whole period.
async fn all(app: &App, caller: &Caller, query: AuditQuery) -> Result<Vec<AuditBody>, Problem> {
    let (page, _) = app.service.audit_log(caller, query, None, usize::MAX).await?;
    Ok(page.items.into_iter().map(AuditBody::from).collect())
}

fn table(lines: Vec<AuditBody>) -> Table {
    let heading =
        ["timestamp", "eventType", "actor", "target", "method", "endpoint", "ip", "userAgent", "requestId", "data"];
    let mut table = Table::new(&heading);
    let text = |value: Option<String>| value.unwrap_or_default();
    for line in lines {
        let AuditBody {
            timestamp, event_type, actor, target, method, endpoint, ip, user_agent, request_id, data, ..
        } = line;
        let [method, endpoint, ip, agent, request] = [method, endpoint, ip, user_agent, request_id].map(text);
        let event = event_type.to_owned();
        table.row([timestamp, event, actor, target, method, endpoint, ip, agent, request, data.to_string()]);
    }
    table
}

fn json_lines(lines: Vec<AuditBody>) -> Response {
    let line = |line: &AuditBody| serde_json::to_string(line).map(|line| line + "\n").unwrap_or_default();
    let text: String = lines.iter().map(line).collect();
    ([(header::CONTENT_TYPE, "application/jsonl")], Body::from(text)).into_response()
}
