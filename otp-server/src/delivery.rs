//! Which mailer takes which message.

mod counts;
mod own;
mod url;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use otp_core::destination::Reach;
use otp_core::message::{Channel, Failover, Handover, Mailer, Outgoing, Receipt, SendError};
use otp_core::provider::OwnProvider;
use otp_core::{Clock, Timestamp};
use prometheus_client::registry::Registry;

use crate::config::{Config, Mistake, Setting};
use crate::dns::Dns;
use crate::mail::{self, MailUrl, Mailbox};
use crate::outbound::{Guard, Outbound};
use crate::sms::{self, SmsUrl};

pub(crate) use own::Way;
pub(crate) use url::OwnUrl;
pub use url::{InvalidOwnUrl, own_provider};

use counts::{Counted, Counts};
use own::Own;

/// Which hosts tenants may name.
pub(crate) const REACH: Reach = Reach::Public;

/// Messages of tenants that have providers of their own by those, all others by the installation's.
pub struct Delivery {
    installation: Arc<Installation>,
    own: Own,
    counts: Counts,
}

/// The installation's providers: mail by one list, text messages and WhatsApp by another.
struct Installation {
    mail: Failover,
    texts: Failover,
    mailbox: Option<Arc<Mailbox>>,
}

impl Delivery {
    /// What the configuration names. Nothing is connected yet.
    ///
    /// # Errors
    /// The [`Mistake`] for which a way cannot be gone.
    pub fn of(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Mistake> {
        let counts = Counts::default();
        let installation = Arc::new(Installation::of(config, &counts, Arc::clone(&clock))?);
        let own = Own::new(
            Arc::clone(&installation),
            config.mail_from.clone(),
            clock,
            config.public_url.clone(),
            REACH,
            counts.clone(),
            way(config.dns_server),
        );
        Ok(Self { installation, own, counts })
    }

    /// The built-in mailbox, if that is where mail goes.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.installation.mailbox.as_ref()
    }

    /// Shows in these metrics what is counted of providers.
    pub fn register(&self, registry: &mut Registry) {
        self.counts.register(registry);
    }

    /// Brings those of the metrics up to date that are looked at and not counted.
    pub fn observe(&self) {
        self.counts.note("mail", self.installation.mail.providers());
        self.counts.note("texts", self.installation.texts.providers());
    }
}

/// How hosts on the public net are connected to. Many an installation never does, and needs not the memory for it.
pub(crate) fn way(dns_server: Option<SocketAddr>) -> impl FnOnce() -> Way + Send + 'static {
    move || {
        let dns = Dns::of(dns_server).map_err(|error| format!("the server has no name server to ask: {error}"))?;
        let guard = Guard::public(dns);
        let outbound = Outbound::guarded(guard.clone()).map_err(|error| format!("TLS cannot be set up: {error}"))?;
        Ok((guard, outbound))
    }
}

impl Installation {
    /// What the configuration names. Nothing is connected yet.
    ///
    /// # Errors
    /// The [`Mistake`] for which a way cannot be gone.
    fn of(config: &Config, counts: &Counts, clock: Arc<dyn Clock>) -> Result<Self, Mistake> {
        let counted = |name: &str, mailer| Counted::new(name, mailer, counts.clone());
        let (mut mail, mut mailbox) = (Failover::new(Arc::clone(&clock)), None);
        for (url, name) in config.mail_urls.iter().zip(names(config.mail_urls.iter().map(MailUrl::kind))) {
            let built = mail::mailer(url, &config.mail_from, Arc::clone(&clock))
                .map_err(|error| Mistake::of(Setting::MailUrl, error))?;
            mailbox = mailbox.or_else(|| built.mailbox().cloned());
            mail = mail.then(name.clone(), counted(&name, built.mailer()));
        }
        let mut texts = Failover::new(Arc::clone(&clock));
        for (url, name) in config.sms_urls.iter().zip(names(config.sms_urls.iter().map(SmsUrl::kind))) {
            let service = sms::mailer(url, Arc::clone(&clock)).map_err(|error| {
                Mistake::of(Setting::SmsUrl, format_args!("TLS cannot be set up: {error}; install ca-certificates"))
            })?;
            texts = match (service, &mailbox) {
                (Some(service), _) => texts.then(name.clone(), counted(&name, service as Arc<dyn Mailer>)),
                (None, Some(mailbox)) => {
                    texts.then(name.clone(), counted(&name, Arc::clone(mailbox) as Arc<dyn Mailer>))
                }
                // A server that sends mail is in use, and a mailbox that shows codes has no place in it.
                (None, None) => texts,
            };
        }
        Ok(Self { mail, texts, mailbox })
    }

    fn list(&self, channel: Channel) -> &Failover {
        match channel {
            Channel::Email => &self.mail,
            Channel::Sms | Channel::Whatsapp => &self.texts,
        }
    }
}

#[async_trait]
impl Mailer for Installation {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        self.list(message.channel).send(message).await
    }

    async fn hand_over(&self, message: &Outgoing, now: Timestamp) -> Handover {
        self.list(message.channel).hand_over(message, now).await
    }
}

#[async_trait]
impl Mailer for Delivery {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        match message.providers.is_empty() {
            true => self.installation.send(message).await,
            false => self.own.list(&message.providers).send(message).await,
        }
    }

    async fn hand_over(&self, message: &Outgoing, now: Timestamp) -> Handover {
        match message.providers.is_empty() {
            true => self.installation.hand_over(message, now).await,
            false => self.own.list(&message.providers).hand_over(message, now).await,
        }
    }

    async fn probe(&self, provider: &OwnProvider) -> Result<(), String> {
        self.own.probe(provider).await
    }
}

/// A name for each, of what it is; of several of a kind, the second is `smtp-2`.
fn names<'a>(kinds: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let name = |kind| {
        seen.push(kind);
        match seen.iter().filter(|one| **one == kind).count() {
            1 => kind.to_owned(),
            number => format!("{kind}-{number}"),
        }
    };
    kinds.map(name).collect()
}

/// URLs as they are written in a setting, without their secrets.
pub(crate) fn listed(urls: &[impl fmt::Display]) -> String {
    urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
