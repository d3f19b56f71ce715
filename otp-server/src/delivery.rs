//! Which mailer takes which message.

use std::sync::Arc;

use async_trait::async_trait;
use otp_core::Clock;
use otp_core::message::{Channel, Mailer, Outgoing, Receipt, SendError};

use crate::config::{Config, Mistake, Setting};
use crate::mail::{self, Mailbox};
use crate::sms;

/// Mail by one way, text messages and WhatsApp by another.
pub struct Delivery {
    mail: mail::Built,
    texts: Option<Arc<dyn Mailer>>,
}

impl Delivery {
    /// What the configuration names. Nothing is connected yet.
    ///
    /// # Errors
    /// The [`Mistake`] for which a way cannot be gone.
    pub fn of(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Mistake> {
        let mail = mail::mailer(&config.mail_url, &config.mail_from, Arc::clone(&clock))
            .map_err(|error| Mistake::of(Setting::MailUrl, error))?;
        let service = sms::mailer(&config.sms_url, clock).map_err(|error| {
            Mistake::of(Setting::SmsUrl, format_args!("TLS cannot be set up: {error}; install ca-certificates"))
        })?;
        let texts = match service {
            Some(service) => Some(service as Arc<dyn Mailer>),
            // A server that sends mail is in use, and a mailbox that shows codes has no place in it.
            None => mail.mailbox().map(|mailbox| Arc::clone(mailbox) as Arc<dyn Mailer>),
        };
        Ok(Self { mail, texts })
    }

    /// The built-in mailbox, if that is where mail goes.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        self.mail.mailbox()
    }
}

#[async_trait]
impl Mailer for Delivery {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        match (message.channel, &self.texts) {
            (Channel::Email, _) => self.mail.mailer().send(message).await,
            (Channel::Sms | Channel::Whatsapp, Some(texts)) => texts.send(message).await,
            (Channel::Sms | Channel::Whatsapp, None) => {
                Err(SendError::Unusable { reason: "no service for text messages is set up".to_owned() })
            }
        }
    }
}
