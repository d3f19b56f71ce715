//! Text messages and WhatsApp: where they go ([`SmsUrl`]), and the services behind that.

mod gateway;
mod twilio;
mod url;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use otp_core::Clock;

use crate::outbound::Outbound;
use crate::provider::HttpMailer;

pub use url::{GatewayUrl, InvalidSmsUrl, SmsUrl, TwilioUrl};

use gateway::Gateway;
use twilio::Twilio;

/// The mailer that `url` names, unless that is the mailbox.
///
/// # Errors
/// When the system has no certificates to trust.
pub fn mailer(url: &SmsUrl, clock: Arc<dyn Clock>) -> Result<Option<Arc<HttpMailer>>, rustls::Error> {
    Ok(match url {
        SmsUrl::Mailbox => None,
        SmsUrl::Twilio(twilio) => {
            Some(Arc::new(HttpMailer::new(Twilio(TwilioUrl::clone(twilio)), Outbound::new()?, clock)))
        }
        SmsUrl::Gateway(gateway) => Some(Arc::new(HttpMailer::new(Gateway(gateway.clone()), Outbound::new()?, clock))),
    })
}
