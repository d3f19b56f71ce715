//! Resend: <https://resend.com/docs/api-reference>.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, header};
use otp_core::message::{Outgoing, Receipt, SendError};
use otp_core::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::callbacks::{CUSTOMER_TAG, MESSAGE_TAG};
use crate::mail::MailFrom;
use crate::mail::letter::{HEADERS, Letter};
use crate::outbound::{Answer, Endpoint};
use crate::provider::Verdict::{Elsewhere, Later, Never};
use crate::provider::{Provider, Refusal, Verdict, hidden, message_id};

pub(super) struct Resend {
    pub(super) key: Secret,
    pub(super) endpoint: Endpoint,
    pub(super) from: MailFrom,
}

#[derive(Serialize)]
struct Email<'a> {
    from: String,
    to: [&'a str; 1],
    subject: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    headers: BTreeMap<&'a str, &'a str>,
    tags: [Tag; 2],
}

#[derive(Serialize)]
struct Tag {
    name: &'static str,
    value: String,
}

#[derive(Deserialize)]
struct Taken {
    id: String,
}

#[derive(Deserialize)]
struct Problem {
    name: String,
}

/// What it calls its refusals, where the status alone does not tell what to do.
const NAMES: &[(&str, Verdict)] = &[
    ("application_error", Later),
    ("concurrent_idempotent_requests", Later),
    ("daily_quota_exceeded", Elsewhere),
    ("internal_server_error", Later),
    ("invalid_access", Elsewhere),
    ("invalid_api_key", Elsewhere),
    ("invalid_attachment", Never),
    ("invalid_from_address", Elsewhere),
    ("invalid_idempotency_key", Never),
    ("invalid_idempotent_request", Never),
    ("invalid_parameter", Never),
    ("invalid_permission", Elsewhere),
    ("invalid_region", Elsewhere),
    ("method_not_allowed", Elsewhere),
    ("missing_api_key", Elsewhere),
    ("missing_required_field", Never),
    ("missing_required_fields", Never),
    ("monthly_quota_exceeded", Elsewhere),
    ("not_found", Elsewhere),
    ("rate_limit_exceeded", Later),
    ("resource_locked", Later),
    ("restricted_api_key", Elsewhere),
    ("service_unavailable", Later),
    ("suspended_api_key", Elsewhere),
];
/// With 403 the sender's domain is not verified, with 400 and 422 the request is at fault.
const VALIDATION: &str = "validation_error";

impl Resend {
    fn at(&self, path: &str) -> http::request::Builder {
        let authorization = hidden(&format!("Bearer {}", self.key.expose()));
        Request::builder().uri(self.endpoint.at(path)).header(header::AUTHORIZATION, authorization)
    }

    fn refusal(answer: &Answer) -> Refusal {
        let by_status = Refusal::by_status(answer.status);
        let Some(Problem { name }) = answer.json() else { return by_status };
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some((name, verdict)) => Refusal::named(*verdict, name),
            None if name == VALIDATION => Refusal::named(by_status.verdict, VALIDATION),
            None => by_status,
        }
    }
}

impl Provider for Resend {
    fn name(&self) -> &'static str {
        "Resend"
    }

    fn request(&self, message: &Outgoing, _now: Timestamp) -> Result<Request<Bytes>, SendError> {
        let letter = Letter::of(message, &self.from)?;
        let email = Email {
            from: letter.from.to_string(),
            to: [letter.to.as_ref()],
            subject: &message.subject,
            text: &message.text,
            html: message.html.as_deref(),
            reply_to: letter.reply_to.as_ref().map(AsRef::as_ref),
            headers: HEADERS.into(),
            tags: [
                Tag { name: MESSAGE_TAG, value: message.id.to_string() },
                Tag { name: CUSTOMER_TAG, value: message.tenant.to_string() },
            ],
        };
        let body = serde_json::to_vec(&email).expect("text serialises");
        let request = self.at("/emails").method("POST").header(header::CONTENT_TYPE, "application/json");
        // Kept for a day, which no code lives.
        let request = request.header("idempotency-key", message.id.to_string());
        Ok(request.body(body.into()).expect("the parts were checked"))
    }

    fn judge(&self, answer: &Answer) -> Result<Receipt, Refusal> {
        let taken = answer.json::<Taken>().filter(|_| answer.status.is_success());
        match taken {
            Some(Taken { id }) => Ok(Receipt { provider_id: message_id(&id), ..Receipt::default() }),
            None => Err(Self::refusal(answer)),
        }
    }

    fn probe(&self, _now: Timestamp) -> Request<Bytes> {
        self.at("/domains").body(Bytes::new()).expect("the parts were checked")
    }

    fn judge_probe(&self, answer: &Answer) -> Result<(), String> {
        let status = answer.status.as_u16();
        if status == 200 && answer.json::<Domains>().is_some() {
            return Ok(());
        }
        match (Self::refusal(answer).name.as_deref(), status) {
            // A key that may send and nothing else may not list domains.
            (Some("restricted_api_key"), _) => Ok(()),
            (_, 401 | 403) => {
                Err(format!("it does not accept the key ({status}); make one at https://resend.com/api-keys"))
            }
            (Some(name), _) => Err(format!("it answers {status}, {name}; check `endpoint=` if there is one")),
            (None, _) => Err(format!("it answers {status}; check `endpoint=` if there is one")),
        }
    }
}

#[derive(Deserialize)]
struct Domains {
    #[serde(rename = "data")]
    _data: Vec<serde::de::IgnoredAny>,
}
