//! A message as a mail of RFC 5322.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{MultiPart, SinglePart};
use otp_core::Timestamp;
use otp_core::message::Outgoing;

use super::MailFrom;
use super::letter::{HEADERS, Letter, Unsendable};

/// The mail, the same on every retry but for its date.
pub(super) fn mail(message: &Outgoing, from: &MailFrom, now: Timestamp) -> Result<Message, Unsendable> {
    let Letter { from, to, reply_to, message_id, .. } = Letter::of(message, from)?;
    let mail = match reply_to {
        Some(address) => Message::builder().reply_to(address.into()),
        None => Message::builder(),
    };
    let mail = mail.message_id(Some(message_id)).date(system_time(now));
    let mail = mail.from(from).to(to.into()).subject(message.subject.as_str());
    let mail = HEADERS.into_iter().fold(mail, |mail, (name, value)| mail.raw_header(header(name, value)));
    let text = SinglePart::plain(message.text.clone());
    let mail = match &message.html {
        Some(html) => mail.multipart(alternatives(message).singlepart(text).singlepart(SinglePart::html(html.clone()))),
        None => mail.singlepart(text),
    };
    mail.map_err(|_| Unsendable::Mail)
}

/// `=_` is in no quoted-printable or base64 text, and the identifier is unknown to whoever wrote the template.
fn alternatives(message: &Outgoing) -> lettre::message::MultiPartBuilder {
    let kind = lettre::message::MultiPartKind::Alternative;
    MultiPart::builder().kind(kind).boundary(format!("=_{}", message.id))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis().try_into().unwrap_or(0))
}
