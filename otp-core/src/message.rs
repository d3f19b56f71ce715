//! Messages: [`Mailer`], what it is handed, and the record of it in the queue. Most carry the code of a challenge to an end
//! user; the others are [notices](crate::notice) of the installation to the people who run its tenants.

mod attempt;
mod circuit;
mod failover;
mod segments;
mod step;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::event::days;
use crate::id::{ChallengeId, MessageId, TenantId};
use crate::locale::Locale;
use crate::notice::SealedNotice;
use crate::passcode::{Derivation, PasscodeFormat};
use crate::provider::OwnProvider;
use crate::secret::{Digest32, Sealed, Secret};
use crate::store::{Due, Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;
use crate::suppression::SuppressionReason;
use crate::tenant::Space;

pub use attempt::{Attempt, AttemptOutcome, Handover};
pub use circuit::{CallId, CircuitState};
pub use failover::{Failover, ProviderState};
pub use segments::{Segments, SmsEncoding};
pub use step::{Charge, Step};

/// The way a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// E-mail.
    Email,
    /// Text message.
    Sms,
    /// WhatsApp.
    Whatsapp,
}

impl Channel {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
            Channel::Whatsapp => "whatsapp",
        }
    }

    /// All of them.
    pub const ALL: [Channel; 3] = [Channel::Email, Channel::Sms, Channel::Whatsapp];

    pub(crate) const fn byte(self) -> u8 {
        self as u8 + 1
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.byte() == byte)
    }
}

/// A rendered message, ready to leave. `Debug` shows neither the text nor the address.
#[derive(Clone)]
pub struct Outgoing {
    /// The message; the same on every retry, so providers can tell a repeat.
    pub id: MessageId,
    /// Whose message it is; [`TenantId::INSTALLATION`] for a notice.
    pub tenant: TenantId,
    /// Who is to take it instead of the installation's providers, in the order in which they are preferred.
    pub providers: Arc<[OwnProvider]>,
    /// How it travels.
    pub channel: Channel,
    /// Address or E.164 number of the recipient.
    pub to: String,
    /// The name shown as sender, where it is not the installation's own; the address is the mailer's.
    pub from_name: Option<String>,
    /// The sender's address where the tenant set one, of a domain that is its own; the mailer's otherwise.
    pub from_email: Option<String>,
    /// Where answers go, where the tenant set it.
    pub reply_to: Option<String>,
    /// Subject line, without line breaks.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML, for e-mail.
    pub html: Option<String>,
    /// The code that the message carries; most notices have none.
    pub code: Option<Secret>,
    /// When the code dies or the notice is old news; a try after that is pointless.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("id", &self.id).field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// A provider took the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's own id of the message.
    pub provider_id: Option<String>,
    /// The parts of a text message, where the provider counted them.
    pub segments: Option<u32>,
    /// The provider's name, where there are several.
    pub provider: Option<String>,
}

/// A provider did not take the message. The reason is kept and shown to the tenant: it must name no code and no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may take it later: refused for now, or could not be reached.
    #[error("temporary: {reason}")]
    Temporary {
        /// What the provider said.
        reason: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It takes no such messages as things are, and nothing is wrong with this one: a credential is dead, a quota is used up,
    /// a sender is not set up. Another provider may take it, and so may this one once somebody has put that right.
    #[error("unusable: {reason}")]
    Unusable {
        /// What the provider said.
        reason: String,
    },
    /// It takes nothing to this recipient: there is no such mailbox, or whoever has it wants nothing. No other provider is
    /// to try.
    #[error("permanent: {reason}")]
    Recipient {
        /// What the provider said.
        reason: String,
        /// Why nothing more is sent there.
        suppress: SuppressionReason,
    },
    /// It will never take this message.
    #[error("permanent: {reason}")]
    Permanent {
        /// What the provider said.
        reason: String,
    },
}

impl SendError {
    /// What the provider said.
    pub fn reason(&self) -> &str {
        match self {
            SendError::Temporary { reason, .. }
            | SendError::Unusable { reason }
            | SendError::Permanent { reason }
            | SendError::Recipient { reason, .. } => reason,
        }
    }
}

