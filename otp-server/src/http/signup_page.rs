//! The page behind the link of a signup's mail. Opening it changes nothing: mail programs open links by themselves. Its
//! button confirms, and the page after that shows the key, once.
//!
//! The link's token is in the page and in what the button sends, and in nothing else: no script, no other address, no referrer.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minijinja::{Environment, context};
use otp_core::{ConfirmSignup, Error, SignupSecret};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::form_urlencoded;
use utoipa::IntoParams;

use super::App;
use super::asker::Asker;
use super::body::Unread;
use super::problem::Problem;

const PAGE: &str = include_str!("../../assets/signup.html");

/// Where the page's button leads.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/signup/confirm", post(confirm))
}

/// What the link carries.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Link {
    /// The address that is being confirmed.
    #[serde(default)]
    email: String,
    /// What confirms it.
    #[serde(default)]
    token: String,
}

/// The page behind the link of the mail, for browsers. It changes nothing: its button does.
#[utoipa::path(
    get, path = "/signup/verify", operation_id = "signupPage", tag = "Signup", params(Link), security(()),
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html; charset=utf-8"),
        (status = 400, description = "A page: the link is not whole.", body = String,
            content_type = "text/html; charset=utf-8"),
    )
)]
pub async fn ask(link: Result<Query<Link>, axum::extract::rejection::QueryRejection>) -> Response {
    let Link { email, token } = link.map(|Query(link)| link).unwrap_or_default();
    if email.is_empty() || token.is_empty() {
        return refusal(StatusCode::BAD_REQUEST, "This link is not whole", CUT);
    }
    page(StatusCode::OK, context! { step => "ask", title => "Confirm your address", email, token })
}

const CUT: &str = "Your mail program may have cut it. Copy the whole link from the mail, or enter the code of the mail where you \
                   signed up.";

async fn confirm(State(app): State<Arc<App>>, asker: Asker, headers: HeaderMap, body: Unread<()>) -> Response {
    if is_of_another_site(&headers) {
        let words = "Open the link of the mail and press the button there.";
        return refusal(StatusCode::FORBIDDEN, "This was not sent by our page", words);
    }
    let raw = match body.raw().await {
        Ok(raw) => raw,
        Err(problem) => return refused_as(&problem),
    };
    let field =
        |name: &str| form_urlencoded::parse(&raw).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let (Some(email), Some(token)) = (field("email"), field("token")) else {
        return refusal(StatusCode::BAD_REQUEST, "This link is not whole", CUT);
    };
    let secret = SignupSecret::Token(token);
    let confirm = ConfirmSignup { email, secret, client: asker.client(), idempotency: None };
    let confirmed = match app.service.confirm_signup(confirm).await {
        Ok(answer) => answer.value,
        Err(error) => return refused(error),
    };
    let key = confirmed.api_key.expose();
    let email = confirmed.tenant.email;
    // It stands in a shell's quotes.
    let to = if email.contains(['\'', '\\']) { "you@example.com" } else { &email };
    let values = context! {
        step => "opened", title => format!("{} is ready", confirmed.tenant.name), key, url => app.service.url(),
        to, email, customer => confirmed.tenant.id.to_string(), plan => confirmed.tenant.plan,
    };
    page(StatusCode::OK, values)
}

/// Browsers tell which site's page sent a form. Other pages must not make somebody's browser open an account.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| site != b"same-origin" && site != b"none")
}

fn refused(error: Error) -> Response {
    let (title, words) = match &error {
        Error::OtpNotFound => (
            "The address is confirmed already",
            "The link works once. The API key was shown when it did; if you do not have it, ask whoever runs this \
             installation for another one.",
        ),
        Error::OtpExpired => ("This link is too old", "A link works for 24 hours. Sign up again to get a new one."),
        Error::SignupRefused | Error::Invalid(_) => (
            "This link does not work",
            "A newer mail may have taken its place. Use the link of the newest mail, or sign up again.",
        ),
        Error::RateLimited(_) => ("Too many tries", "Wait an hour and open the link again."),
        Error::SignupClosed => ("Signing up is closed", "Ask whoever runs this installation for an account."),
        _ => ("This does not work right now", "Nothing was changed. Open the link again in a minute."),
    };
    refusal(Problem::from(error).status(), title, words)
}

fn refused_as(problem: &Problem) -> Response {
    refusal(problem.status(), "This link does not work", CUT)
}

fn refusal(status: StatusCode, title: &str, words: &str) -> Response {
    page(status, context! { step => "refused", title, words })
}

fn page(status: StatusCode, values: minijinja::Value) -> Response {
    static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut pages = Environment::new();
        // Otherwise errors of a debug build print the values, and with them the key.
        pages.set_debug(false);
        pages.add_template("signup.html", PAGE).expect("the embedded page compiles");
        pages
    });
    let rendered = PAGES.get_template("signup.html").and_then(|page| page.render(values));
    match rendered {
        Ok(html) => (status, [(header::CONTENT_SECURITY_POLICY, policy())], Html(html)).into_response(),
        Err(error) => Problem::from(Error::Internal(error.to_string())).into_response(),
    }
}

/// The page's own style, by its hash, and its own form. Nothing else.
fn policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let (_, rest) = PAGE.split_once("<style>").expect("the page has a style");
        let (style, _) = rest.split_once("</style>").expect("the style ends");
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'"
        );
        policy.try_into().expect("base64 and ASCII")
    });
    POLICY.clone()
}
