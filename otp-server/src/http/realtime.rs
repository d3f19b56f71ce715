//! `/admin/analytics/realtime` and `/admin/analytics/errors`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use otp_core::call::CallError;
use otp_core::period::PeriodQuery;
use otp_core::usage::ErrorCategory;
use otp_core::{ErrorReport, Realtime, RouteTimes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::analytics::{PeriodBody, read};
use super::asker::Asker;
use super::docs::{AdminProblems, PeriodProblems};
use super::problem::Problem;

/// The current clock hour.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentHourBody {
    otp_requests: u64,
    otp_verifications: u64,
    /// Users that signed in in this hour.
    active_users: u64,
}

/// The current clock hour and the 23 before.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastDayBody {
    otp_requests: u64,
    otp_verifications: u64,
    successful_logins: u64,
    failed_attempts: u64,
    emails_sent: u64,
    new_users: u64,
    api_calls: u64,
}

/// Response times in milliseconds; `p50`, `p95` and `p99` are right to within 3.2 %.
#[derive(Serialize, ToSchema)]
pub struct TimesBody {
    avg: f64,
    p50: f64,
    p95: f64,
    p99: f64,
}

impl From<RouteTimes> for TimesBody {
    fn from(times: RouteTimes) -> Self {
        Self { avg: times.avg, p50: times.p50, p95: times.p95, p99: times.p99 }
    }
}

/// What is going on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RealtimeBody {
    success: bool,
    current_hour: CurrentHourBody,
    last_24_hours: LastDayBody,
    /// By route, of the current clock hour and the one before.
    response_time_metrics: BTreeMap<String, TimesBody>,
    /// Calls answered with an error among all, 0 to 1, of the current clock hour and the one before; null without a call.
    error_rate: Option<f64>,
    #[schema(format = DateTime)]
    last_updated: String,
}

impl From<Realtime> for RealtimeBody {
    fn from(now: Realtime) -> Self {
        let (hour, day) = (now.current_hour, now.last_24_hours);
        Self {
            success: true,
            current_hour: CurrentHourBody {
                otp_requests: hour.otp_requests,
                otp_verifications: hour.otp_verifications,
                active_users: hour.hourly_users,
            },
            last_24_hours: LastDayBody {
                otp_requests: day.otp_requests,
                otp_verifications: day.otp_verifications,
                successful_logins: day.successful_logins,
                failed_attempts: day.failed_attempts,
                emails_sent: day.emails_sent,
                new_users: day.new_users,
                api_calls: day.api_calls,
            },
            response_time_metrics: now.response_times.into_iter().map(|(route, times)| (route, times.into())).collect(),
            error_rate: now.error_rate,
            last_updated: now.at.to_string(),
        }
    }
}

/// What is going on. Calls and response times are at most a few seconds behind.
#[utoipa::path(
    get, path = "/admin/analytics/realtime", operation_id = "realtimeAnalytics", tag = "Customers",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "As of now, in the mode of the key.", body = RealtimeBody), AdminProblems)
)]
pub async fn realtime(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<RealtimeBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.realtime(&caller).await?.into()))
}

/// Which period is wanted.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ErrorsQuery {
    /// The first day, at most 400 days before the last; 29 days before it, if left out.
    #[param(example = "2026-01-01")]
    start_date: Option<String>,
    /// The last day, included; today, if left out.
    #[param(example = "2026-01-31")]
    end_date: Option<String>,
    /// IANA name of the time zone whose days are meant, if its days begin at full hours of UTC.
    #[param(default = "UTC")]
    timezone: Option<String>,
}

/// Errors by category.
#[derive(Serialize, ToSchema)]
pub struct CategoriesBody {
    validation: u64,
    authentication: u64,
    rate_limit: u64,
    quota: u64,
    email_delivery: u64,
    internal: u64,
}

/// One error.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody {
    #[schema(example = "authentication")]
    category: &'static str,
    /// The stable code.
    #[schema(example = "otp_invalid")]
    message: String,
    /// The route.
    #[schema(example = "verify-otp")]
    endpoint: String,
    #[schema(format = DateTime)]
    timestamp: String,
}

impl From<CallError> for ErrorBody {
    fn from(error: CallError) -> Self {
        Self {
            category: error.category.as_str(),
            message: error.code,
            endpoint: error.route,
            timestamp: error.at.to_string(),
        }
    }
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorsBody {
    success: bool,
    period: PeriodBody,
    total: u64,
    by_category: CategoriesBody,
    /// By route.
    by_endpoint: BTreeMap<String, u64>,
    /// The last hundred, newest first, also from before the period.
    recent_errors: Vec<ErrorBody>,
}

impl From<ErrorReport> for ErrorsBody {
    fn from(report: ErrorReport) -> Self {
        let of = |category: ErrorCategory| report.by_category.get(&category).copied().unwrap_or(0);
        Self {
            success: true,
            total: report.total,
            by_category: CategoriesBody {
                validation: of(ErrorCategory::Validation),
                authentication: of(ErrorCategory::Authentication),
                rate_limit: of(ErrorCategory::RateLimit),
                quota: of(ErrorCategory::Quota),
                email_delivery: of(ErrorCategory::EmailDelivery),
                internal: of(ErrorCategory::Internal),
            },
            by_endpoint: report.by_route,
            recent_errors: report.recent.into_iter().map(ErrorBody::from).collect(),
            period: report.period.into(),
        }
    }
}

/// What went wrong in a period: errors of your calls, and messages that could not be sent.
#[utoipa::path(
    get, path = "/admin/analytics/errors", operation_id = "errorAnalytics", tag = "Customers", params(ErrorsQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The errors, in the mode of the key.", body = ErrorsBody),
        AdminProblems, PeriodProblems,
    )
)]
pub async fn errors(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<ErrorsQuery>, QueryRejection>,
) -> Result<Json<ErrorsBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let ErrorsQuery { start_date, end_date, timezone } = read(query)?;
    let query = PeriodQuery { start_date, end_date, granularity: None, timezone };
    Ok(Json(app.service.errors(&caller, &query).await?.into()))
}
