//! A message as a mail of RFC 5322.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{MultiPart, SinglePart};
use otp_core::Timestamp;
use otp_core::message::{Channel, Outgoing, SendError};

use super::MailFrom;

/// Why no mail can be made of a message. None of the texts repeats a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsendable {
    #[error("this mailer sends e-mail only")]
    Channel,
    #[error("the recipient's address is none that mail can be sent to")]
    Recipient,
    #[error("the address for answers is none that mail can be sent to")]
    ReplyTo,
    #[error("the subject has a line break or another control character")]
    Subject,
    #[error("the sender's address is none that mail can be sent from")]
    FromEmail,
    #[error("the sender's name has a line break or another control character")]
    FromName,
    #[error("no mail can be made of the message")]
    Mail,
}

impl From<Unsendable> for SendError {
    fn from(error: Unsendable) -> Self {
        SendError::Permanent { reason: error.to_string() }
    }
}

/// The mail, the same on every retry but for its date.
pub(super) fn mail(message: &Outgoing, from: &MailFrom, now: Timestamp) -> Result<Message, Unsendable> {
    if message.channel != Channel::Email {
        return Err(Unsendable::Channel);
    }
    if has_control(&message.subject) {
        return Err(Unsendable::Subject);
    }
    if message.from_name.as_deref().is_some_and(has_control) {
        return Err(Unsendable::FromName);
    }
    let mail = match &message.reply_to {
        Some(address) => Message::builder().reply_to(mailbox(address, Unsendable::ReplyTo)?),
        None => Message::builder(),
    };
    let mail = mail
        .message_id(Some(format!("<{}@{}>", message.id, from.domain())))
        .date(system_time(now))
        .from(from.of(message).map_err(|_| Unsendable::FromEmail)?)
        .to(mailbox(&message.to, Unsendable::Recipient)?)
        .subject(message.subject.as_str())
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"));
    let text = SinglePart::plain(message.text.clone());
    let mail = match &message.html {
        Some(html) => mail.multipart(alternatives(message).singlepart(text).singlepart(SinglePart::html(html.clone()))),
        None => mail.singlepart(text),
    };
    mail.map_err(|_| Unsendable::Mail)
}

fn mailbox(address: &str, otherwise: Unsendable) -> Result<lettre::message::Mailbox, Unsendable> {
    let address: lettre::Address = address.parse().map_err(|_| otherwise)?;
    Ok(address.into())
}

/// `=_` is in no quoted-printable or base64 text, and the identifier is unknown to whoever wrote the template.
fn alternatives(message: &Outgoing) -> lettre::message::MultiPartBuilder {
    let kind = lettre::message::MultiPartKind::Alternative;
    MultiPart::builder().kind(kind).boundary(format!("=_{}", message.id))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis().try_into().unwrap_or(0))
}
