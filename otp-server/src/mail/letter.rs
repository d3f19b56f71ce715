//! What every way of sending a mail needs of a message, checked.

use lettre::Address;
use lettre::message::Mailbox;
use otp_core::message::{Channel, Outgoing, SendError};

use super::MailFrom;

/// Tell other programs that nobody reads an answer.
pub(super) const HEADERS: [(&str, &str); 2] =
    [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")];

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

/// A message whose parts can stand in the headers of a mail.
pub(super) struct Letter<'a> {
    pub(super) message: &'a Outgoing,
    pub(super) from: Mailbox,
    pub(super) to: Address,
    pub(super) reply_to: Option<Address>,
    /// With angle brackets, and the same on every retry.
    pub(super) message_id: String,
}

impl<'a> Letter<'a> {
    pub(super) fn of(message: &'a Outgoing, from: &MailFrom) -> Result<Self, Unsendable> {
        if message.channel != Channel::Email {
            return Err(Unsendable::Channel);
        }
        if has_control(&message.subject) {
            return Err(Unsendable::Subject);
        }
        if message.from_name.as_deref().is_some_and(has_control) {
            return Err(Unsendable::FromName);
        }
        let reply_to = message.reply_to.as_deref().map(str::parse).transpose();
        Ok(Self {
            message,
            from: from.of(message).map_err(|_| Unsendable::FromEmail)?,
            to: message.to.parse().map_err(|_| Unsendable::Recipient)?,
            reply_to: reply_to.map_err(|_| Unsendable::ReplyTo)?,
            message_id: format!("<{}@{}>", message.id, from.domain()),
        })
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}
