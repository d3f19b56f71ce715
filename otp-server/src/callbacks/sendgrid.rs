//! SendGrid's event webhook: <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>.
//!
//! Batches are signed when they are first sent and repeated for a day. That a batch which was kept by somebody is sent once
//! more does no harm: what it tells is known.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use otp_core::Timestamp;
use otp_core::delivery::DeliveryStatus;
use otp_core::suppression::SuppressionReason;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use super::{Arrived, Refused, Told, Word};

const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";
/// What stands before the point in the SubjectPublicKeyInfo of every key on P-256 (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The verification key of a signed event webhook: a point on P-256.
#[derive(Clone)]
pub struct EventKey([u8; 65]);

/// The text is no verification key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is the verification key as SendGrid shows it, in base64: `MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE…`")]
pub struct InvalidEventKey;

impl EventKey {
    /// Reads a key as SendGrid shows it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidEventKey> {
        let der = BASE64_STANDARD.decode(text).map_err(|_| InvalidEventKey)?;
        let point = der.strip_prefix(&SPKI).and_then(|point| point.try_into().ok());
        point.filter(|point: &[u8; 65]| point[0] == 4).map(Self).ok_or(InvalidEventKey)
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventKey")
    }
}

#[derive(Deserialize)]
struct Event {
    event: String,
    message_id: Option<String>,
    customer_id: Option<String>,
    sg_message_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<String>,
    reason: Option<String>,
}

pub(super) fn verify(key: &EventKey, arrived: &Arrived<'_>) -> Result<Vec<Told>, Refused> {
    let (signature, time) = arrived.header(SIGNATURE).zip(arrived.header(TIMESTAMP)).ok_or(Refused::Forged)?;
    let at = time.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000)).ok_or(Refused::Forged)?;
    if !arrived.is_of_late(Timestamp::from_millis(at)) {
        return Err(Refused::Forged);
    }
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| Refused::Forged)?;
    let signed = [time.as_bytes(), arrived.body].concat();
    let point = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.0);
    point.verify(&signed, &signature).map_err(|_| Refused::Forged)?;
    let events: Vec<Value> = serde_json::from_slice(arrived.body).map_err(|_| Refused::Unreadable)?;
    // Events of other kinds may have other fields; they are none of ours.
    let events = events.into_iter().filter_map(|event| serde_json::from_value::<Event>(event).ok());
    Ok(events.filter_map(|event| event.told()).collect())
}

impl Event {
    fn told(&self) -> Option<Told> {
        let word = Word {
            name: "SendGrid",
            provider: "sendgrid",
            message: self.message_id.as_deref(),
            customer: self.customer_id.as_deref(),
            provider_id: self.sg_message_id.as_deref(),
        };
        let hard = Some(SuppressionReason::HardBounce);
        let status = self.status.as_deref();
        Some(match (self.event.as_str(), self.kind.as_deref(), self.reason.as_deref()) {
            ("delivered", ..) => word.says(DeliveryStatus::Delivered, None, &[]),
            ("bounce", Some("blocked"), _) => word.says(DeliveryStatus::Bounced, None, &[Some("blocked"), status]),
            ("bounce", ..) => word.says(DeliveryStatus::Bounced, hard, &[Some("bounce"), status]),
            // It is on one of SendGrid's own lists, and was not sent this time.
            ("dropped", _, Some(reason @ "Bounced Address")) => {
                word.says(DeliveryStatus::Bounced, hard, &[Some("dropped"), Some(reason)])
            }
            ("dropped", _, Some(reason @ "Spam Reporting Address")) => {
                let complaint = Some(SuppressionReason::Complaint);
                word.says(DeliveryStatus::Failed, complaint, &[Some("dropped"), Some(reason)])
            }
            ("dropped", ..) => word.says(DeliveryStatus::Failed, None, &[Some("dropped")]),
            ("spamreport", ..) => {
                word.says(DeliveryStatus::Complained, Some(SuppressionReason::Complaint), &[Some("spamreport")])
            }
            _ => return None,
        })
    }
}
