//! From a configuration to a server that answers, and back down again.

mod administrator;
mod database;
mod in_use;
mod installation;
mod master_key;
mod running;
mod sockets;
mod stop;
mod welcome;

use std::sync::Arc;

use axum::Router;
use ipnet::IpNet;
use otp_core::destination::Reach;
use otp_core::service::Builder;
use otp_core::{Error, NewTenant, Secret, Service, SystemClock};
use tokio::runtime::Runtime;

use crate::callbacks::Callbacks;
use crate::config::{Config, Mistake, Setting};
use crate::delivery::{Delivery, listed};
use crate::dns::Dns;
use crate::http::{self, App, AppOptions};
use crate::listen::Limits;
use crate::mail::{self, Mailbox};
use crate::outbound::Guard;
use crate::password_pool::PasswordPool;
use crate::webhook::Webhooks;
use crate::worker::{Wakes, Workers};

pub(crate) use database::{Database, open as open_database, open_file};
pub(crate) use in_use::{InUse, beside};
pub(crate) use installation::{
    Installation, WrittenWith, configured_ring, copy_notes, database_file, existing_file, make_place,
};

use administrator::AdminToken;
use running::{DRAIN, Running};
use sockets::Sockets;
use stop::Signals;
use welcome::Welcome;

/// Serves until SIGTERM or SIGINT, then finishes what is in flight.
///
/// # Errors
/// The [`Mistake`] for which it did not start. Nothing was announced then.
pub fn serve(config: &Config) -> Result<(), Mistake> {
    runtime()?.block_on(run(config))
}

/// The runtime that everything runs on.
pub(crate) fn runtime() -> Result<Runtime, Mistake> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("otp-worker").build().map_err(|error| {
        Mistake::new(format_args!("no threads can be started: {error}; raise the limit on processes (ulimit -u)"))
    })
}

async fn run(config: &Config) -> Result<(), Mistake> {
    let signals = Signals::listen()?;
    // First, because a start that fails here has changed nothing.
    let sockets = Sockets::bind(config).await?;
    let clock = Arc::new(SystemClock::default());
    let delivery = Arc::new(Delivery::of(config, clock.clone())?);
    let callbacks = Callbacks::of(config).map_err(|error| {
        Mistake::of(Setting::MailUrl, format_args!("TLS cannot be set up: {error}; install ca-certificates"))
    })?;
    let installation = Installation::open(config).await?;
    let admin_token = AdminToken::of(config, &installation.database).await?;

    let wakes = Wakes::default();
    let issuer = config.public_url.clone().unwrap_or_else(|| sockets.url());
    let Wakes { queued, told } = wakes.clone();
    let service = installation.service(config, &issuer).mailer(Arc::clone(&delivery)).clock(clock);
    let service = service
        .password_hasher(PasswordPool::of_this_machine())
        .open_signup(config.signup_is_open)
        .audit_days(config.audit_days);
    let service = service.on_queued(move || queued.notify_one()).on_delivery(move || told.notify_one());
    let service = with_dns(service, config)?.webhook_reach(config.webhook_reach).build();
    let demo_key = demo_key(&service).await?;

    let app = App::new(AppOptions {
        service: service.clone(),
        admin_token: admin_token.digest(),
        trusted_proxies: config.trusted_proxies.clone(),
        callbacks,
    });
    app.metrics().watch(Arc::clone(&delivery));
    let mailbox = delivery.mailbox().filter(|_| sockets.is_local());
    let routes = routes(&app, mailbox);
    advise(config, &sockets, delivery.mailbox().is_some());
    Welcome {
        config,
        url: sockets.url(),
        local_url: sockets.local_url(),
        operator_url: sockets.operator_url(),
        admin_token: admin_token.fresh(),
        demo_key: demo_key.as_ref(),
        fresh_key_file: installation.fresh_key_file.as_deref(),
        shows_mailbox: mailbox.is_some(),
    }
    .print();
    let (mail, sms) = (listed(&config.mail_urls), listed(&config.sms_urls));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), url = sockets.url(), %mail, %sms, "started");

    let running = Running {
        sockets,
        routes,
        operator_routes: http::operator_routes(Arc::clone(&app)),
        limits: limits(config),
        workers: Workers::start(service.clone(), wakes, Arc::clone(&app)),
    };
    let closing = || {
        app.drain();
        mailbox.inspect(|mailbox| mailbox.close());
    };
    running.until_told(signals, closing).await;
    drop(app);
    close(service, installation).await;
    Ok(())
}

