//! The mailers against what they talk to: a mail server by others, files, a browser.

mod browser;
mod file;
mod headers;
mod mailbox;
pub(crate) mod peer;
pub(crate) mod sdks;
mod services;
mod services_url;
mod smtp;
mod specifications;
mod stubborn;
mod url;

use std::sync::Arc;
use std::time::Duration;

use otp_core::message::{Channel, Outgoing, SendError};
use otp_core::{Clock, ManualClock, MessageId, Random, Secret, SeededRandom, TenantId};

use super::MailFrom;

/// Far beyond what any step needs; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const CODE: &str = "481920375";

fn clock() -> Arc<ManualClock> {
    Arc::default()
}

fn from() -> MailFrom {
    "OTP Auth <noreply@mail.example>".parse().unwrap()
}

/// The message with this number; the same number is the same message.
fn message(number: u64, to: &str) -> Outgoing {
    let random: &dyn Random = &SeededRandom::new(number);
    let now = clock().now();
    Outgoing {
        id: MessageId::new(now, random),
        tenant: TenantId::new(now, random),
        providers: Arc::new([]),
        channel: Channel::Email,
        to: to.to_owned(),
        from_name: Some("Acme".to_owned()),
        from_email: None,
        reply_to: None,
        subject: "Your sign-in code".to_owned(),
        text: format!("{CODE} is your code for Acmé.\n.\nA line with a dot alone came before this one.\n"),
        html: Some(format!("<p style=\"color:#222\"><b>{CODE}</b> is your code for Acmé.</p>")),
        code: Some(Secret::from(CODE.to_owned())),
        expires_at: now + Duration::from_secs(600),
    }
}

fn sms(number: u64) -> Outgoing {
    Outgoing { channel: Channel::Sms, html: None, subject: String::new(), ..message(number, "+4915112345678") }
}

fn temporary(reason: &str) -> SendError {
    SendError::Temporary { reason: reason.to_owned(), retry_after: None }
}

fn unusable(reason: &str) -> SendError {
    SendError::Unusable { reason: reason.to_owned() }
}

fn permanent(reason: &str) -> SendError {
    SendError::Permanent { reason: reason.to_owned() }
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}