/// Sends messages. One small trait for every channel; a retry of the same message has the same id.
///
/// ```
/// use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
///
/// struct Stdout;
///
/// #[async_trait::async_trait]
/// impl Mailer for Stdout {
///     async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
///         println!("to {}: {}", message.to, message.subject);
///         Ok(Receipt::default())
///     }
/// }
/// ```
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Hands the message over; `Ok` means that the provider has accepted responsibility for it.
    ///
    /// # Errors
    /// [`SendError::Temporary`] and [`SendError::Unusable`] to be tried again, [`SendError::Permanent`] and
    /// [`SendError::Recipient`] never.
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError>;

    /// As [`send`](Self::send), with each try for itself. Only what tries several providers has to write this.
    async fn hand_over(&self, message: &Outgoing, now: Timestamp) -> Handover {
        Handover::once(now, self.send(message).await)
    }

    /// Asks a tenant's provider whether it works, and sends nothing. Only a mailer that hands messages to
    /// [those](Outgoing::providers) has to write this.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    async fn probe(&self, provider: &OwnProvider) -> Result<(), String> {
        let _ = provider;
        Err("this installation sends all messages by itself; delete the provider".to_owned())
    }
}

#[async_trait]
impl<M: Mailer + ?Sized> Mailer for Arc<M> {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        (**self).send(message).await
    }

    async fn hand_over(&self, message: &Outgoing, now: Timestamp) -> Handover {
        (**self).hand_over(message, now).await
    }

    async fn probe(&self, provider: &OwnProvider) -> Result<(), String> {
        (**self).probe(provider).await
    }
}

/// How a message in the queue stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum MessageState {
    /// Waits to be sent, for the first time or again.
    Queued,
    /// A provider took it.
    Sent {
        /// When.
        at: Timestamp,
        /// The provider's id of it.
        provider_id: Option<String>,
        /// The parts of a text message, where the provider counted them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        segments: Option<u32>,
    },
    /// No provider will ever take it.
    Failed {
        /// When that was known.
        at: Timestamp,
        /// What the provider said.
        reason: String,
    },
    /// A hook did not let it leave.
    Vetoed {
        /// When it was asked.
        at: Timestamp,
        /// What it said.
        reason: String,
    },
    /// Its code died, or it became old news, before a provider took it.
    Expired {
        /// When that was noticed.
        at: Timestamp,
    },
    /// Of test mode: shown to the tenant, never sent.
    Held,
}

/// A message in the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Identifier, the same for every try.
    pub id: MessageId,
    /// Tenant and mode; the installation's for a notice.
    pub space: Space,
    /// What it carries.
    #[serde(flatten)]
    pub content: Content,
    /// Whose address it goes to, and what `address`, `client` and the content are sealed for.
    pub subject: SubjectKey,
    /// How it travels.
    pub channel: Channel,
    /// Where to, sealed.
    pub address: Sealed,
    /// Who asked, sealed.
    pub client: Option<Sealed>,
    /// When the code dies or the notice is old news: from then on there is no use in sending it.
    #[serde(rename = "code_expires_at")]
    pub pointless_at: Timestamp,
    /// When it was queued.
    pub created_at: Timestamp,
    /// Tries so far.
    pub tries: u32,
    /// What the provider said last.
    pub last_error: Option<String>,
    /// The last tries, ten at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// For how many days the tenant can look at it.
    #[serde(default = "crate::event::kept_days")]
    pub days: u32,
    /// How it stands.
    pub state: MessageState,
    /// When it is due and who works on it; kept beside the body, because claiming changes nothing else.
    #[serde(skip)]
    pub due: Due,
}

/// What a message carries. Its fields stand among the message's own, where those of a code have always been.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// A notice of the installation.
    Notice {
        /// Which one.
        notice: SealedNotice,
    },
    /// The code of a challenge.
    Passcode(CodeOf),
}

/// Which code a message carries. It holds no code: the worker derives it from the same inputs as the challenge did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeOf {
    /// The challenge.
    pub challenge: ChallengeId,
    /// What the code is for.
    pub purpose: String,
    /// What the recipient reads, if the request told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Digest of what is being approved.
    pub context: Option<Digest32>,
    /// What is being approved, sealed.
    pub context_text: Option<Sealed>,
    /// Which master key the code is derived with.
    pub kid: u8,
    /// Alphabet and length of the code.
    pub format: PasscodeFormat,
    /// Set if it is sent only when the one before did not bring the code back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
}

impl CodeOf {
    /// What the code is derived from, in a message of this space to this subject.
    pub fn derivation<'a>(&'a self, space: Space, subject: &'a SubjectKey) -> Derivation<'a> {
        Derivation {
            space,
            challenge: self.challenge,
            kid: self.kid,
            purpose: &self.purpose,
            subject,
            context: self.context.as_ref(),
            format: self.format,
        }
    }
}

impl Stored for Message {
    const KIND: Kind = Kind::Message;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.owner())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.created_at + days(self.days))
    }

    fn due(&self) -> Option<&Due> {
        Some(&self.due)
    }

    fn due_mut(&mut self) -> Option<&mut Due> {
        Some(&mut self.due)
    }
}
