//! Which mailer takes which message.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use otp_core::message::{Channel, Failover, Handover, Mailer, Outgoing, Receipt, SendError};
use otp_core::{Clock, Timestamp};

use crate::config::{Config, Mistake, Setting};
use crate::mail::{self, MailUrl, Mailbox};
use crate::sms::{self, SmsUrl};

/// Mail by one list of providers, text messages and WhatsApp by another.
pub struct Delivery {
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
        let (mut mail, mut mailbox) = (Failover::new(Arc::clone(&clock)), None);
        for (url, name) in config.mail_urls.iter().zip(names(config.mail_urls.iter().map(MailUrl::kind))) {
            let built = mail::mailer(url, &config.mail_from, Arc::clone(&clock))
                .map_err(|error| Mistake::of(Setting::MailUrl, error))?;
            mailbox = mailbox.or_else(|| built.mailbox().cloned());
            mail = mail.then(name, built.mailer());
        }
        let mut texts = Failover::new(Arc::clone(&clock));
        for (url, name) in config.sms_urls.iter().zip(names(config.sms_urls.iter().map(SmsUrl::kind))) {
            let service = sms::mailer(url, Arc::clone(&clock)).map_err(|error| {
                Mistake::of(Setting::SmsUrl, format_args!("TLS cannot be set up: {error}; install ca-certificates"))
            })?;
            texts = match (service, &mailbox) {
                (Some(service), _) => texts.then(name, service),
                (None, Some(mailbox)) => texts.then(name, Arc::clone(mailbox)),
                // A server that sends mail is in use, and a mailbox that shows codes has no place in it.
                (None, None) => texts,
            };
        }
        Ok(Self { mail, texts, mailbox })
    }

    /// The built-in mailbox, if that is where mail goes.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mailbox.as_ref()
    }

    fn way(&self, channel: Channel) -> &Failover {
        match channel {
            Channel::Email => &self.mail,
            Channel::Sms | Channel::Whatsapp => &self.texts,
        }
    }
}

#[async_trait]
impl Mailer for Delivery {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        self.way(message.channel).send(message).await
    }

    async fn hand_over(&self, message: &Outgoing, now: Timestamp) -> Handover {
        self.way(message.channel).hand_over(message, now).await
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
