//! What surrounds every request: its id, CORS for end users' routes, security headers, counting.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use otp_core::SystemRandom;
use tokio::time::Instant;
use tracing::Instrument;

use super::App;
use super::calls::CallOf;
use super::problem::ProblemCode;

/// The request's id, in its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task works on.
pub fn current_request_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs a request inside all of it.
pub async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = request_id(&app, request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let call = CallOf::default();
    request.extensions_mut().insert(call.clone());
    let (is_shared, origin) = (is_shared(&request), cross_origin(&request));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // The clock of the service counts milliseconds, which is too coarse for an answer.
    let started = Instant::now();
    let span = tracing::info_span!("request", %id, %method, route = route.as_deref().unwrap_or("-"));
    let mut response = match origin.is_some() && is_preflight(&request) {
        true => preflight(),
        false => CURRENT.scope(id.clone(), next.run(request)).instrument(span.clone()).await,
    };
    let took = started.elapsed();
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), ?took, "answered"));
    call.note(&app, &method, route.as_deref(), &response, took);
    app.metrics.request(route.as_deref().unwrap_or("-"), &method, response.status().as_u16(), took);
    if is_shared {
        // Also without an origin: a cache must not give that answer to a browser that has one.
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    }
    finish(&mut response, &id, origin);
    response
}

/// Taken from the request where it is short and plain, else made.
fn request_id(app: &App, headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
    let made = || otp_core::RequestId::new(app.service.now(), &SystemRandom).to_string();
    given.map_or_else(made, str::to_owned)
}

/// Whether the pages of other origins may call the route.
fn is_shared(request: &Request) -> bool {
    let path = request.uri().path();
    path.starts_with("/auth/") || path == "/.well-known/jwks.json"
}

/// The origin to answer to.
fn cross_origin(request: &Request) -> Option<HeaderValue> {
    request.headers().get(header::ORIGIN).filter(|_| is_shared(request)).cloned()
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// A preflight carries no key, so it cannot know whose origins count: it lets every origin ask. The request itself is
/// where the origin is enforced.
fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, x-otp-api-key, idempotency-key, x-request-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn finish(response: &mut Response, id: &str, origin: Option<HeaderValue>) {
    let refused = response.extensions().get::<ProblemCode>() == Some(&ProblemCode("origin_not_allowed"));
    let headers = response.headers_mut();
    if let Some(origin) = origin.filter(|_| !refused) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = "x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after, \
                       idempotent-replayed";
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