/// A machine without name servers can do everything but verify sender domains, and send events to the public net.
fn with_dns(service: Builder, config: &Config) -> Result<Builder, Mistake> {
    match Dns::of(config.dns_server) {
        Ok(dns) => Ok(service.webhooks(webhooks(config, Some(dns.clone()))?).resolver(dns)),
        Err(_) if config.dns_server.is_none() && config.webhook_reach == Reach::Anywhere => {
            Ok(service.webhooks(webhooks(config, None)?))
        }
        Err(error) if config.dns_server.is_some() => Err(Mistake::of(Setting::DnsServer, error)),
        Err(error) => {
            tracing::warn!(%error, "sender domains cannot be verified and no events be sent: the system names no name server; set OTP_DNS_SERVER");
            Ok(service)
        }
    }
}

fn webhooks(config: &Config, dns: Option<Dns>) -> Result<Webhooks, Mistake> {
    let guard = match (config.webhook_reach, dns) {
        (Reach::Public, Some(dns)) => Guard::public(dns),
        _ => Guard::anywhere(),
    };
    Webhooks::guarded(guard)
        .map_err(|error| Mistake::new(format_args!("TLS cannot be set up: {error}; install ca-certificates")))
}

fn routes(app: &Arc<App>, mailbox: Option<&Arc<Mailbox>>) -> Router {
    let routes = http::routes(Arc::clone(app));
    match mailbox {
        Some(mailbox) => routes.merge(mail::routes(Arc::clone(mailbox))),
        None => routes,
    }
}

/// Writes down what is only in memory.
async fn close(service: Service, installation: Installation) {
    if let Err(error) = service.flush_key_uses().await {
        tracing::warn!(code = error.code(), %error, "the last use of some keys was not written down");
    }
    if let Err(error) = service.flush_calls().await {
        tracing::warn!(code = error.code(), %error, "the last calls were not counted");
    }
    drop(service);
    installation.close().await;
    tracing::info!("stopped");
}

/// The first start makes a customer to try the server with; gives its key.
async fn demo_key(service: &Service) -> Result<Option<Secret>, Mistake> {
    let broken = |error| match error {
        Error::Store(error) => database::broken(&error),
        error => {
            Mistake::of(Setting::DatabaseUrl, format_args!("its customers cannot be read: {error}; restore a backup"))
        }
    };
    let any = service.tenants(None, None, 1).await.map_err(broken)?;
    if !any.items.is_empty() {
        return Ok(None);
    }
    let created = service.create_tenant(NewTenant::named("Demo", "demo@example.com")).await.map_err(broken)?;
    Ok(Some(created.api_key))
}

fn limits(config: &Config) -> Limits {
    let proxies = config.trusted_proxies.clone();
    Limits {
        drain: DRAIN,
        connections: config.max_connections,
        per_ip: config.max_connections_per_ip,
        exempt: Arc::new(move |ip| ip.is_loopback() || proxies.iter().any(|net: &IpNet| net.contains(&ip))),
        ..Limits::default()
    }
}

/// What works, but perhaps not as it was meant.
fn advise(config: &Config, sockets: &Sockets, has_mailbox: bool) {
    if has_mailbox && !sockets.is_local() {
        tracing::warn!("mails go nowhere: the built-in mailbox is shown on loopback only; set OTP_MAIL_URL");
    }
    if config.public_url.is_none() && !sockets.is_local() {
        tracing::warn!(issuer = sockets.url(), "OTP_PUBLIC_URL is not set: tokens name where the server listens");
    }
    if sockets.operator_is_open() {
        tracing::warn!("OTP_ADMIN_LISTEN is not on loopback: everyone who reaches it sees the metrics");
    }
}
