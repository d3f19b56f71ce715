//! `/admin/domains`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::DomainView;
use otp_core::domain::{DomainName, DomainStatus, Fact, MailReport};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::auth::mark_replay;
use super::body::Unread;
use super::docs::{
    AdminProblems, ConflictProblems, DnsProblems, LimitProblems, NamedProblems, OnceHeader, OnceProblems,
    SelectorProblems, WriteProblems,
};
use super::path::Named;
use super::problem::Problem;
use super::sessions::Done;

/// Seconds that the record may be kept in caches: short enough to put a mistake right.
const TTL: u32 = 300;

/// A DNS record to be published.
#[derive(Serialize, ToSchema)]
pub struct DnsRecord {
    #[serde(rename = "type")]
    #[schema(example = "TXT")]
    record_type: &'static str,
    #[schema(example = "_otpauth-verify.acme.com")]
    name: String,
    #[schema(example = "otpauth-verify=6d7c2f0a41b95e83d20c7f116ab04e9985c3d7f2")]
    value: String,
    /// Seconds; any other will do.
    #[schema(example = 300)]
    ttl: u32,
}

/// A sender domain.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainBody {
    /// Left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    #[schema(example = "acme.com")]
    domain: String,
    /// `pending`, `verified`, `lost` (the record is gone, mail may come from it until `expiresAt`) or `expired`.
    #[schema(example = "pending")]
    status: &'static str,
    dns_record: DnsRecord,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    verified_at: Option<String>,
    /// When it expires unless the record is found; null while the record is there.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When the record was last looked up.
    #[schema(format = DateTime)]
    checked_at: Option<String>,
    /// What was looked up last and found instead of the record.
    problem: Option<String>,
    /// What to do next.
    instructions: String,
    /// What the DNS says about mail from it; in the answer about its status only.
    #[serde(skip_serializing_if = "Option::is_none")]
    spf: Option<RecordFact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dmarc: Option<DmarcFact>,
    /// One entry for each `selector` asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    dkim: Option<Vec<DkimFact>>,
}

/// A record that may be published.
#[derive(Serialize, ToSchema)]
pub struct RecordFact {
    /// Null when the DNS gave no answer: it is unknown.
    found: Option<bool>,
    record: Option<String>,
    /// Why it is unknown.
    problem: Option<String>,
}

/// A DMARC policy that may be published.
#[derive(Serialize, ToSchema)]
pub struct DmarcFact {
    /// Null when the DNS gave no answer: it is unknown.
    found: Option<bool>,
    /// `none`, `quarantine` or `reject`, by the domain itself or the registered one above it.
    policy: Option<String>,
    record: Option<String>,
    /// Why it is unknown.
    problem: Option<String>,
}

/// A DKIM key that may be published.
#[derive(Serialize, ToSchema)]
pub struct DkimFact {
    selector: String,
    /// Null when the DNS gave no answer: it is unknown. A key that was revoked counts as missing.
    found: Option<bool>,
    /// Why it is unknown.
    problem: Option<String>,
}

/// Whether it is there, what is there, and why that is unknown.
fn told<T>(fact: Fact<T>) -> (Option<bool>, Option<T>, Option<String>) {
    match fact {
        Fact::Found(found) => (Some(true), Some(found), None),
        Fact::Missing => (Some(false), None, None),
        Fact::Unknown { reason } => (None, None, Some(format!("unknown: {reason}"))),
    }
}

impl DomainBody {
    fn listed(view: DomainView) -> Self {
        Self {
            success: None,
            status: view.status.as_str(),
            instructions: instructions(&view),
            dns_record: DnsRecord { record_type: "TXT", name: view.record_name, value: view.record_value, ttl: TTL },
            domain: view.name.to_string(),
            created_at: view.created_at.to_string(),
            verified_at: view.verified_at.map(|at| at.to_string()),
            expires_at: view.expires_at.map(|at| at.to_string()),
            checked_at: view.checked_at.map(|at| at.to_string()),
            problem: view.problem,
            spf: None,
            dmarc: None,
            dkim: None,
        }
    }

    fn with(self, report: MailReport) -> Self {
        let (found, record, problem) = told(report.spf);
        let spf = RecordFact { found, record, problem };
        let (found, dmarc, problem) = told(report.dmarc);
        let (policy, record) = dmarc.map(|dmarc| (dmarc.policy, dmarc.record)).unzip();
        let dmarc = DmarcFact { found, policy, record, problem };
        let key = |(selector, fact)| {
            let (found, _, problem) = told(fact);
            DkimFact { selector: ToString::to_string(&selector), found, problem }
        };
        let dkim = report.dkim.into_iter().map(key).collect();
        Self { spf: Some(spf), dmarc: Some(dmarc), dkim: Some(dkim), ..self }
    }
}

impl From<DomainView> for DomainBody {
    fn from(view: DomainView) -> Self {
        Self { success: Some(true), ..Self::listed(view) }
    }
}

