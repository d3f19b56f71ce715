//! Amazon SES, whose events come through a topic of Amazon SNS:
//! <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>.
//!
//! A notice is signed when it is published and repeated for hours. That one which was kept by somebody is sent once more
//! does no harm: what it tells is known.

use std::collections::HashMap;

use otp_core::Timestamp;
use otp_core::delivery::DeliveryStatus;
use otp_core::suppression::SuppressionReason;
use serde::Deserialize;

use super::sns::{Notice, Sns, Topic};
use super::{Arrived, CUSTOMER_TAG, MESSAGE_TAG, Refused, Told, Word};
use crate::outbound::{Endpoint, Outbound};

/// What the events of SES are known by.
pub struct SesCallbacks(Sns);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(alias = "notificationType")]
    event_type: String,
    mail: Mail,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    message_id: Option<String>,
    /// Given back only by a configuration set.
    #[serde(default)]
    tags: HashMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: Option<String>,
    bounce_sub_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    complaint_feedback_type: Option<String>,
}

impl SesCallbacks {
    /// Of a topic. `named` is the place that SES was said to be at, if it was: its word is taken for that of SNS too.
    pub fn new(topic: Topic, named: Option<Endpoint>, outbound: Outbound) -> Self {
        Self(Sns::new(topic, named, outbound))
    }

    pub(super) async fn verify(&self, arrived: &Arrived<'_>) -> Result<Vec<Told>, Refused> {
        // There is no other signature than the one in the body.
        let notice: Notice = serde_json::from_slice(arrived.body).map_err(|_| Refused::Forged)?;
        let at: Timestamp = notice.timestamp.parse().map_err(|_| Refused::Forged)?;
        if !arrived.is_of_late(at) {
            return Err(Refused::Forged);
        }
        self.0.check(&notice).await?;
        match notice.kind.as_str() {
            "Notification" => told(&notice.message),
            "SubscriptionConfirmation" => {
                self.0.subscribe(&notice).await?;
                tracing::info!("the topic of Amazon SNS tells of mails from now on");
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }
}

fn told(message: &str) -> Result<Vec<Told>, Refused> {
    // What SNS says when events are switched on is no JSON.
    let Ok(event) = serde_json::from_str::<Event>(message) else { return Ok(Vec::new()) };
    Ok(event.told().into_iter().collect())
}

impl Event {
    fn told(&self) -> Option<Told> {
        let tag = |name: &str| self.mail.tags.get(name)?.first().map(String::as_str);
        let word = Word {
            name: "Amazon SES",
            provider: "ses",
            message: tag(MESSAGE_TAG),
            customer: tag(CUSTOMER_TAG),
            provider_id: self.mail.message_id.as_deref(),
        };
        Some(match self.event_type.as_str() {
            "Delivery" => word.says(DeliveryStatus::Delivered, None, &[]),
            "Bounce" => {
                let kind = self.bounce.as_ref().and_then(|bounce| bounce.bounce_type.as_deref());
                let sub_kind = self.bounce.as_ref().and_then(|bounce| bounce.bounce_sub_type.as_deref());
                let hard = (kind == Some("Permanent")).then_some(SuppressionReason::HardBounce);
                word.says(DeliveryStatus::Bounced, hard, &[Some("bounce"), kind, sub_kind])
            }
            "Complaint" => {
                let kind = self.complaint.as_ref().and_then(|complaint| complaint.complaint_feedback_type.as_deref());
                let complaint = Some(SuppressionReason::Complaint);
                word.says(DeliveryStatus::Complained, complaint, &[Some("complaint"), kind])
            }
            kind @ ("Reject" | "Rendering Failure") => word.says(DeliveryStatus::Failed, None, &[Some(kind)]),
            _ => return None,
        })
    }
}
