//! `/callbacks`: services tell what became of messages. What they sign is all that they show.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use futures_util::{StreamExt, TryStreamExt, stream};
use otp_core::delivery::Recorded;
use otp_core::store::StoreError;
use otp_core::{Error, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::body;
use super::docs::CallbackProblems;
use super::path::Named;
use super::problem::Problem;
use crate::callbacks::{Arrived, CallbackVerifier, Refused, Told};

/// SendGrid tells of up to a thousand events at once.
const LARGEST: usize = 1024 * 1024;
/// Things told at once that are written down at the same time.
const AT_ONCE: usize = 16;
/// The name that services of the installation may use in the place of a customer's.
const INSTALLATION: &str = "installation";

/// What came of it.
#[derive(Serialize, ToSchema)]
pub struct CallbackBody {
    success: bool,
    /// What was new.
    recorded: usize,
    /// What was known, of nobody here, or of no interest.
    ignored: usize,
}

/// Takes what a service tells of messages: what became of them, and who wants no more. The service shows that it is the one
/// by its signature. What it tells again, or of messages that are not here or not the customer's, is answered as well: it would
/// be told for ever otherwise.
#[utoipa::path(
    post, path = "/callbacks/{service}/{customerId}", operation_id = "receiveCallback", tag = "Messages", security(()),
    params(
        ("service" = String, Path, description = "`resend`, `sendgrid`, `ses`, `twilio` or `gateway`."),
        ("customerId" = String, Path, description = "The customer whose messages it tells of; `installation` for all."),
    ),
    request_body(content = String, description = "As the service sends it.", content_type = "*/*"),
    responses((status = 200, description = "It was understood.", body = CallbackBody), CallbackProblems)
)]
pub async fn receive(
    State(app): State<Arc<App>>,
    Named((service, customer)): Named<(String, String)>,
    request: Request,
) -> Result<Json<CallbackBody>, Problem> {
    let not_found = || Problem::not_found("callback");
    let customer = match customer.as_str() {
        INSTALLATION => None,
        id => Some(id.parse::<TenantId>().map_err(|_| not_found())?),
    };
    let _place = app.callbacks.places.try_acquire().map_err(|_| Error::Store(StoreError::Busy))?;
    let own = match customer {
        Some(tenant) => app.service.own_providers(tenant).await?,
        None => Arc::default(),
    };
    let verifiers = app.callbacks.verifiers(&own, &service);
    let name = verifiers.first().map(|verifier| verifier.service()).ok_or_else(not_found)?;
    let told = verified(&app, &verifiers, request).await.inspect_err(|_| app.metrics.callback(name, "refused"))?;
    let notes = stream::iter(told).map(|told| note(&app, customer, told));
    let noted: Vec<&'static str> = notes.buffer_unordered(AT_ONCE).try_collect().await?;
    noted.iter().for_each(|outcome| app.metrics.callback(name, outcome));
    let recorded = noted.iter().filter(|outcome| **outcome == NEW).count();
    Ok(Json(CallbackBody { success: true, recorded, ignored: noted.len() - recorded }))
}

const NEW: &str = "recorded";
const REPEATED: &str = "repeated";
const UNKNOWN: &str = "unknown";

async fn verified(app: &App, verifiers: &[Arc<CallbackVerifier>], request: Request) -> Result<Vec<Told>, Problem> {
    let target = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let headers = request.headers().clone();
    let body = body::read(request, LARGEST).await?;
    let arrived = Arrived { target: &target, headers: &headers, body: &body, now: app.service.now() };
    for verifier in verifiers {
        match verifier.verify(&arrived).await {
            Err(Refused::Forged) => continue,
            told => return told.map_err(problem),
        }
    }
    Err(problem(Refused::Forged))
}

fn problem(refused: Refused) -> Problem {
    let of = Problem::new;
    match refused {
        Refused::Forged => {
            let detail = "this is not signed by the service; check its secret, the URL it calls and the clock";
            of(StatusCode::FORBIDDEN, "invalid_signature", detail)
        }
        Refused::Unreadable => of(StatusCode::BAD_REQUEST, "invalid_request", "this is not what the service sends"),
        Refused::Unavailable => {
            let detail = "the signature cannot be checked now; tell it again";
            of(StatusCode::SERVICE_UNAVAILABLE, "callback_unavailable", detail)
        }
    }
}

async fn note(app: &App, customer: Option<TenantId>, told: Told) -> Result<&'static str, Problem> {
    let noted = match told {
        Told::Fate { customer: told, report } => match owner(customer, told) {
            Some(tenant) => app.service.record_delivery(tenant, report).await,
            None => Ok(Recorded::Unknown),
        },
        Told::OptedOut(number) => match customer {
            Some(tenant) => app.service.opt_out(tenant, number, "twilio").await.map(|()| Recorded::New),
            None => Ok(Recorded::Unknown),
        },
        Told::OptedIn(number) => match customer {
            Some(tenant) => app.service.opt_in(tenant, number).await.map(|()| Recorded::New),
            None => Ok(Recorded::Unknown),
        },
        Told::Stray => Ok(Recorded::Unknown),
    };
    match noted {
        Ok(Recorded::New) => Ok(NEW),
        Ok(Recorded::Repeated) => Ok(REPEATED),
        Ok(Recorded::Unknown) | Err(Error::NotFound(_)) => Ok(UNKNOWN),
        Err(error) => Err(error.into()),
    }
}

/// Whose message it is, by the path and by what the message carried. The two have to agree.
fn owner(path: Option<TenantId>, carried: Option<TenantId>) -> Option<TenantId> {
    match (path, carried) {
        (Some(path), Some(carried)) => (path == carried).then_some(path),
        (path, carried) => path.or(carried),
    }
}