fn instructions(view: &DomainView) -> String {
    let DomainView { name, record_name, record_value, .. } = view;
    match view.status {
        DomainStatus::Pending | DomainStatus::Lost => format!(
            "Publish a TXT record named {record_name} with the value {record_value}, then POST \
             /admin/domains/{name}/verify. Keep the record: it is looked up every day."
        ),
        DomainStatus::Verified => format!("Keep the TXT record {record_name}: it is looked up every day."),
        DomainStatus::Expired => {
            "Add the domain again by POST /admin/domains/verify: the record then needs a new value.".to_owned()
        }
    }
}

/// The domain that a path names; what is no name is the name of nothing.
fn named(name: &str) -> Result<DomainName, Problem> {
    name.parse().map_err(|_| Problem::not_found("domain"))
}

/// A domain to be verified.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDomainBody {
    /// A registered domain or one below it, without scheme, path or dot at its end.
    #[schema(example = "acme.com")]
    domain: String,
}

/// Adds a domain, or gives the one that is there, with the record to publish within seven days.
#[utoipa::path(
    post, path = "/admin/domains/verify", operation_id = "addDomain", tag = "Domains", request_body = NewDomainBody,
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(OnceHeader),
    responses(
        (status = 200, description = "It was there already.", body = DomainBody),
        (status = 201, description = "It was added.", body = DomainBody),
        ConflictProblems, AdminProblems, WriteProblems, OnceProblems, DnsProblems,
    )
)]
pub async fn add(State(app): State<Arc<App>>, asker: Asker, body: Unread<NewDomainBody>) -> Result<Response, Problem> {
    let caller = asker.secret_key(&app).await?;
    let body = body.read().await?;
    let idempotency = asker.idempotency(&body.raw)?;
    let answer = app.service.add_domain(&caller, &body.value.domain, idempotency).await?;
    let status = if answer.value.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(DomainBody::from(answer.value.domain))).into_response();
    mark_replay(&mut response, answer.replayed);
    Ok(response)
}

/// Looks the record up now, at most every ten seconds. If it is not there, `status` stays and `problem` tells what is.
#[utoipa::path(
    post, path = "/admin/domains/{domain}/verify", operation_id = "checkDomain", tag = "Domains",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("domain" = String, Path, description = "The domain.")),
    responses(
        (status = 200, description = "The domain after the look-up.", body = DomainBody),
        NamedProblems, ConflictProblems, AdminProblems, LimitProblems, DnsProblems,
    )
)]
pub async fn check(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(name): Named<String>,
) -> Result<Json<DomainBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    Ok(Json(app.service.check_domain(&caller, &named(&name)?).await?.into()))
}

/// How a domain stands, and what the DNS says now about mail from it: SPF, DMARC, and the DKIM keys asked about.
#[utoipa::path(
    get, path = "/admin/domains/{domain}/status", operation_id = "domainStatus", tag = "Domains",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(
        ("domain" = String, Path, description = "The domain."),
        ("selector" = Option<Vec<String>>, Query, description = "A DKIM selector, as in `s1`; up to ten."),
    ),
    responses(
        (status = 200, description = "The domain.", body = DomainBody),
        NamedProblems, AdminProblems, SelectorProblems, DnsProblems,
    )
)]
pub async fn status(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(name): Named<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<DomainBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let name = named(&name)?;
    let query = query.unwrap_or_default();
    let selectors = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "selector");
    let selectors: Vec<String> = selectors.map(|(_, selector)| selector.into_owned()).collect();
    let report = app.service.mail_report(&caller, &name, &selectors).await?;
    Ok(Json(DomainBody::from(app.service.domain(&caller, &name).await?).with(report)))
}

/// The domains of a customer.
#[derive(Serialize, ToSchema)]
pub struct DomainsBody {
    success: bool,
    domains: Vec<DomainBody>,
}

/// Lists the customer's domains, newest first; there are a hundred at most.
#[utoipa::path(
    get, path = "/admin/domains", operation_id = "listDomains", tag = "Domains",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    responses((status = 200, description = "The domains.", body = DomainsBody), AdminProblems)
)]
pub async fn list(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<DomainsBody>, Problem> {
    let caller = asker.secret_key(&app).await?;
    let domains = app.service.domains(&caller).await?.into_iter().map(DomainBody::listed).collect();
    Ok(Json(DomainsBody { success: true, domains }))
}

/// Deletes a domain, at once.
#[utoipa::path(
    delete, path = "/admin/domains/{domain}", operation_id = "deleteDomain", tag = "Domains",
    security(("apiKey" = []), ("apiKeyHeader" = [])),
    params(("domain" = String, Path, description = "The domain.")),
    responses((status = 200, description = "Deleted.", body = Done), NamedProblems, AdminProblems)
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(name): Named<String>,
) -> Result<Json<Done>, Problem> {
    let caller = asker.secret_key(&app).await?;
    app.service.delete_domain(&caller, &named(&name)?).await?;
    Ok(Done::saying("Domain deleted"))
}
