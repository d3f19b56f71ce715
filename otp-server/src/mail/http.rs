//! Mail through services that take it over HTTP.

mod resend;
mod sendgrid;
mod ses;
mod sigv4;
mod url;

use otp_core::Clock;
use std::sync::Arc;

use super::MailFrom;
use crate::outbound::Outbound;
use crate::provider::HttpMailer;

pub use ses::{AwsCredentials, Ses};
pub use url::{HttpMailUrl, MailService};

use resend::Resend;
use sendgrid::SendGrid;

/// The mailer for a service.
pub(crate) fn mailer(url: &HttpMailUrl, from: MailFrom, outbound: Outbound, clock: Arc<dyn Clock>) -> HttpMailer {
    let endpoint = url.origin.endpoint.clone();
    match &url.service {
        MailService::Resend { key, .. } => {
            HttpMailer::new(Resend { key: key.clone(), endpoint, from }, outbound, clock)
        }
        MailService::SendGrid { key, .. } => {
            HttpMailer::new(SendGrid { key: key.clone(), endpoint, from }, outbound, clock)
        }
        MailService::Ses(ses) => HttpMailer::new(ses::Mailer { ses: ses.clone(), endpoint, from }, outbound, clock),
    }
}
