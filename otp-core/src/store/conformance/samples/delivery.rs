//! What is known of messages and recipients from providers, and an event that tells of it.

use std::time::Duration;

use super::{NOW, digest, id, sealed, space, subject};
use crate::delivery::{DeliveryStatus, MessageReport};
use crate::event::{Event, EventData, Person};
use crate::id::{EndpointId, EventId, MessageId, TenantId};
use crate::message::Channel;
use crate::store::Due;
use crate::subject::SubjectKey;
use crate::suppression::{Suppression, SuppressionReason};

pub(super) fn message_report(tenant: TenantId, number: u64) -> MessageReport {
    MessageReport {
        message: MessageId::from_bytes(id(number)),
        space: space(tenant),
        status: DeliveryStatus::Bounced,
        at: NOW,
        delivered_at: number.is_multiple_of(2).then_some(NOW),
        provider: "Resend".into(),
        provider_id: Some(format!("id {number}")),
        reason: None,
        suppressed: Some(SuppressionReason::HardBounce),
        expires_at: Some(NOW + Duration::from_secs(600)),
    }
}

pub(super) fn suppression(tenant: TenantId, number: u64) -> Suppression {
    Suppression {
        space: space(tenant),
        subject: SubjectKey::from_bytes(digest(&[7, number])),
        address: number.is_multiple_of(2).then(|| sealed(tenant, number)),
        reason: SuppressionReason::Stop,
        at: NOW,
        provider: Some("Twilio".into()),
        note: None,
        until: number.is_multiple_of(2).then_some(NOW + Duration::from_secs(600)),
    }
}

pub(super) fn event(tenant: TenantId, number: u64) -> Event {
    let person = Person { subject: subject(tenant, number), user: None, address: None, client: None, days: 7 };
    Event {
        id: EventId::from_bytes(id(number)),
        space: space(tenant),
        at: NOW,
        person: Some(person),
        data: EventData::MessageFailed {
            message_id: MessageId::from_bytes(id(number)),
            channel: Channel::Sms,
            reason: "\u{0} ' \" \\ \u{10ffff}".into(),
            status: DeliveryStatus::Failed,
        },
        endpoints: vec![EndpointId::from_bytes(id(number))],
        due: Due::default(),
    }
}
