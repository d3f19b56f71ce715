//! A gateway of the operator's own, which tells as it is told: JSON, signed as of Standard Webhooks with the same secret.

use otp_core::delivery::DeliveryStatus;
use otp_core::suppression::SuppressionReason;
use otp_core::webhook::ReceiverKey;
use serde::Deserialize;

use super::{Arrived, Refused, Told, Word};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    message_id: String,
    customer_id: Option<String>,
    status: Status,
    id: Option<String>,
    reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Delivered,
    Failed,
    Bounced,
    Complained,
    OptedOut,
}

pub(super) fn verify(key: &ReceiverKey, arrived: &Arrived<'_>) -> Result<Vec<Told>, Refused> {
    arrived.is_signed("webhook", key)?;
    let event: Event = serde_json::from_slice(arrived.body).map_err(|_| Refused::Unreadable)?;
    let word = Word {
        name: "the gateway",
        provider: "gateway",
        message: Some(&event.message_id),
        customer: event.customer_id.as_deref(),
        provider_id: event.id.as_deref(),
    };
    let (status, suppress, name) = match event.status {
        Status::Delivered => (DeliveryStatus::Delivered, None, None),
        Status::Failed => (DeliveryStatus::Failed, None, Some("failed")),
        Status::Bounced => (DeliveryStatus::Bounced, Some(SuppressionReason::HardBounce), Some("bounced")),
        Status::Complained => (DeliveryStatus::Complained, Some(SuppressionReason::Complaint), Some("complained")),
        Status::OptedOut => (DeliveryStatus::Failed, Some(SuppressionReason::Stop), Some("opted out")),
    };
    Ok(vec![word.says(status, suppress, &[name, event.reason.as_deref()])])
}
