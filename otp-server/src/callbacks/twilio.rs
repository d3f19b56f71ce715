//! Twilio: status callbacks and incoming messages, <https://www.twilio.com/docs/usage/security#validating-requests>.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use otp_core::Secret;
use otp_core::delivery::DeliveryStatus;
use otp_core::subject::PhoneNumber;
use otp_core::suppression::SuppressionReason;
use ring::hmac;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::{Arrived, Refused, Told, Word};
use crate::outbound::Endpoint;

const SIGNATURE: &str = "x-twilio-signature";
/// Of a body that is no form, which the URL then names by its digest.
const BODY_DIGEST: &str = "bodySHA256";
/// The error of a message to somebody who has answered STOP.
const OPTED_OUT: &str = "21610";

type Fields = BTreeMap<String, BTreeSet<String>>;

/// What Twilio's requests are known by. The signature has no time in it.
pub struct TwilioCallbacks {
    /// The account's token.
    pub token: Secret,
    /// The URL by which Twilio reaches this server: it is part of what is signed.
    pub reached_at: Endpoint,
}

impl TwilioCallbacks {
    pub(super) fn verify(&self, arrived: &Arrived<'_>) -> Result<Vec<Told>, Refused> {
        let signature = arrived.header(SIGNATURE).and_then(|text| BASE64_STANDARD.decode(text).ok());
        let signature = signature.ok_or(Refused::Forged)?;
        let query = fields(arrived.target.split_once('?').map_or("", |(_, query)| query).as_bytes());
        let form = match first(&query, BODY_DIGEST) {
            Some(digest) => {
                let found: String = Sha256::digest(arrived.body).iter().map(|byte| format!("{byte:02x}")).collect();
                if !digest.eq_ignore_ascii_case(&found) {
                    return Err(Refused::Forged);
                }
                Fields::new()
            }
            None => fields(arrived.body),
        };
        if !self.is_signed(arrived.target, &form, &signature) {
            return Err(Refused::Forged);
        }
        Ok(told(&query, &form).into_iter().collect())
    }

    /// Proxies on the way may have added the usual port or taken it out.
    fn is_signed(&self, target: &str, form: &Fields, signature: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.token.expose().as_bytes());
        self.reached_at.spellings().iter().any(|base| {
            let mut signed = format!("{base}{target}");
            for (name, value) in form.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value))) {
                signed.push_str(name);
                signed.push_str(value);
            }
            hmac::verify(&key, signed.as_bytes(), signature).is_ok()
        })
    }
}

fn fields(encoded: &[u8]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(encoded).into_owned() {
        fields.entry(name).or_default().insert(value);
    }
    fields
}

fn first<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name)?.first().map(String::as_str)
}

fn told(query: &Fields, form: &Fields) -> Option<Told> {
    if let Some(kind) = first(form, "OptOutType") {
        let from = first(form, "From")?;
        let number = from.strip_prefix("whatsapp:").unwrap_or(from).parse::<PhoneNumber>().ok()?;
        return match kind {
            "STOP" => Some(Told::OptedOut(number)),
            "START" => Some(Told::OptedIn(number)),
            _ => None,
        };
    }
    let word = Word {
        name: "Twilio",
        provider: "twilio",
        message: first(query, "message"),
        customer: None,
        provider_id: first(form, "MessageSid").or_else(|| first(form, "SmsSid")),
    };
    let error = first(form, "ErrorCode").filter(|code| !code.is_empty());
    let named = error.map(|code| format!("error {code}"));
    match first(form, "MessageStatus").or_else(|| first(form, "SmsStatus"))? {
        "delivered" | "read" => Some(word.says(DeliveryStatus::Delivered, None, &[])),
        status @ ("failed" | "undelivered" | "canceled") => {
            let stop = (error == Some(OPTED_OUT)).then_some(SuppressionReason::Stop);
            Some(word.says(DeliveryStatus::Failed, stop, &[Some(status), named.as_deref()]))
        }
        _ => None,
    }
}
