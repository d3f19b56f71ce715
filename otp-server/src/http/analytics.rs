//! `/admin/analytics`: what happened in a period.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use otp_core::Report;
use otp_core::message::Channel;
use otp_core::metrics::{Funnel, Metrics};
use otp_core::period::{Period, PeriodQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::asker::Asker;
use super::csv::{Format, Table};
use super::docs::{AdminProblems, PeriodProblems};
use super::problem::Problem;

/// Which period is wanted, and how.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct AnalyticsQuery {
    /// The first day, at most 400 days before the last; 29 days before it, if left out.
    #[param(example = "2026-01-01")]
    start_date: Option<String>,
    /// The last day, included; today, if left out.
    #[param(example = "2026-01-31")]
    end_date: Option<String>,
    /// `hour` (up to 31 days), `day` or `month`.
    #[param(default = "day", example = "day")]
    granularity: Option<String>,
    /// IANA name of the time zone whose days are meant, if its days begin at full hours of UTC.
    #[param(default = "UTC", example = "Europe/Berlin")]
    timezone: Option<String>,
    /// `json` or `csv`: the parts as a table.
    #[param(default = "json")]
    format: Option<String>,
}

/// What a query says.
pub fn read<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let unread = |_| Problem::field("invalid_field", "query", "name each parameter once, percent-encoded in UTF-8");
    query.map(|Query(query)| query).map_err(unread)
}

/// The days of a report, both included.
#[derive(Serialize, ToSchema)]
pub struct PeriodBody {
    #[schema(example = "2026-01-01")]
    start: String,
    #[schema(example = "2026-01-31")]
    end: String,
}

impl From<Period> for PeriodBody {
    fn from(period: Period) -> Self {
        Self { start: period.start, end: period.end }
    }
}

macro_rules! metrics_body {
    ($(#[$about:meta])* $name:ident $(, $(#[$told:meta])* $extra:ident)?) => {
        $(#[$about])*
        #[derive(Serialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$told])* $extra: String,)?
            /// Codes asked for.
            otp_requests: u64,
            /// Guesses judged.
            otp_verifications: u64,
            /// Right guesses.
            successful_logins: u64,
            /// Wrong guesses.
            failed_attempts: u64,
            /// Right guesses among those judged, 0 to 1; null if none was.
            success_rate: Option<f64>,
            /// Milliseconds that a call of the API took; null without a call.
            average_response_time: Option<f64>,
            /// Mails a provider took.
            emails_sent: u64,
            /// Those among the mails taken or given up, 0 to 1; null if there were none.
            email_delivery_rate: Option<f64>,
            /// Users that signed in, each once: exact up to 10,000, then within about 1 %. Null where the part is no whole
            /// days in UTC and no hour.
            unique_users: Option<u64>,
            /// Users that verified for the first time.
            new_users: u64,
        }

        impl $name {
            fn new(metrics: &Metrics $(, $extra: String)?) -> Self {
                Self {
                    $($extra,)?
                    otp_requests: metrics.otp_requests,
                    otp_verifications: metrics.otp_verifications,
                    successful_logins: metrics.successful_logins,
                    failed_attempts: metrics.failed_attempts,
                    success_rate: metrics.success_rate(),
                    average_response_time: metrics.average_response_time(),
                    emails_sent: metrics.emails_sent,
                    email_delivery_rate: metrics.email_delivery_rate(),
                    unique_users: metrics.unique_users,
                    new_users: metrics.new_users,
                }
            }
        }
    };
}

metrics_body! {
    /// What was counted in a period.
    MetricsBody
}
metrics_body! {
    /// What was counted in a part of it.
    PartBody,
    /// The day, the month, or the time at which the hour begins.
    #[schema(example = "2026-01-31")]
    date
}

/// How far the codes of one channel came.
#[derive(Serialize, ToSchema)]
pub struct FunnelBody {
    /// Codes asked for.
    requested: u64,
    /// Messages a provider took.
    sent: u64,
    /// Right guesses.
    verified: u64,
}

impl From<Funnel> for FunnelBody {
    fn from(funnel: Funnel) -> Self {
        Self { requested: funnel.requested, sent: funnel.sent, verified: funnel.verified }
    }
}

/// How far codes came, by channel.
#[derive(Serialize, ToSchema)]
pub struct FunnelsBody {
    email: FunnelBody,
    sms: FunnelBody,
    whatsapp: FunnelBody,
}

/// What happened in a period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyticsBody {
    success: bool,
    period: PeriodBody,
    metrics: MetricsBody,
    funnel: FunnelsBody,
    /// Its hours, days or months.
    daily_breakdown: Vec<PartBody>,
}

impl From<Report> for AnalyticsBody {
    fn from(report: Report) -> Self {
        let Report { period, whole, windows } = report;
        let funnel = |channel| FunnelBody::from(whole.funnel(channel));
        let parts = period.windows.iter().zip(&windows);
        Self {
            success: true,
            metrics: MetricsBody::new(&whole),
            funnel: FunnelsBody {
                email: funnel(Channel::Email),
                sms: funnel(Channel::Sms),
                whatsapp: funnel(Channel::Whatsapp),
            },
            daily_breakdown: parts.map(|(window, metrics)| PartBody::new(metrics, window.label.clone())).collect(),
            period: period.into(),
        }
    }
}

const COLUMNS: [&str; 11] = [
    "date",
    "otpRequests",
    "otpVerifications",
    "successfulLogins",
    "failedAttempts",
    "successRate",
    "averageResponseTime",
    "emailsSent",
    "emailDeliveryRate",
    "uniqueUsers",
    "newUsers",
];

fn table(parts: &[PartBody]) -> Table {
    let rate = |rate: Option<f64>| rate.map(|rate| rate.to_string()).unwrap_or_default();
    let mut table = Table::new(&COLUMNS);
    for part in parts {
        table.row([
            part.date.clone(),
            part.otp_requests.to_string(),
            part.otp_verifications.to_string(),
            part.successful_logins.to_string(),
            part.failed_attempts.to_string(),
            rate(part.success_rate),
            rate(part.average_response_time),
            part.emails_sent.to_string(),
            rate(part.email_delivery_rate),
            part.unique_users.map(|users| users.to_string()).unwrap_or_default(),
            part.new_users.to_string(),
        ]);
    }
    table
}

/// What happened in a period.
#[utoipa::path(
    get, path = "/admin/analytics", operation_id = "analytics", tag = "Customers", params(AnalyticsQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "The report, in the mode of the key.", content(
            (AnalyticsBody = "application/json"), (String = "text/csv; charset=utf-8"),
        )),
        AdminProblems, PeriodProblems,
    )
)]
pub async fn analytics(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<AnalyticsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let AnalyticsQuery { start_date, end_date, granularity, timezone, format } = read(query)?;
    let format = Format::parse(format.as_deref())?;
    let query = PeriodQuery { start_date, end_date, granularity, timezone };
    let body = AnalyticsBody::from(app.service.analytics(&caller, &query).await?);
    Ok(match format {
        Format::Json => Json(body).into_response(),
        Format::Csv => table(&body.daily_breakdown).into_response(),
    })
}
