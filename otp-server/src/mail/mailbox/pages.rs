//! The mailbox over HTTP. It shows codes, so it answers to loopback names only.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{Stream, stream};
use otp_core::{MessageId, Secret};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::error::RecvError;

use super::{Change, Mail, Mailbox};

const PAGE: &str = include_str!("../../../assets/mailbox.html");
/// What a mail's HTML may do: look like something, and have links that open elsewhere.
const MAIL_POLICY: &str =
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
/// Some proxies close a stream that is silent for half a minute.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// Browsers drop an event whose data is empty.
const NO_DATA: &str = "null";

/// The pages under `/dev/mailbox`. Requests for any host but a loopback name or address are refused, because a name that
/// someone else controls can be pointed at this machine.
pub fn routes(mailbox: Arc<Mailbox>) -> Router {
    let policy = page_policy();
    let page = move || async move { ([(CONTENT_SECURITY_POLICY, policy)], Html(PAGE)) };
    Router::new()
        .route("/dev/mailbox", get(page))
        .route("/dev/mailbox/messages", get(list).delete(clear))
        .route("/dev/mailbox/messages/{id}/html", get(html))
        .route("/dev/mailbox/events", get(events))
        .layer(middleware::from_fn(guard))
        .with_state(mailbox)
}

/// Names the page's own script and style by their hashes, so that nothing else runs in it.
fn page_policy() -> HeaderValue {
    let hash = |tag: &str| {
        let (_, rest) = PAGE.split_once(&format!("<{tag}>")).expect("the page has the element");
        let (content, _) = rest.split_once(&format!("</{tag}>")).expect("the element ends");
        BASE64_STANDARD.encode(Sha256::digest(content))
    };
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; frame-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    );
    policy.try_into().expect("base64 and ASCII")
}

async fn guard(request: Request, next: Next) -> Response {
    let mut response = match is_for_loopback(&request) {
        true => next.run(request).await,
        false => refusal(),
    };
    let headers = response.headers_mut();
    let always: [(HeaderName, &str); 5] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "SAMEORIGIN"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// HTTP/2 sends the host as a part of the address; where both are there, both count.
fn is_for_loopback(request: &Request) -> bool {
    let address = request.uri().authority().map(|authority| authority.as_str());
    match (address, host(request.headers())) {
        (_, Err(())) | (None, Ok(None)) => false,
        (address, Ok(header)) => address.into_iter().chain(header).all(is_loopback),
    }
}

fn host(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().map(|host| host.to_str().map_err(drop)).transpose()?;
    if hosts.next().is_some() { Err(()) } else { Ok(host) }
}

/// Whether `host`, or `host:port`, is `localhost`, a name under it, or a loopback address.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return ip.to_canonical().is_loopback();
    }
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn refusal() -> Response {
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "The mailbox is open to this machine only: use localhost or 127.0.0.1 in the address.",
        "success": false,
        "code": "loopback_only",
    });
    (StatusCode::FORBIDDEN, [(CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}

/// A mail as the page gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MailView<'a> {
    id: MessageId,
    channel: &'static str,
    to: &'a str,
    from: &'a str,
    subject: &'a str,
    text: &'a str,
    has_html: bool,
    code: Option<&'a str>,
    received_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sms: Option<SmsView>,
}

/// What a text message comes to.
#[derive(Serialize)]
struct SmsView {
    encoding: &'static str,
    segments: u32,
}

impl<'a> From<&'a Mail> for MailView<'a> {
    fn from(mail: &'a Mail) -> Self {
        Self {
            id: mail.id,
            channel: mail.channel.as_str(),
            to: &mail.to,
            from: &mail.from,
            subject: &mail.subject,
            text: &mail.text,
            has_html: mail.html.is_some(),
            code: mail.code.as_ref().map(Secret::expose),
            received_at: mail.received_at.to_string(),
            expires_at: mail.expires_at.to_string(),
            sms: mail.segments().map(|of| SmsView { encoding: of.encoding.as_str(), segments: of.count }),
        }
    }
}

async fn list(State(mailbox): State<Arc<Mailbox>>) -> Response {
    let mails = mailbox.mails();
    Json(mails.iter().map(|mail| MailView::from(&**mail)).collect::<Vec<_>>()).into_response()
}

async fn clear(State(mailbox): State<Arc<Mailbox>>) -> StatusCode {
    mailbox.clear();
    StatusCode::NO_CONTENT
}

async fn html(State(mailbox): State<Arc<Mailbox>>, Path(id): Path<String>) -> Response {
    let mail = id.parse().ok().and_then(|id| mailbox.mail(id));
    match mail.and_then(|mail| mail.html.clone()) {
        Some(html) => ([(CONTENT_SECURITY_POLICY, MAIL_POLICY)], Html(html)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `mail` with a mail that has arrived, `emptied`, and `behind` when the watcher has to read the list again. The stream ends
/// when the mailbox is closed.
async fn events(State(mailbox): State<Arc<Mailbox>>) -> impl IntoResponse {
    Sse::new(changes(&mailbox)).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE))
}

fn changes(mailbox: &Mailbox) -> impl Stream<Item = Result<Event, axum::Error>> + use<> {
    stream::unfold(mailbox.watch(), |watch| async move {
        let mut watch = watch?;
        let event = match watch.recv().await {
            Ok(Change::Arrived(mail)) => Event::default().event("mail").json_data(MailView::from(&*mail)),
            Ok(Change::Emptied) => Ok(Event::default().event("emptied").data(NO_DATA)),
            Err(RecvError::Lagged(_)) => Ok(Event::default().event("behind").data(NO_DATA)),
            Err(RecvError::Closed) => return None,
        };
        Some((event, Some(watch)))
    })
}
