//! `/openapi.json`, `/docs` and the public keys; and what the routes' documentation shares.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use otp_core::{Mode, Space};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response as Documented, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::App;
use super::path::Named;
use super::problem::{Problem, no_route};

/// Names the credentials.
pub struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = |description: &str| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
            SecurityScheme::Http(scheme)
        };
        let header = ApiKeyValue::with_description("X-OTP-API-Key", "The same key in a header of its own.");
        let cookie = ApiKeyValue::with_description(
            "__Host-otp_session",
            "A member's session; what changes anything also takes X-CSRF-Token, and a page of this server.",
        );
        let components = document.components.get_or_insert_default();
        for (name, scheme) in [
            ("apiKey", bearer("An API key: otp_live_sk_…, otp_test_sk_…, otp_live_pk_…, otp_test_pk_….")),
            ("apiKeyHeader", SecurityScheme::ApiKey(ApiKey::Header(header))),
            ("accessToken", bearer("A user's access token.")),
            ("signupToken", bearer("What a confirmed signup was answered with: otp_su_….")),
            ("memberSession", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
            ("memberToken", bearer("A member's session, for programs: otp_ms_….")),
            ("administrator", bearer("The platform administrator's token: otp_admin_….")),
        ] {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// What routes that answer with [`OnceProblems`] take.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents a header that is read with the others")]
pub struct OnceHeader {
    /// Makes repeating harmless: within 24 hours the same key with the same body gives the first answer again.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, example = "order-4711")]
    idempotency_key: Option<String>,
}

fn problems(list: &[(&str, &str)]) -> BTreeMap<String, RefOr<Documented>> {
    let content = || {
        let schema = Ref::from_schema_name("ProblemBody");
        ContentBuilder::new().schema(Some(schema)).build()
    };
    let response = |description: &str| {
        ResponseBuilder::new().description(description).content("application/problem+json", content()).build()
    };
    list.iter().map(|(status, text)| ((*status).to_owned(), RefOr::T(response(text)))).collect()
}

macro_rules! problem_sets {
    ($($(#[$meta:meta])* $name:ident: $($status:literal => $text:literal),+;)*) => {$(
        $(#[$meta])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Documented>> {
                problems(&[$(($status, $text)),+])
            }
        }
    )*};
}

problem_sets! {
    /// Of routes that take a key.
    KeyProblems:
        "401" => "`missing_api_key`, `invalid_api_key`; of a code: `otp_invalid`, `otp_expired`, `otp_attempts_exceeded`.",
        "403" => "`customer_suspended`, `customer_cancelled`, `origin_not_allowed`, `ip_not_allowed`, `scope_required`, \
                  `plan_limit`, `channel_disabled`, `country_not_enabled`, `recipient_suppressed`, \
                  `secret_key_required`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done; without `retryAfter`, it is unknown whether it was.";
    /// Of routes that take an access or refresh token.
    TokenProblems:
        "401" => "`missing_token`, `invalid_token`, `invalid_refresh_token`, `refresh_token_reused`.",
        "403" => "`customer_suspended`, `customer_cancelled`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done; without `retryAfter`, it is unknown whether it was.";
    /// Of routes under `/admin`.
    AdminProblems:
        "401" => "`missing_api_key`, `invalid_api_key`.",
        "403" => "`secret_key_required`, `secret_key_in_browser`, `administrator_required`, `customer_suspended`, `plan_limit`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done; without `retryAfter`, it is unknown whether it was.";
    /// Of routes that take a query.
    ReadProblems:
        "400" => "`invalid_field`, `invalid_cursor`.";
    /// Of routes that take a format.
    QueryProblems:
        "400" => "`invalid_field`.";
    /// Of routes that take a period.
    PeriodProblems:
        "400" => "`invalid_period`, `invalid_granularity`, `invalid_timezone`, `invalid_field`.";
    /// Of the route that asks about DKIM keys.
    SelectorProblems:
        "400" => "`invalid_selector`.";
    /// Of routes that ask the DNS; in the place of those of [`AdminProblems`].
    DnsProblems:
        "403" => "`plan_limit`, `secret_key_required`, `secret_key_in_browser`, `customer_suspended`.",
        "503" => "`dns_unavailable`: the server has no DNS to ask; `store_unavailable`, `busy`.";
    /// Of routes that take a body.
    WriteProblems:
        "400" => "`invalid_json`, `invalid_request`, or the code of the field that `errors` names.",
        "408" => "`body_incomplete`.",
        "413" => "`body_too_large`: more than 64 KiB.",
        "415" => "`unsupported_media_type`.";
    /// Of routes that honour `Idempotency-Key`.
    OnceProblems:
        "422" => "`idempotency_conflict`: the key was used for another request.";
    /// Of routes that name something.
    NamedProblems:
        "404" => "`not_found`: it does not exist, or is not yours.";
    /// Of routes that change the configuration.
    VersionProblems:
        "409" => "`version_conflict`: the configuration is of another version than `If-Match` names.";
    /// Of the route that puts an earlier configuration in effect.
    RestoreProblems:
        "400" => "`invalid_field` of `If-Match`, or the code of a setting that does not hold any more: `domain_not_verified`.";
    /// Of routes that change a state.
    ConflictProblems:
        "409" => "`conflict`: not in the present state.";
    /// Of the route that takes a code.
    CodeProblems:
        "404" => "`otp_not_found`: no code is open.";
    /// Of routes that end a sign-in.
    SignInProblems:
        "502" => "`hook_failed`: the customer's own service did not say what the tokens are to hold. The code is used: ask for another one.";
    /// Of routes about one's own second factor, which may also end a sign-in.
    FactorProblems:
        "401" => "`missing_token`, `invalid_token`, `missing_api_key`, `invalid_api_key`, `invalid_mfa_token`; `otp_invalid`.",
        "403" => "`customer_suspended`, `customer_cancelled`, `origin_not_allowed`, `ip_not_allowed`; `step_up_required`: no \
                  second factor was shown within the last five minutes.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done; without `retryAfter`, it is unknown whether it was.";
    /// Of routes about the second factor of somebody whom the caller names.
    NamedFactorProblems:
        "401" => "`missing_api_key`, `invalid_api_key`; `otp_invalid`.",
        "403" => "`secret_key_required`, `secret_key_in_browser`, `scope_required`, `customer_suspended`.",
        "404" => "`not_found`: there is no authenticator, or `userId` reads as the id of a user that is not yours.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done; without `retryAfter`, it is unknown whether it was.";
    /// Of routes that need an authenticator.
    NoFactorProblems:
        "404" => "`not_found`: there is no authenticator.";
    /// Of routes that judge a code of an authenticator.
    GuessProblems:
        "429" => "`rate_limit_exceeded`: five were wrong within five minutes; see `Retry-After`.";
    /// Of routes that set an authenticator up.
    InUseProblems:
        "409" => "`conflict`: one is in use already.";
    /// Of the route that takes a name in its query.
    NameProblems:
        "400" => "`invalid_user_id`, `missing_field`.";
    /// Of routes by which anybody signs up.
    SignupProblems:
        "403" => "`signup_closed`: whoever runs the installation creates the customers.",
        "429" => "`rate_limit_exceeded`; see `Retry-After`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of the route that opens an account.
    ConfirmProblems:
        "401" => "`otp_invalid`: wrong, or there is no signup; to whoever shows the right one `otp_expired`, \
                  `otp_attempts_exceeded`.",
        "403" => "`signup_closed`.",
        "404" => "`otp_not_found`: it was used.",
        "429" => "`rate_limit_exceeded`; see `Retry-After`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of the route that takes a signup token.
    SignupKeyProblems:
        "401" => "`missing_token`, `invalid_token`.",
        "403" => "`customer_suspended`, `customer_cancelled`.",
        "409" => "`conflict`: there are too many keys.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of routes by which anybody becomes a member.
    EntryProblems:
        "403" => "`cross_site_request`: the page of another site sent it.",
        "429" => "`rate_limit_exceeded`; see `Retry-After`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of routes by which a member shows who it is.
    ProofProblems:
        "401" => "`sign_in_refused`: address, password or code is wrong, which are not told apart.",
        "403" => "`cross_site_request`: the page of another site sent it.",
        "429" => "`rate_limit_exceeded`; see `Retry-After`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of routes that take a member's session and show what any member may see.
    SessionProblems:
        "401" => "`missing_session`, `invalid_session`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`.";
    /// Of routes that take a member's session.
    MemberProblems:
        "401" => "`missing_session`, `invalid_session`.",
        "403" => "`cross_site_request`, `csrf_token_required`, `role_required`, `signup_closed`, `customer_suspended`, \
                  `customer_cancelled`; `step_up_required`: the second factor, or without one the sign-in, was more than ten \
                  minutes ago.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of routes by which a signed-in member shows its second factor.
    ShownProblems:
        "401" => "`missing_session`, `invalid_session`; `otp_invalid`.",
        "403" => "`cross_site_request`, `csrf_token_required`.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of the route that ends a member's sign-in.
    HalfSignedInProblems:
        "401" => "`invalid_mfa_token`: unknown, used, or too old; `otp_invalid`.",
        "403" => "`cross_site_request`: the page of another site sent it.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`: nothing was done.";
    /// Of the route that asks for another plan.
    BillingProblems:
        "402" => "`billing_not_configured`: the administrator changes plans.";
    /// Of the route that changes plans.
    PlanProblems:
        "409" => "`plan_below_use`: more is in use than the plan allows, as `errors` tells; `force` changes it all the same.";
    /// Of routes that name a recipient.
    RecipientProblems:
        "400" => "`invalid_recipient`, `invalid_field`, `invalid_cursor`.";
    /// Of the route by which services tell what became of messages.
    CallbackProblems:
        "400" => "`invalid_request`: it is signed, and not what the service sends.",
        "403" => "`invalid_signature`: it is not signed by the service, or was too long ago.",
        "404" => "`not_found`: no such service tells anything here.",
        "408" => "`body_incomplete`.",
        "413" => "`body_too_large`: more than 1 MiB.",
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`, `callback_unavailable`: tell it again.";
    /// Of routes that take nothing.
    StoreProblems:
        "500" => "`internal_error`.",
        "503" => "`store_unavailable`, `busy`.";
    /// Of routes with limits.
    LimitProblems:
        "429" => "`rate_limit_exceeded`, `cooldown`, `quota_exceeded`, `channel_guard`; see `Retry-After`.";
}

/// The document and its page. Everything the page loads is part of the binary.
pub fn pages<S: Clone + Send + Sync + 'static>(document: &OpenApi) -> Router<S> {
    let text = Bytes::from(document.to_json().unwrap_or_default());
    let serve = move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=300")], text) }
    };
    let config = Config::from("/openapi.json").try_it_out_enabled(true).deep_linking(true);
    let page: Router<S> = SwaggerUi::new("/docs").config(config).into();
    Router::new().route("/openapi.json", get(serve)).merge(page.layer(axum::middleware::map_response(page_policy)))
}

/// The page runs its own scripts and talks to this server, and to nothing else. The hash is that of the one style that the
/// scripts write into the page; a test tells when another version of them writes another.
async fn page_policy(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        return no_route().await.into_response();
    }
    let policy = "default-src 'none'; script-src 'self'; \
                  style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; \
                  connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

fn key_set(keys: serde_json::Value) -> Response {
    let mut response = Json(keys).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    response
}

/// The public keys of all customers, for live tokens signed with EdDSA or ES256. A token's `kid` tells which one.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "jwks", tag = "Service", security(()),
    responses(
        (status = 200, description = "A JWK set (RFC 7517).", content_type = "application/jwk-set+json"),
        StoreProblems,
    )
)]
pub async fn jwks(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    Ok(key_set(app.service.all_jwks().await?))
}

/// The public keys of one customer's live tokens.
#[utoipa::path(
    get, path = "/auth/{customerId}/.well-known/jwks.json", operation_id = "customerJwks",
    tag = "Service", security(()),
    params(("customerId" = String, Path, description = "The customer: the token's `aud`.")),
    responses(
        (status = 200, description = "A JWK set (RFC 7517).", content_type = "application/jwk-set+json"),
        NamedProblems, StoreProblems,
    )
)]
pub async fn customer_jwks(State(app): State<Arc<App>>, Named(id): Named<String>) -> Result<Response, Problem> {
    keys_of(&app, &id, Mode::Live).await
}

/// The public keys of one customer's test tokens. They are never among those of live tokens, and these tokens name
/// another issuer: whoever checks live tokens refuses test tokens.
#[utoipa::path(
    get, path = "/auth/{customerId}/test/.well-known/jwks.json", operation_id = "customerTestJwks",
    tag = "Service", security(()),
    params(("customerId" = String, Path, description = "The customer: the token's `aud`.")),
    responses(
        (status = 200, description = "A JWK set (RFC 7517).", content_type = "application/jwk-set+json"),
        NamedProblems, StoreProblems,
    )
)]
pub async fn customer_test_jwks(State(app): State<Arc<App>>, Named(id): Named<String>) -> Result<Response, Problem> {
    keys_of(&app, &id, Mode::Test).await
}

async fn keys_of(app: &App, id: &str, mode: Mode) -> Result<Response, Problem> {
    let tenant = id.parse().map_err(|_| Problem::not_found("customer"))?;
    Ok(key_set(app.service.jwks(Space { tenant, mode }).await?))
}
