//! Providers that tenants have set up for their own messages.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use otp_core::destination::Reach;
use otp_core::message::{Channel, Failover, Mailer, Outgoing, Receipt, SendError};
use otp_core::provider::OwnProvider;
use otp_core::{Clock, ProviderId};
use quick_cache::sync::Cache;

use super::Installation;
use super::counts::{Counted, Counts};
use super::url::OwnUrl;
use crate::mail::{self, MailFrom, SmtpMailer};
use crate::outbound::{Guard, Outbound};
use crate::provider::HttpMailer;
use crate::sms;

/// Tenants whose connections are kept for the next message.
const TENANTS: usize = 1_000;
/// The name of all tenants' providers in the metrics.
const NAME: &str = "own";
const NO_SENDER: &str = "the mail has no sender that this provider could send for: set emailConfig.fromEmail to an address of a verified domain";

/// How tenants' hosts are connected to; why they cannot be, where there is no way.
pub(crate) type Way = Result<(Guard, Outbound), String>;

/// Hands each tenant's messages to the tenant's providers, and to nobody else's.
pub(super) struct Own {
    installation: Arc<Installation>,
    from: MailFrom,
    clock: Arc<dyn Clock>,
    public_url: Option<String>,
    reach: Reach,
    way: LazyLock<Way, Box<dyn FnOnce() -> Way + Send>>,
    counts: Counts,
    /// By the versions of all providers of a tenant, so that after a change none is used as it was.
    lists: Cache<Vec<(ProviderId, u64)>, Arc<Failover>>,
}

/// One provider of a tenant.
enum Sender {
    Installation(Arc<Installation>),
    Smtp(Box<SmtpMailer>),
    Http(Box<HttpMailer>),
    /// It cannot be used, and why.
    None(String),
}

impl Own {
    pub(super) fn new(
        installation: Arc<Installation>,
        from: MailFrom,
        clock: Arc<dyn Clock>,
        public_url: Option<String>,
        reach: Reach,
        counts: Counts,
        way: impl FnOnce() -> Way + Send + 'static,
    ) -> Self {
        let way: Box<dyn FnOnce() -> Way + Send> = Box::new(way);
        let (way, lists) = (LazyLock::new(way), Cache::new(TENANTS));
        Self { installation, from, clock, public_url, reach, way, counts, lists }
    }

    pub(super) async fn probe(&self, provider: &OwnProvider) -> Result<(), String> {
        match self.sender(provider) {
            Sender::Installation(_) => Ok(()),
            Sender::Smtp(mailer) => mailer.check().await.map_err(|fault| fault.to_string()),
            Sender::Http(mailer) => mailer.check().await.map_err(|fault| fault.to_string()),
            Sender::None(why) => Err(why),
        }
    }

    /// The providers of one tenant.
    pub(super) fn list(&self, providers: &[OwnProvider]) -> Arc<Failover> {
        let key: Vec<_> = providers.iter().map(|provider| (provider.id, provider.version)).collect();
        if let Some(list) = self.lists.get(&key) {
            return list;
        }
        let list = providers.iter().fold(Failover::new(Arc::clone(&self.clock)), |list, provider| {
            let (label, channels) = (provider.label.clone(), provider.channels.clone());
            match self.sender(provider) {
                Sender::Installation(installation) => list.then_for(label, channels, installation),
                sender => list.then_for(label, channels, Counted::new(NAME, sender, self.counts.clone())),
            }
        });
        let list = Arc::new(list);
        self.lists.insert(key, Arc::clone(&list));
        list
    }

    fn sender(&self, provider: &OwnProvider) -> Sender {
        self.reached(provider).unwrap_or_else(Sender::None)
    }

    fn reached(&self, provider: &OwnProvider) -> Result<Sender, String> {
        let url = OwnUrl::parse(provider.url.expose(), self.reach).map_err(|error| error.to_string())?;
        if matches!(url, OwnUrl::Installation) {
            return Ok(Sender::Installation(Arc::clone(&self.installation)));
        }
        let (guard, outbound) = self.way.clone()?;
        let clock = Arc::clone(&self.clock);
        Ok(match url.reached_at(self.public_url.as_deref()) {
            OwnUrl::Installation => Sender::Installation(Arc::clone(&self.installation)),
            OwnUrl::Smtp(server) => {
                let mailer = SmtpMailer::within(&server, self.from.clone(), clock, guard);
                Sender::Smtp(mailer.map_err(|error| error.to_string())?.into())
            }
            OwnUrl::Mail(service) => {
                Sender::Http(mail::http_mailer(&service, self.from.clone(), outbound, clock).into())
            }
            OwnUrl::Texts(service) => {
                let mailer = sms::mailer_over(&service, outbound, clock);
                Sender::Http(mailer.ok_or("it names no service for text messages")?.into())
            }
        })
    }
}

#[async_trait]
impl Mailer for Sender {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let own = match self {
            Sender::Installation(installation) => return installation.send(message).await,
            Sender::None(why) => return Err(SendError::Unusable { reason: why.clone() }),
            Sender::Smtp(mailer) => &**mailer as &dyn Mailer,
            Sender::Http(mailer) => &**mailer,
        };
        // The installation's sender is the installation's to send for.
        if message.channel == Channel::Email && message.from_email.is_none() {
            return Err(SendError::Unusable { reason: NO_SENDER.to_owned() });
        }
        own.send(message).await
    }
}
