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
    match url {
        SmsUrl::Mailbox => Ok(None),
        _ => Ok(mailer_over(url, Outbound::new()?, clock).map(Arc::new)),
    }
}

/// As [`mailer`], with connections of the caller's.
pub(crate) fn mailer_over(url: &SmsUrl, outbound: Outbound, clock: Arc<dyn Clock>) -> Option<HttpMailer> {
    match url {
        SmsUrl::Mailbox => None,
        SmsUrl::Twilio(twilio) => Some(HttpMailer::new(Twilio(TwilioUrl::clone(twilio)), outbound, clock)),
        SmsUrl::Gateway(gateway) => Some(HttpMailer::new(Gateway(gateway.clone()), outbound, clock)),
    }
}
