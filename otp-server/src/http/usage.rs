//! `/admin/customers/me/usage` and `/admin/customers/me/plan`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use otp_core::metrics::Metrics;
use otp_core::plan::{Feature, Plan};
use otp_core::{PlanView, QuotaUse, Timestamp, UsageDay, UsageView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::analytics::read;
use super::asker::Asker;
use super::csv::{Format, Table};
use super::docs::{AdminProblems, QueryProblems};
use super::problem::Problem;

/// How it is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// `json` or `csv`: the days as a table.
    #[param(default = "json")]
    format: Option<String>,
}

/// What was used in a day or a month, in UTC.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageDayBody {
    customer_id: String,
    /// `2026-01-31`, or `2026-01` of a month.
    #[schema(example = "2026-01-31")]
    date: String,
    /// Codes asked for.
    otp_requests: u64,
    /// Guesses judged.
    otp_verifications: u64,
    /// Right guesses.
    successful_logins: u64,
    /// Wrong guesses.
    failed_attempts: u64,
    /// Mails a provider took.
    emails_sent: u64,
    /// Calls of the API.
    api_calls: u64,
    /// Bytes of all records of the customer, in both modes, as measured last; null before the first time.
    storage_used: Option<u64>,
    /// Until when it is counted.
    #[schema(format = DateTime)]
    last_updated: String,
}

impl UsageDayBody {
    fn new(customer_id: String, date: String, metrics: &Metrics, storage: Option<u64>, until: Timestamp) -> Self {
        Self {
            customer_id,
            date,
            otp_requests: metrics.otp_requests,
            otp_verifications: metrics.otp_verifications,
            successful_logins: metrics.successful_logins,
            failed_attempts: metrics.failed_attempts,
            emails_sent: metrics.emails_sent,
            api_calls: metrics.api_calls,
            storage_used: storage,
            last_updated: until.to_string(),
        }
    }

    fn cells(&self) -> [String; 10] {
        [
            self.customer_id.clone(),
            self.date.clone(),
            self.otp_requests.to_string(),
            self.otp_verifications.to_string(),
            self.successful_logins.to_string(),
            self.failed_attempts.to_string(),
            self.emails_sent.to_string(),
            self.api_calls.to_string(),
            self.storage_used.map(|bytes| bytes.to_string()).unwrap_or_default(),
            self.last_updated.clone(),
        ]
    }
}

const COLUMNS: [&str; 10] = [
    "customerId",
    "date",
    "otpRequests",
    "otpVerifications",
    "successfulLogins",
    "failedAttempts",
    "emailsSent",
    "apiCalls",
    "storageUsed",
    "lastUpdated",
];

/// What was used of one limit.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaBody {
    /// Null where there is none.
    limit: Option<u64>,
    used: u64,
    /// Null where there is no limit.
    remaining: Option<u64>,
    /// When it is renewed; null where it is not.
    #[schema(format = DateTime)]
    reset_at: Option<String>,
}

impl From<QuotaUse> for QuotaBody {
    fn from(quota: QuotaUse) -> Self {
        Self {
            limit: quota.limit,
            used: quota.used,
            remaining: quota.remaining(),
            reset_at: quota.reset_at.map(|at| at.to_string()),
        }
    }
}

/// What was used of the plan. Test mode has no limits.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotasBody {
    otp_requests_per_day: QuotaBody,
    otp_requests_per_month: QuotaBody,
    users: QuotaBody,
}

/// What was used this month.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageBody {
    success: bool,
    today: UsageDayBody,
    month: UsageDayBody,
    quotas: QuotasBody,
    /// The days of the month up to today.
    usage: Vec<UsageDayBody>,
    /// When `storageUsed` was measured last.
    #[schema(format = DateTime)]
    storage_measured_at: Option<String>,
}

impl UsageBody {
    /// Of a month without a day there is nothing to tell.
    fn of(view: UsageView) -> Option<Self> {
        let customer = view.tenant.to_string();
        let day = |day: &UsageDay| {
            let UsageDay { date, metrics, storage_used, last_updated } = day;
            UsageDayBody::new(customer.clone(), date.clone(), metrics, *storage_used, *last_updated)
        };
        let last = view.days.last()?;
        Some(Self {
            success: true,
            today: day(last),
            month: UsageDayBody::new(customer.clone(), view.month, &view.metrics, last.storage_used, last.last_updated),
            quotas: QuotasBody {
                otp_requests_per_day: view.requests_today.into(),
                otp_requests_per_month: view.requests_this_month.into(),
                users: view.users.into(),
            },
            usage: view.days.iter().map(day).collect(),
            storage_measured_at: view.storage_measured_at.map(|at| at.to_string()),
        })
    }
}

/// What the customer has used this month.
#[utoipa::path(
    get, path = "/admin/customers/me/usage", operation_id = "ownUsage", tag = "Customers", params(UsageQuery),
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses(
        (status = 200, description = "In the mode of the key.", content(
            (UsageBody = "application/json"), (String = "text/csv; charset=utf-8"),
        )),
        AdminProblems, QueryProblems,
    )
)]
pub async fn usage(
    State(app): State<Arc<App>>,
    asker: Asker,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let format = Format::parse(read(query)?.format.as_deref())?;
    let view = app.service.usage(&caller).await?;
    let body = UsageBody::of(view).ok_or_else(|| otp_core::Error::Internal("a month without a day".to_owned()))?;
    if format == Format::Json {
        return Ok(Json(body).into_response());
    }
    let mut table = Table::new(&COLUMNS);
    body.usage.iter().for_each(|day| table.row(day.cells()));
    Ok(table.into_response())
}

/// What a plan includes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsBody {
    /// Null without a limit.
    otp_requests_per_day: Option<u64>,
    /// Null without a limit.
    otp_requests_per_month: Option<u64>,
    /// Null without a limit.
    users: Option<u64>,
}

impl From<&Plan> for LimitsBody {
    fn from(plan: &Plan) -> Self {
        Self { otp_requests_per_day: plan.otp_per_day, otp_requests_per_month: plan.otp_per_month, users: plan.users }
    }
}

/// The next plan on offer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextPlanBody {
    plan: String,
    /// Of a month; null by agreement.
    price: Option<u32>,
    quotas: LimitsBody,
    /// What it has and the present plan has not.
    #[schema(value_type = Vec<String>)]
    added_features: Vec<Feature>,
}

/// The customer's plan.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanBody {
    success: bool,
    #[schema(example = "free")]
    plan: String,
    /// Of a month; null by agreement.
    price: Option<u32>,
    quotas: LimitsBody,
    #[schema(value_type = Vec<String>)]
    features: Vec<Feature>,
    /// Null where there is none.
    next_plan: Option<NextPlanBody>,
}

impl From<PlanView> for PlanBody {
    fn from(view: PlanView) -> Self {
        let PlanView { plan, next, added } = view;
        let next_plan = next.map(|next| NextPlanBody {
            quotas: LimitsBody::from(&next),
            plan: next.name,
            price: next.price,
            added_features: added,
        });
        let quotas = LimitsBody::from(&plan);
        Self { success: true, plan: plan.name, price: plan.price, quotas, features: plan.features, next_plan }
    }
}

/// The customer's plan, and what the next one would add.
#[utoipa::path(
    get, path = "/admin/customers/me/plan", operation_id = "ownPlan", tag = "Customers",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The plan.", body = PlanBody), AdminProblems)
)]
pub async fn plan(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<PlanBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.plan(&caller).await?.into()))
}
