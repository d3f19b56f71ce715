//! A provider tells what became of a message.

use super::EventSource;
use crate::clock::Timestamp;
use crate::delivery::{DeliveryReport, DeliveryStatus, MessageReport, Recorded};
use crate::event::EventData;
use crate::id::EventId;
use crate::message::Message;
use crate::store::{Add, Changes, Command, Key, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::suppression::Suppression;
use crate::tenant::Space;
use crate::usage::{Counter, CounterKey, Span};

/// Writes down a provider's word: what is known of the message, the event, the counts and the suppression at once. It runs
/// in the recipient's scope, so that it finds nothing of somebody who is being erased.
pub(crate) struct RecordDelivery {
    pub space: Space,
    /// Of the address that the message went to.
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    pub report: DeliveryReport,
    /// What the report wants written of the recipient.
    pub suppress: Option<Suppression>,
    pub event: EventId,
    pub now: Timestamp,
}

impl Command for RecordDelivery {
    type Outcome = Recorded;

    fn reads(&self) -> Reads {
        let message = Key::new::<Message>(self.space.tenant, self.report.message.as_bytes());
        let suppression = Suppression::key_of(self.space, &self.subject);
        let wanted = [message, MessageReport::key_of(&message), suppression].map(Read::Record).to_vec();
        Reads { scope: Scope::Subject(self.space.tenant, self.bucket), wanted }
    }

    fn decide(&self, seen: &Snapshot) -> (Recorded, Changes) {
        let Some(message) = seen.one::<Message>() else { return (Recorded::Unknown, Changes::none()) };
        let known = seen.one::<MessageReport>();
        let is_news = known.is_none_or(|known| known.status < self.report.status);
        // Only once: what the tenant takes off the list stays off it when the provider repeats itself.
        let suppress = self.report.suppress.filter(|_| known.is_none_or(|known| known.suppressed.is_none()));
        if !is_news && suppress.is_none() {
            return (Recorded::Repeated, Changes::none());
        }
        let mut changes = Changes::none();
        let report = match known.filter(|_| !is_news) {
            Some(known) => known.clone(),
            None => self.known_of(message, known),
        };
        let suppressed = suppress.or(report.suppressed);
        changes.put(MessageReport { suppressed, ..report });
        if is_news {
            changes.adds.extend(self.counter(message, known).map(Add::one));
            let person = message.person();
            let source = EventSource { space: self.space, at: self.now, person: Some(&person) };
            changes.put(source.event(self.event, self.told(message)));
        }
        let is_suppressed = seen.one::<Suppression>().is_some_and(Suppression::is_lasting);
        if let Some(suppression) = self.suppress.as_ref().filter(|_| suppress.is_some() && !is_suppressed) {
            changes.put(suppression.clone());
        }
        (Recorded::New, changes)
    }
}

impl RecordDelivery {
    fn known_of(&self, message: &Message, before: Option<&MessageReport>) -> MessageReport {
        let DeliveryReport { status, provider, provider_id, reason, .. } = &self.report;
        let delivered_at = (*status == DeliveryStatus::Delivered).then_some(self.now);
        MessageReport {
            message: message.id,
            space: message.space,
            status: *status,
            at: self.now,
            delivered_at: delivered_at.or(before.and_then(|before| before.delivered_at)),
            provider: (*provider).to_owned(),
            provider_id: provider_id.clone(),
            reason: reason.clone(),
            suppressed: before.and_then(|before| before.suppressed),
            expires_at: message.expires_at(),
        }
    }

    /// What is counted; a message that did not arrive once, even if two of its tries tell so.
    fn counter(&self, message: &Message, before: Option<&MessageReport>) -> Option<CounterKey> {
        let was_undelivered = before.is_some_and(|before| before.status != DeliveryStatus::Delivered);
        let counter = match self.report.status {
            DeliveryStatus::Delivered => Counter::MessagesDelivered(message.channel),
            DeliveryStatus::Complained => Counter::MessagesComplained(message.channel),
            DeliveryStatus::Failed | DeliveryStatus::Bounced if was_undelivered => return None,
            DeliveryStatus::Failed | DeliveryStatus::Bounced => Counter::MessagesUndelivered(message.channel),
        };
        Some(CounterKey::at(message.space, counter, Span::Hour, self.now))
    }

    fn told(&self, message: &Message) -> EventData {
        let DeliveryReport { status, provider, reason, .. } = &self.report;
        let (message_id, channel) = (message.id, message.channel);
        match status {
            DeliveryStatus::Delivered => {
                EventData::MessageDelivered { message_id, channel, provider: (*provider).to_owned() }
            }
            status => {
                let reason = reason.clone().unwrap_or_else(|| (*provider).to_owned());
                EventData::MessageFailed { message_id, channel, reason, status: *status }
            }
        }
    }
}
