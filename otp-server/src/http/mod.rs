//! The HTTP API: parses requests, calls the [`Service`], words the answers. No rule lives here.
//!
//! [`routes`] is an ordinary axum router, so another program can mount it in its own; the `embed_axum` example does.

mod analytics;
mod apps;
mod asker;
mod audit;
mod auth;
mod body;
mod callbacks;
mod calls;
mod configuration;
mod csv;
mod customers;
mod deliveries;
mod docs;
mod domains;
mod events;
mod health;
mod keys;
mod layers;
mod limits;
mod list;
mod member_factor;
mod members;
mod messages;
mod metrics;
mod onboarding;
mod path;
mod problem;
mod providers;
mod realtime;
mod recipient;
mod sessions;
mod settings;
mod signup;
mod signup_page;
mod standing;
mod suppressions;
mod team;
mod templates;
mod totp;
mod totp_code;
mod totp_devices;
mod totp_named;
mod totp_recovery;
mod usage;
mod users;
mod visitor;
mod webhooks;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::routing::get;
use ipnet::IpNet;
use otp_core::Service;
use otp_core::secret::Digest32;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use self::docs::Credentials;
use crate::callbacks::Callbacks;

pub use metrics::Metrics;
pub use problem::Problem;

/// What the routes need.
pub struct AppOptions {
    /// The engine.
    pub service: Service,
    /// SHA-256 of the platform administrator's token.
    pub admin_token: Digest32,
    /// Proxies whose `X-Forwarded-For` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The services that tell what became of messages.
    pub callbacks: Callbacks,
}

/// The state that the routes share.
pub struct App {
    service: Service,
    admin_token: Digest32,
    trusted_proxies: Vec<IpNet>,
    callbacks: Callbacks,
    metrics: Metrics,
    draining: AtomicBool,
}

impl App {
    /// The state for these options.
    pub fn new(options: AppOptions) -> Arc<Self> {
        let AppOptions { service, admin_token, trusted_proxies, callbacks } = options;
        let draining = AtomicBool::new(false);
        Arc::new(Self { service, admin_token, trusted_proxies, callbacks, metrics: Metrics::default(), draining })
    }

    /// From now on `/health/ready` answers 503, so that a load balancer stops sending.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// What is counted of this server.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "OTP Auth",
        description = "Multi-tenant one-time-password authentication.\n\nA request whose head cannot be read is answered \
                       with 400, and one whose head is too large with 431, whatever it asks for and without a body.",
    ),
    modifiers(&Credentials),
    components(schemas(problem::ProblemBody)),
    tags(
        (name = "Sign-in", description = "Codes, tokens and sessions of end users."),
        (name = "Second factor", description = "Authenticator apps, recovery codes and trusted devices."),
        (name = "Signup", description = "Becoming a customer."),
        (name = "Members", description = "The people who run customers: accounts and sessions."),
        (name = "Applications", description = "What a member runs: customers, and their teams."),
        (name = "Customers", description = "Customers of the installation and their API keys."),
        (name = "Configuration", description = "What customers set up for themselves."),
        (name = "Users", description = "A customer's users: what is held about them, and its end."),
        (name = "Messages", description = "What was sent to whom, what became of it, and who is sent nothing."),
        (name = "Domains", description = "Domains that a customer's mail comes from."),
        (name = "Webhooks", description = "Events that a customer hears of; all there are stand at `/docs/events`."),
        (name = "Service", description = "Health and public keys."),
    )
)]
struct Document;

fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(paths!(auth::request_otp))
        .routes(paths!(auth::verify_otp))
        .routes(paths!(sessions::me))
        .routes(paths!(sessions::refresh))
        .routes(paths!(sessions::logout))
        .routes(paths!(sessions::list))
        .routes(paths!(sessions::end))
        .routes(paths!(totp::register))
        .routes(paths!(totp::enable))
        .routes(paths!(totp::disable))
        .routes(paths!(totp::status))
        .routes(paths!(totp::verify))
        .routes(paths!(totp_recovery::renew))
        .routes(paths!(totp_devices::list))
        .routes(paths!(totp_devices::forget))
        .routes(paths!(totp_named::register))
        .routes(paths!(totp_named::enable))
        .routes(paths!(totp_named::disable))
        .routes(paths!(totp_named::replace))
        .routes(paths!(totp_named::status))
        .routes(paths!(totp_named::verify))
        .routes(paths!(totp_code::generate))
        .routes(paths!(totp_code::verify))
        .routes(paths!(docs::jwks))
        .routes(paths!(docs::customer_jwks))
        .routes(paths!(docs::customer_test_jwks))
        .routes(paths!(signup::sign_up))
        .routes(paths!(signup::resend))
        .routes(paths!(signup::verify, signup_page::ask))
        .routes(paths!(signup::api_key))
        .routes(paths!(members::register))
        .routes(paths!(members::verify))
        .routes(paths!(members::login))
        .routes(paths!(members::logout))
        .routes(paths!(members::recovery))
        .routes(paths!(members::me))
        .routes(paths!(members::sessions))
        .routes(paths!(members::end))
        .routes(paths!(member_factor::complete))
        .routes(paths!(member_factor::register))
        .routes(paths!(member_factor::enable))
        .routes(paths!(member_factor::disable))
        .routes(paths!(member_factor::verify))
        .routes(paths!(member_factor::status))
        .routes(paths!(member_factor::renew))
        .routes(paths!(team::accept))
        .routes(paths!(apps::create, apps::list))
        .routes(paths!(apps::one, apps::rename, apps::remove))
        .routes(paths!(apps::reset_key))
        .routes(paths!(apps::users))
        .routes(paths!(team::show))
        .routes(paths!(team::invite))
        .routes(paths!(team::revoke))
        .routes(paths!(team::appoint, team::remove))
        .routes(paths!(customers::create, customers::list))
        .routes(paths!(customers::own, customers::edit_own))
        .routes(paths!(usage::usage))
        .routes(paths!(usage::plan))
        .routes(paths!(analytics::analytics))
        .routes(paths!(realtime::realtime))
        .routes(paths!(realtime::errors))
        .routes(paths!(customers::one, customers::edit))
        .routes(paths!(onboarding::upgrade))
        .routes(paths!(onboarding::show, onboarding::skip))
        .routes(paths!(onboarding::test_otp))
        .routes(paths!(standing::set_status))
        .routes(paths!(standing::suspend))
        .routes(paths!(standing::activate))
        .routes(paths!(keys::list, keys::create))
        .routes(paths!(keys::edit, keys::revoke))
        .routes(paths!(keys::rotate))
        .routes(paths!(configuration::show, configuration::change))
        .routes(paths!(configuration::email))
        .routes(paths!(configuration::limits))
        .routes(paths!(configuration::webhooks))
        .routes(paths!(configuration::tokens))
        .routes(paths!(configuration::origins))
        .routes(paths!(configuration::networks))
        .routes(paths!(configuration::templates))
        .routes(paths!(templates::preview))
        .routes(paths!(templates::test_email))
        .routes(paths!(configuration::versions))
        .routes(paths!(configuration::restore))
        .routes(paths!(audit::logs))
        .routes(paths!(users::list))
        .routes(paths!(users::one, users::erase))
        .routes(paths!(users::export))
        .routes(paths!(users::sessions, users::revoke_all))
        .routes(paths!(users::revoke))
        .routes(paths!(messages::list))
        .routes(paths!(messages::one))
        .routes(paths!(suppressions::list, suppressions::add, suppressions::remove))
        .routes(paths!(callbacks::receive))
        .routes(paths!(domains::add))
        .routes(paths!(domains::check))
        .routes(paths!(domains::status))
        .routes(paths!(domains::list))
        .routes(paths!(domains::remove))
        .routes(paths!(webhooks::list, webhooks::create))
        .routes(paths!(webhooks::one, webhooks::edit, webhooks::remove))
        .routes(paths!(webhooks::rotate))
        .routes(paths!(deliveries::list))
        .routes(paths!(deliveries::one))
        .routes(paths!(deliveries::retry))
        .routes(paths!(deliveries::recover))
        .routes(paths!(deliveries::test))
        .routes(paths!(providers::list, providers::add))
        .routes(paths!(providers::edit, providers::remove))
        .routes(paths!(providers::test))
        .routes(paths!(health::health))
        .routes(paths!(health::ready))
        .routes(paths!(health::live))
}

/// All of it that is the same for every server, made once: most of the time that it takes is the document's.
static PUBLIC: LazyLock<(Router<Arc<App>>, utoipa::openapi::OpenApi)> = LazyLock::new(|| {
    let (router, mut document) = documented().split_for_parts();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let router = router
        .merge(docs::pages(&document))
        .merge(signup_page::routes())
        .route("/docs/events", get(events::catalogue))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method);
    (router, document)
});

/// The OpenAPI 3.1 document, made from the handlers.
pub fn openapi() -> &'static utoipa::openapi::OpenApi {
    &PUBLIC.1
}

/// The public routes.
pub fn routes(app: Arc<App>) -> Router {
    PUBLIC.0.clone().layer(axum::middleware::from_fn_with_state(Arc::clone(&app), layers::around)).with_state(app)
}

/// The operator's routes, for a listener that only the operator reaches: metrics, and health in detail.
pub fn operator_routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics::show))
        .route("/health", get(health::detail))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), layers::around))
        .with_state(app)
}
