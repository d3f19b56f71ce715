//! An event of each kind, made up: what endpoints are tried with and the documentation shows.

use serde_json::{Value, json};

use super::{EventData, EventKind};
use crate::api_key::KeyType;
use crate::clock::Timestamp;
use crate::delivery::DeliveryStatus;
use crate::id::{ChallengeId, KeyId, MessageId, SessionId, UserId};
use crate::limit::{Guard, LimitOf};
use crate::message::Channel;
use crate::numbering::Country;
use crate::tenant::{Mode, TenantStatus};

const AT: Timestamp = Timestamp::from_millis(1_769_847_330_123);
const LATER: Timestamp = Timestamp::from_millis(1_769_904_000_000);
const ID: [u8; 16] = [0x01, 0x9c, 0x13, 0x2f, 0x21, 0x0b, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
const OTHER: [u8; 16] = [0x01, 0x9c, 0x13, 0x2f, 0x21, 0x0b, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8];

impl EventKind {
    /// What a made-up event of this kind says.
    pub fn sample(self) -> EventData {
        let (challenge_id, message_id) = (ChallengeId::from_bytes(ID), MessageId::from_bytes(ID));
        let (key_id, session_id) = (KeyId::from_bytes(ID), SessionId::from_bytes(ID));
        let (channel, purpose, period) = (Channel::Email, "login".to_owned(), "day".to_owned());
        let (key_type, mode, name) = (KeyType::Secret, Mode::Live, "Production server".to_owned());
        match self {
            EventKind::OtpRequested => EventData::OtpRequested {
                challenge_id,
                purpose,
                channel,
                repeated: false,
                message_id: Some(message_id),
                fallback_ids: Vec::new(),
                sealed_metadata: None,
            },
            EventKind::OtpVerified => EventData::OtpVerified { challenge_id, purpose },
            EventKind::OtpFailed => EventData::OtpFailed { challenge_id, remaining_attempts: 4 },
            EventKind::UserCreated => EventData::UserCreated {},
            EventKind::UserLoggedIn => EventData::UserLoggedIn { session_id, is_new_user: true },
            EventKind::UserLoggedOut => {
                EventData::UserLoggedOut { session_id: Some(session_id), everywhere: false, sessions: 1 }
            }
            EventKind::TotpEnabled => EventData::TotpEnabled {},
            EventKind::TotpDisabled => EventData::TotpDisabled {},
            EventKind::TotpFailed => EventData::TotpFailed { remaining_attempts: 4 },
            EventKind::RecoveryCodeUsed => EventData::RecoveryCodeUsed { remaining: 9 },
            EventKind::UserDeleted => EventData::UserDeleted { user_id: UserId::from_bytes(ID) },
            EventKind::QuotaWarning => EventData::QuotaWarning { period, used: 400, limit: 500, renewed_at: LATER },
            EventKind::QuotaExceeded => EventData::QuotaExceeded { period, used: 500, limit: 500, renewed_at: LATER },
            EventKind::ChannelGuarded => {
                EventData::ChannelGuarded { guard: Guard::DailySpend, country: Country::SAMPLE, until: LATER }
            }
            EventKind::ErrorRateHigh => {
                EventData::ErrorRateHigh { failed: 12, requests: 100, error_rate: 0.12, since: AT }
            }
            EventKind::MessageDelivered => {
                EventData::MessageDelivered { message_id, channel, provider: "resend".to_owned() }
            }
            EventKind::MessageFailed => EventData::MessageFailed {
                message_id,
                channel,
                reason: "550 no such mailbox".to_owned(),
                status: DeliveryStatus::Bounced,
            },
            EventKind::ApiKeyCreated => EventData::ApiKeyCreated { key_id, key_type, mode, name },
            EventKind::ApiKeyRotated => {
                let old_key_id = KeyId::from_bytes(OTHER);
                EventData::ApiKeyRotated { key_id, old_key_id, grace_seconds: 604_800 }
            }
            EventKind::ApiKeyRevoked => EventData::ApiKeyRevoked { key_id },
            EventKind::ApiKeyExpiring => EventData::ApiKeyExpiring { key_id, key_type, mode, name, expires_at: LATER },
            EventKind::ApiKeyExposed => EventData::ApiKeyExposed { key_id },
            EventKind::RateLimitExceeded => {
                EventData::RateLimitExceeded { limit_of: LimitOf::Recipient, limit: 3, reset_at: LATER }
            }
            EventKind::WebhookTest => {
                EventData::WebhookTest { message: "It works. Nothing happened; this is a test.".to_owned() }
            }
            EventKind::CustomerStatusChanged => EventData::CustomerStatusChanged {
                old_status: TenantStatus::Active,
                new_status: TenantStatus::Suspended,
                reason: Some("An invoice is open.".to_owned()),
            },
        }
    }

    /// The same in the words of the wire, with whom it would be about.
    pub fn sample_payload(self) -> Value {
        let mut payload = Value::Object(self.sample().payload());
        if self == EventKind::OtpRequested {
            payload["metadata"] = json!({"order": "4711"});
        }
        if self.is_about_people() {
            payload["userId"] = json!(UserId::from_bytes(ID));
            payload["email"] = "ann@example.org".into();
            payload["phone"] = Value::Null;
            payload["ipAddress"] = "203.0.113.7".into();
            payload["userAgent"] = "Mozilla/5.0".into();
        }
        payload
    }
}
