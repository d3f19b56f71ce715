//! What providers tell of messages after they took them.
//!
//! A provider's word is kept beside the message and not in it: it can arrive before the worker has written down that the
//! message was taken, and neither of the two may undo what the other wrote.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::event::Person;
use crate::id::MessageId;
use crate::message::{Message, MessageState};
use crate::store::{Key, Kind, Stored};
use crate::suppression::SuppressionReason;
use crate::tenant::Space;

/// What a provider says became of a message. Providers tell out of order and more than once, so that what stands later in
/// this list is never undone by what stands before it.
///
/// A try that failed may have been followed by another that arrived. A mailbox can be said to have taken a mail and then
/// return it. Whoever complains has the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// The provider gave it up.
    #[default]
    Failed,
    /// The recipient's mailbox or handset has it.
    Delivered,
    /// The recipient's server returned it.
    Bounced,
    /// The recipient called it unwanted.
    Complained,
}

/// A provider's word on one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The message.
    pub message: MessageId,
    /// What became of it.
    pub status: DeliveryStatus,
    /// Why nothing more should be sent to its recipient, if so.
    pub suppress: Option<SuppressionReason>,
    /// What people call the provider.
    pub provider: &'static str,
    /// The provider's own id of the message.
    pub provider_id: Option<String>,
    /// What the provider says, in words that name no address and no code.
    pub reason: Option<String>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is written down.
    New,
    /// Nothing was new in it.
    Repeated,
    /// There is no such message, or no longer, or its fate is no tenant's.
    Unknown,
}

/// What is known of a message from its providers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReport {
    /// The message.
    pub message: MessageId,
    /// Tenant and mode.
    pub space: Space,
    /// What became of it.
    pub status: DeliveryStatus,
    /// Since when that is known.
    pub at: Timestamp,
    /// When it was known to have arrived.
    pub delivered_at: Option<Timestamp>,
    /// Who said so.
    pub provider: String,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// What the provider said.
    pub reason: Option<String>,
    /// Why its recipient was suppressed, if that was the cause.
    pub suppressed: Option<SuppressionReason>,
    /// It goes with the message.
    pub expires_at: Option<Timestamp>,
}

impl MessageReport {
    /// The key of what is known of a message.
    pub(crate) fn key_of(message: &Key) -> Key {
        Key { kind: Kind::MessageReport, ..*message }
    }
}

impl Stored for MessageReport {
    const KIND: Kind = Kind::MessageReport;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.message.as_bytes())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// How a message stands, by its place in the queue and by what its providers told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageStatus {
    /// It waits to be sent, for the first time or again.
    Queued,
    /// A provider took it, and has not told more.
    Sent,
    /// The recipient's mailbox or handset has it.
    Delivered,
    /// The recipient's server returned it.
    Bounced,
    /// The recipient called it unwanted.
    Complained,
    /// It was given up, here or by the provider.
    Failed,
    /// A hook did not let it leave.
    Vetoed,
    /// Its code died before a provider took it.
    Expired,
    /// Of test mode: never sent.
    Held,
}

impl MessageStatus {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Sent,
        Self::Delivered,
        Self::Bounced,
        Self::Complained,
        Self::Failed,
        Self::Vetoed,
        Self::Expired,
        Self::Held,
    ];

    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            MessageStatus::Queued => "queued",
            MessageStatus::Sent => "sent",
            MessageStatus::Delivered => "delivered",
            MessageStatus::Bounced => "bounced",
            MessageStatus::Complained => "complained",
            MessageStatus::Failed => "failed",
            MessageStatus::Vetoed => "vetoed",
            MessageStatus::Expired => "expired",
            MessageStatus::Held => "held",
        }
    }

    /// What a provider says of a message outweighs what the queue knows.
    pub(crate) fn of(message: &Message, report: Option<&MessageReport>) -> Self {
        match (report.map(|report| report.status), &message.state) {
            (Some(DeliveryStatus::Failed), _) => MessageStatus::Failed,
            (Some(DeliveryStatus::Delivered), _) => MessageStatus::Delivered,
            (Some(DeliveryStatus::Bounced), _) => MessageStatus::Bounced,
            (Some(DeliveryStatus::Complained), _) => MessageStatus::Complained,
            (None, MessageState::Queued) => MessageStatus::Queued,
            (None, MessageState::Sent { .. }) => MessageStatus::Sent,
            (None, MessageState::Failed { .. }) => MessageStatus::Failed,
            (None, MessageState::Vetoed { .. }) => MessageStatus::Vetoed,
            (None, MessageState::Expired { .. }) => MessageStatus::Expired,
            (None, MessageState::Held) => MessageStatus::Held,
        }
    }
}

impl Message {
    /// Whom it is for, as the events about it tell.
    pub(crate) fn person(&self) -> Person {
        Person {
            subject: self.subject,
            user: None,
            address: Some(self.address.clone()),
            client: self.client.clone(),
            days: self.days,
        }
    }
}
