//! SendGrid: <https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send>.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use otp_core::message::{Outgoing, Receipt, SendError};
use otp_core::{Secret, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::callbacks::{CUSTOMER_TAG, MESSAGE_TAG};
use crate::mail::MailFrom;
use crate::mail::letter::{HEADERS, Letter};
use crate::outbound::{Answer, Endpoint};
use crate::provider::{Provider, Refusal, Verdict, hidden, message_id};

pub(super) struct SendGrid {
    pub(super) key: Secret,
    pub(super) endpoint: Endpoint,
    pub(super) from: MailFrom,
}

#[derive(Deserialize)]
struct Problem {
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    field: Option<String>,
}

#[derive(Deserialize)]
struct Scopes {
    scopes: Vec<String>,
}

impl SendGrid {
    fn at(&self, path: &str) -> http::request::Builder {
        let authorization = hidden(&format!("Bearer {}", self.key.expose()));
        Request::builder().uri(self.endpoint.at(path)).header(header::AUTHORIZATION, authorization)
    }

    fn body(letter: &Letter) -> Value {
        let message = letter.message;
        let address = |address: &lettre::Address| json!({"email": address.to_string()});
        let mut from = address(&letter.from.email);
        if let Some(name) = &letter.from.name {
            from["name"] = name.as_str().into();
        }
        let mut content = vec![json!({"type": "text/plain", "value": message.text})];
        content.extend(message.html.as_ref().map(|html| json!({"type": "text/html", "value": html})));
        let mut headers: Map<String, Value> =
            HEADERS.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        headers.insert("Message-ID".to_owned(), letter.message_id.as_str().into());
        let mut body = json!({
            "personalizations": [{
                "to": [address(&letter.to)],
                "custom_args": {MESSAGE_TAG: message.id, CUSTOMER_TAG: message.tenant},
            }],
            "from": from,
            "subject": message.subject,
            "content": content,
            "headers": headers,
            // A link that goes through a tracker looks like phishing, and a picture tells who has read the mail.
            "tracking_settings": {
                "click_tracking": {"enable": false, "enable_text": false},
                "open_tracking": {"enable": false},
            },
        });
        if let Some(reply_to) = &letter.reply_to {
            body["reply_to"] = address(reply_to);
        }
        body
    }

    fn refusal(answer: &Answer) -> Refusal {
        let by_status = Refusal::by_status(answer.status);
        let fault = answer.json::<Problem>().and_then(|problem| problem.errors.into_iter().next());
        match fault {
            // The sender is the operator's or the tenant's, and no fault of the message.
            Some(Fault { field: Some(field) }) if field == "from" || field.starts_with("from.") => {
                Refusal::named(Verdict::Elsewhere, "from")
            }
            _ => by_status,
        }
    }
}

impl Provider for SendGrid {
    fn name(&self) -> &'static str {
        "SendGrid"
    }

    fn request(&self, message: &Outgoing, _now: Timestamp) -> Result<Request<Bytes>, SendError> {
        let body = Self::body(&Letter::of(message, &self.from)?).to_string();
        let request = self.at("/v3/mail/send").method("POST").header(header::CONTENT_TYPE, "application/json");
        Ok(request.body(body.into()).expect("the parts were checked"))
    }

    fn judge(&self, answer: &Answer) -> Result<Receipt, Refusal> {
        if answer.status == StatusCode::ACCEPTED && answer.json::<Problem>().is_none() {
            return Ok(Receipt {
                provider_id: answer.header("x-message-id").and_then(message_id),
                ..Receipt::default()
            });
        }
        Err(Self::refusal(answer))
    }

    fn probe(&self, _now: Timestamp) -> Request<Bytes> {
        self.at("/v3/scopes").body(Bytes::new()).expect("the parts were checked")
    }

    fn judge_probe(&self, answer: &Answer) -> Result<(), String> {
        let make = "make one with \"Mail Send\" at https://app.sendgrid.com/settings/api_keys";
        match (answer.status.as_u16(), answer.json::<Scopes>()) {
            (200, Some(Scopes { scopes })) if scopes.iter().any(|scope| scope == "mail.send") => Ok(()),
            (200, Some(_)) => Err(format!("the key may not send mail; {make}")),
            (status @ (401 | 403), _) => Err(format!("it does not accept the key ({status}); {make}")),
            (status, _) => {
                Err(format!("it answers {status}, and not as SendGrid does; check `endpoint=` if there is one"))
            }
        }
    }
}
