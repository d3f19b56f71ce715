//! Twilio's Messages: <https://www.twilio.com/docs/messaging/api/message-resource>.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, header};
use otp_core::message::{Channel, Outgoing, Receipt, SendError};
use otp_core::suppression::SuppressionReason;
use otp_core::{Secret, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::TwilioUrl;
use crate::outbound::Answer;
use crate::provider::Verdict::{Elsewhere, Later, Never};
use crate::provider::{Provider, Refusal, Verdict, hidden, message_id};

/// How long a message may wait at Twilio, in seconds.
const VALIDITY: std::ops::RangeInclusive<u64> = 1..=36_000;

pub(super) struct Twilio(pub(super) TwilioUrl);

const STOPPED: Verdict = Verdict::Nowhere(SuppressionReason::Stop);

/// What its error codes mean: <https://www.twilio.com/docs/api/errors>. Codes that are not listed say nothing about the
/// recipient, since Twilio splits them over time.
const CODES: &[(u32, Verdict)] = &[
    (20003, Elsewhere), // not authenticated
    (20404, Elsewhere), // no such account
    (20429, Later),     // too many requests
    (21201, Never),     // no recipient
    (21211, Never),     // the recipient is no number
    (21212, Elsewhere), // the sender is no number
    (21214, Never),     // the recipient cannot be reached
    (21217, Never),     // the recipient is no number
    (21265, Never),     // the recipient is a short code
    (21408, Elsewhere), // no permission for the recipient's country
    (21602, Never),     // no text
    (21603, Elsewhere), // no sender
    (21606, Elsewhere), // the sender cannot send
    (21608, Elsewhere), // a trial account, and the recipient is not verified
    (21610, STOPPED),   // the recipient has opted out
    (21611, Later),     // the sender's queue is full
    (21612, Elsewhere), // no route from this sender to the recipient
    (21614, Never),     // the recipient takes no text messages
    (21617, Never),     // the text is too long
    (21655, Elsewhere), // no such content template
    (21656, Elsewhere), // the template wants other variables
    (21660, Elsewhere), // the sender is another account's
    (30001, Later),     // the queue is full
    (30002, Elsewhere), // the account is suspended
    (30003, Later),     // the handset cannot be reached
    (30004, Never),     // the recipient or the carrier blocks messages
    (30005, Never),     // the handset is unknown
    (30006, Never),     // a landline
    (30007, Elsewhere), // the carrier filtered it
    (30008, Later),     // unknown
    (30034, Elsewhere), // the sender is not registered
    (63001, Elsewhere), // the channel does not authenticate the account
    (63003, Never),     // the recipient is not on the channel
    (63016, Elsewhere), // WhatsApp takes a template only
    (63018, Later),     // too many messages on the channel
    (63024, Never),     // the recipient is not on the channel
];

#[derive(Deserialize)]
struct Problem {
    code: u32,
}

#[derive(Deserialize)]
struct Taken {
    sid: String,
    // Whatever these are, a message that has a SID is taken, and must not be sent again for the form of another field.
    #[serde(default)]
    status: Value,
    #[serde(default)]
    error_code: Value,
    #[serde(default)]
    num_segments: Value,
}

#[derive(Deserialize)]
struct Account {
    status: String,
}

impl Twilio {
    fn at(&self, path: &str) -> http::request::Builder {
        let TwilioUrl { account, token, origin, .. } = &self.0;
        let login = BASE64_STANDARD.encode(format!("{account}:{}", token.expose()));
        let uri = origin.endpoint.at(&format!("/2010-04-01/Accounts/{account}{path}.json"));
        Request::builder().uri(uri).header(header::AUTHORIZATION, hidden(&format!("Basic {login}")))
    }

    fn form(&self, message: &Outgoing, now: Timestamp) -> Result<String, SendError> {
        let TwilioUrl { from, service, whatsapp, content, callback, .. } = &self.0;
        let lacks = |what: &str| SendError::Unusable { reason: format!("Twilio: OTP_SMS_URL lacks {what}") };
        let mut form = form_urlencoded::Serializer::new(String::new());
        match message.channel {
            Channel::Email => {
                return Err(SendError::Permanent { reason: "Twilio sends text messages and WhatsApp only".to_owned() });
            }
            Channel::Sms => {
                form.append_pair("To", &message.to).append_pair("Body", &message.text);
                match (from, service) {
                    (Some(from), _) => form.append_pair("From", from),
                    (None, Some(service)) => form.append_pair("MessagingServiceSid", service),
                    (None, None) => return Err(lacks("`from=` or `service=`")),
                };
            }
            Channel::Whatsapp => {
                let content = content.as_ref().ok_or_else(|| lacks("`content=`"))?;
                let code = message.code.as_ref().map(Secret::expose).ok_or_else(|| SendError::Permanent {
                    reason: "WhatsApp takes messages with a code only".to_owned(),
                })?;
                form.append_pair("To", &format!("whatsapp:{}", message.to)).append_pair("ContentSid", content);
                form.append_pair("ContentVariables", &json!({"1": code}).to_string());
                match (whatsapp, service) {
                    (Some(from), _) => form.append_pair("From", &format!("whatsapp:{from}")),
                    (None, Some(service)) => form.append_pair("MessagingServiceSid", service),
                    (None, None) => return Err(lacks("`whatsapp=`")),
                };
            }
        }
        let left = message.expires_at.since(now).as_secs().clamp(*VALIDITY.start(), *VALIDITY.end());
        form.append_pair("ValidityPeriod", &left.to_string());
        if let Some(reached_at) = callback {
            let callback = format!("{reached_at}/callbacks/twilio/{}?message={}", message.tenant, message.id);
            form.append_pair("StatusCallback", &callback);
        }
        Ok(form.finish())
    }

    fn refusal(answer: &Answer) -> Refusal {
        let by_status = match Refusal::by_status(answer.status) {
            Refusal { verdict: Never, name } => Refusal { verdict: Elsewhere, name },
            other => other,
        };
        match answer.json() {
            Some(Problem { code }) => by_code(code, by_status.verdict),
            None => by_status,
        }
    }
}

/// The codes have five digits, which no passcode has.
fn by_code(code: u32, otherwise: Verdict) -> Refusal {
    let verdict = CODES.iter().find(|(known, _)| *known == code).map_or(otherwise, |(_, verdict)| *verdict);
    let name = (10_000..100_000).contains(&code).then(|| format!("error {code}"));
    Refusal { verdict, name }
}

impl Provider for Twilio {
    fn name(&self) -> &'static str {
        "Twilio"
    }

    fn request(&self, message: &Outgoing, now: Timestamp) -> Result<Request<Bytes>, SendError> {
        let form = self.form(message, now)?;
        let request = self.at("/Messages").method("POST");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        Ok(request.body(form.into()).expect("the parts were checked"))
    }

    fn judge(&self, answer: &Answer) -> Result<Receipt, Refusal> {
        let Some(taken) = answer.json::<Taken>().filter(|_| answer.status.is_success()) else {
            return Err(Self::refusal(answer));
        };
        if matches!(taken.status.as_str(), Some("failed" | "undelivered" | "canceled")) {
            let code = taken.error_code.as_u64().and_then(|code| u32::try_from(code).ok());
            return Err(by_code(code.unwrap_or_default(), Elsewhere));
        }
        // Of a messaging service the sender, and with it the count, is not known yet, and it says 0.
        let segments = taken.num_segments.as_str().and_then(|count| count.parse().ok()).filter(|count| *count > 0);
        Ok(Receipt { provider_id: message_id(&taken.sid), segments, ..Receipt::default() })
    }

    fn probe(&self, _now: Timestamp) -> Request<Bytes> {
        self.at("").body(Bytes::new()).expect("the parts were checked")
    }

    fn judge_probe(&self, answer: &Answer) -> Result<(), String> {
        match (answer.status.as_u16(), answer.json::<Account>()) {
            (200, Some(account)) if account.status == "active" => Ok(()),
            (200, Some(_)) => Err("the account is suspended or closed; look at https://console.twilio.com".to_owned()),
            (status @ (401 | 403 | 404), _) => {
                Err(format!("it does not accept SID and token ({status}); copy both from https://console.twilio.com"))
            }
            (status, _) => {
                Err(format!("it answers {status}, and not as Twilio does; check `endpoint=` if there is one"))
            }
        }
    }
}
