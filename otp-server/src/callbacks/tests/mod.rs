//! What services sign, and what they could not have signed.

mod peers;
mod told;
mod urls;

use http::{HeaderMap, HeaderName, HeaderValue};
use otp_core::delivery::{DeliveryReport, DeliveryStatus};
use otp_core::suppression::SuppressionReason;
use otp_core::{Clock, ManualClock, MessageId, TenantId, Timestamp};

use super::{Arrived, CallbackVerifier, Refused, Told};

const MESSAGE: &str = "msg_11111111111111111111B2";
const CUSTOMER: &str = "cust_11111111111111111111C3";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn now() -> Timestamp {
    ManualClock::default().now()
}

fn message() -> MessageId {
    MESSAGE.parse().unwrap()
}

fn customer() -> TenantId {
    CUSTOMER.parse().unwrap()
}

/// A request of a service, which can be changed before it arrives.
#[derive(Clone)]
struct Sent {
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
    now: Timestamp,
}

impl Sent {
    fn new(body: impl Into<Vec<u8>>) -> Self {
        let target = format!("/callbacks/any/{CUSTOMER}?message={MESSAGE}");
        Self { target, headers: HeaderMap::new(), body: body.into(), now: now() }
    }

    fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value.as_ref()).unwrap());
        self
    }

    async fn at(&self, verifier: &CallbackVerifier) -> Result<Vec<Told>, Refused> {
        let Sent { target, headers, body, now } = self;
        verifier.verify(&Arrived { target, headers, body, now: *now }).await
    }

    /// Whatever is changed of it, it is refused; without that it is not.
    async fn is_bound(&self, verifier: &CallbackVerifier, headers: &[&'static str]) {
        assert!(self.at(verifier).await.is_ok());
        for place in [0, self.body.len() / 2, self.body.len() - 1] {
            let mut changed = self.clone();
            changed.body[place] ^= 1;
            assert_eq!(changed.at(verifier).await, Err(Refused::Forged), "byte {place} of the body");
        }
        for name in headers {
            let mut without = self.clone();
            let value = without.headers.remove(*name).unwrap_or_else(|| panic!("{name}")).to_str().unwrap().to_owned();
            assert_eq!(without.at(verifier).await, Err(Refused::Forged), "without {name}");
            let mut signs: Vec<char> = value.chars().collect();
            // The third, because the last of base64 may hold bits that count for nothing.
            let place = value.len().min(5) - 1;
            signs[place] = if signs[place] == '1' { '2' } else { '1' };
            let changed = self.clone().header(name, signs.into_iter().collect::<String>());
            assert_eq!(changed.at(verifier).await, Err(Refused::Forged), "another {name}");
        }
    }
}

fn fate(
    name: &'static str,
    status: DeliveryStatus,
    suppress: Option<SuppressionReason>,
    reason: Option<&str>,
    id: &str,
) -> Told {
    let names = [("Resend", "resend"), ("SendGrid", "sendgrid"), ("Amazon SES", "ses"), ("Twilio", "twilio")];
    let provider = names.into_iter().find(|(known, _)| *known == name).map_or("gateway", |(_, word)| word);
    let report = DeliveryReport {
        message: message(),
        status,
        suppress,
        provider,
        provider_id: Some(id.to_owned()),
        reason: reason.map(str::to_owned),
    };
    Told::Fate { customer: Some(customer()), report }
}
