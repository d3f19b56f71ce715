//! `OTP_MAIL_FROM`: who mail comes from.

use std::fmt;
use std::str::FromStr;

use lettre::address::AddressError;
use lettre::message::Mailbox;
use otp_core::message::Outgoing;

/// Name and address of the sender, as in `OTP Auth <noreply@example.com>`; the name may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom(Mailbox);

/// The text is no sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMailFrom {
    /// It is not one name and one address.
    #[error(
        "it is not one sender; write `Name <user@example.com>` or `user@example.com`, and put a name with a comma or a \
         similar sign in double quotes"
    )]
    Form,
    /// A header field cannot hold it.
    #[error("it has a line break or another control character; remove that")]
    ControlCharacter,
}

impl FromStr for MailFrom {
    type Err = InvalidMailFrom;

    fn from_str(text: &str) -> Result<Self, InvalidMailFrom> {
        if text.chars().any(char::is_control) {
            return Err(InvalidMailFrom::ControlCharacter);
        }
        text.trim().parse().map(Self).map_err(|_| InvalidMailFrom::Form)
    }
}

impl MailFrom {
    /// The sender of a message, which may have a name and an address of its own.
    pub(super) fn of(&self, message: &Outgoing) -> Result<Mailbox, AddressError> {
        let name = message.from_name.clone().or_else(|| self.0.name.clone());
        let address = message.from_email.as_deref().map(str::parse).transpose()?;
        Ok(Mailbox::new(name, address.unwrap_or_else(|| self.0.email.clone())))
    }

    /// The part behind the @.
    pub(super) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

impl fmt::Display for MailFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
