//! Text messages and WhatsApp: the URLs, and the services against what their own libraries do.

mod gateway;
mod twilio;
mod url;

use std::sync::Arc;
use std::time::Duration;

use otp_core::message::{Channel, Outgoing, SendError};
use otp_core::{Clock, ManualClock, MessageId, Random, Secret, SeededRandom, TenantId};

use super::{SmsUrl, mailer};
use crate::provider::HttpMailer;

const CODE: &str = "481920375";

fn clock() -> Arc<ManualClock> {
    Arc::default()
}

fn service(url: &str) -> Arc<HttpMailer> {
    let url: SmsUrl = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    mailer(&url, clock()).unwrap().expect("it is not the mailbox")
}

fn sms() -> Outgoing {
    let random: &dyn Random = &SeededRandom::new(1);
    let now = clock().now();
    Outgoing {
        id: MessageId::new(now, random),
        tenant: TenantId::new(now, random),
        providers: Arc::new([]),
        channel: Channel::Sms,
        to: "+4915112345678".to_owned(),
        from_name: Some("Acme".to_owned()),
        from_email: None,
        reply_to: None,
        subject: String::new(),
        text: format!("{CODE} is your code for Acmé & Co. 100% + safe\n@acme.example #{CODE}"),
        html: None,
        code: Some(Secret::from(CODE.to_owned())),
        expires_at: now + Duration::from_secs(600),
    }
}

fn whatsapp() -> Outgoing {
    Outgoing { channel: Channel::Whatsapp, ..sms() }
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
