//! Mail through an SMTP server.

mod fault;
mod relay;

use std::sync::Arc;

use async_trait::async_trait;
use otp_core::Clock;
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};

use super::{MailFrom, MailSetupError, SmtpUrl, mime};
use crate::outbound::Guard;

pub use fault::ServerFault;
pub(super) use relay::Patience;
use relay::Relay;

/// Hands each mail to a mail server, over connections that are kept and used again.
///
/// A retry has the `Message-ID` of the first try, by which receivers recognise a mail that they have.
pub struct SmtpMailer {
    relay: Relay,
    from: MailFrom,
    clock: Arc<dyn Clock>,
}

impl SmtpMailer {
    /// A mailer for `server`, which is not connected to yet.
    ///
    /// # Errors
    /// When there is nothing to check the server's certificate against.
    pub fn new(server: &SmtpUrl, from: MailFrom, clock: Arc<dyn Clock>) -> Result<Self, MailSetupError> {
        Self::within(server, from, clock, Guard::anywhere())
    }

    /// As [`new`](Self::new), for a server that the guard lets through when it is connected to.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn within(
        server: &SmtpUrl,
        from: MailFrom,
        clock: Arc<dyn Clock>,
        guard: Guard,
    ) -> Result<Self, MailSetupError> {
        Ok(Self { relay: Relay::new(server, Patience::default(), guard)?, from, clock })
    }

    #[cfg(test)]
    pub(super) fn with_patience(
        server: &SmtpUrl,
        from: MailFrom,
        clock: Arc<dyn Clock>,
        patience: Patience,
    ) -> Result<Self, MailSetupError> {
        Ok(Self { relay: Relay::new(server, patience, Guard::anywhere())?, from, clock })
    }

    /// Connects and logs in as for a mail, then leaves.
    ///
    /// # Errors
    /// What is wrong, and where it can be told what to do about it.
    pub async fn check(&self) -> Result<(), ServerFault> {
        self.relay.check().await
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let mail = mime::mail(message, &self.from, self.clock.now())?;
        self.relay.send(mail.envelope(), &mail.formatted()).await?;
        Ok(Receipt::default())
    }
}
