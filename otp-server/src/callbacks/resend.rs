//! Resend: <https://resend.com/docs/dashboard/webhooks/event-types>, signed as of Svix.

use otp_core::delivery::DeliveryStatus;
use otp_core::suppression::SuppressionReason;
use otp_core::webhook::ReceiverKey;
use serde::Deserialize;
use serde_json::Value;

use super::{Arrived, CUSTOMER_TAG, MESSAGE_TAG, Refused, Told, Word};

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    email_id: Option<String>,
    #[serde(default)]
    tags: Value,
    bounce: Option<Bounce>,
}

#[derive(Deserialize)]
struct Bounce {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "subType")]
    sub_kind: Option<String>,
}

pub(super) fn verify(key: &ReceiverKey, arrived: &Arrived<'_>) -> Result<Vec<Told>, Refused> {
    arrived.is_signed("svix", key)?;
    // Other events than those of mails have other data.
    let any: Value = serde_json::from_slice(arrived.body).map_err(|_| Refused::Unreadable)?;
    let kind = any["type"].as_str().ok_or(Refused::Unreadable)?;
    if !kind.starts_with("email.") {
        return Ok(Vec::new());
    }
    let event: Event = serde_json::from_value(any).map_err(|_| Refused::Unreadable)?;
    Ok(event.told().into_iter().collect())
}

impl Event {
    fn told(&self) -> Option<Told> {
        let word = Word {
            name: "Resend",
            provider: "resend",
            message: tag(&self.data.tags, MESSAGE_TAG),
            customer: tag(&self.data.tags, CUSTOMER_TAG),
            provider_id: self.data.email_id.as_deref(),
        };
        let hard = Some(SuppressionReason::HardBounce);
        Some(match self.kind.as_str() {
            "email.delivered" => word.says(DeliveryStatus::Delivered, None, &[]),
            "email.bounced" => {
                let bounce = self.data.bounce.as_ref();
                let kind = bounce.and_then(|bounce| bounce.kind.as_deref());
                let sub_kind = bounce.and_then(|bounce| bounce.sub_kind.as_deref());
                let is_hard = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("permanent"));
                word.says(DeliveryStatus::Bounced, hard.filter(|_| is_hard), &[Some("bounced"), kind, sub_kind])
            }
            // It has bounced there before, and was not sent this time.
            "email.suppressed" => word.says(DeliveryStatus::Bounced, hard, &[Some("suppressed")]),
            "email.complained" => {
                word.says(DeliveryStatus::Complained, Some(SuppressionReason::Complaint), &[Some("complained")])
            }
            "email.failed" => word.says(DeliveryStatus::Failed, None, &[Some("failed")]),
            _ => return None,
        })
    }
}

/// Tags are an object in events, and a list of names and values in requests.
fn tag<'a>(tags: &'a Value, name: &str) -> Option<&'a str> {
    let listed = || tags.as_array()?.iter().find(|tag| tag["name"] == name)?["value"].as_str();
    tags[name].as_str().or_else(listed)
}
