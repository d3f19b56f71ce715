//! A service of the operator's own, which is posted each message as JSON, signed as of Standard Webhooks 1.0.0.

use bytes::Bytes;
use http::{Request, header};
use otp_core::message::{Outgoing, Receipt, SendError};
use otp_core::{MessageId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::GatewayUrl;
use crate::outbound::Answer;
use crate::provider::{Provider, Refusal, message_id};

pub(super) struct Gateway(pub(super) GatewayUrl);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    message_id: MessageId,
    customer_id: TenantId,
    channel: &'static str,
    to: &'a str,
    text: &'a str,
    expires_at: String,
}

/// What it may answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    id: Option<String>,
    segments: Option<u32>,
}

impl Provider for Gateway {
    fn name(&self) -> &'static str {
        "the gateway"
    }

    fn request(&self, message: &Outgoing, now: Timestamp) -> Result<Request<Bytes>, SendError> {
        let body = Body {
            message_id: message.id,
            customer_id: message.tenant,
            channel: message.channel.as_str(),
            to: &message.to,
            text: &message.text,
            expires_at: message.expires_at.to_string(),
        };
        let body = serde_json::to_vec(&body).expect("text serialises");
        let id = message.id.to_string();
        let request = Request::post(self.0.endpoint.uri())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-timestamp", now.as_secs())
            .header("webhook-signature", self.0.secret.sign(&id, now, &body))
            .header("webhook-id", id);
        Ok(request.body(body.into()).expect("the parts were checked"))
    }

    fn judge(&self, answer: &Answer) -> Result<Receipt, Refusal> {
        if !answer.status.is_success() {
            return Err(Refusal::by_status(answer.status));
        }
        let Taken { id, segments } = answer.json().unwrap_or(Taken { id: None, segments: None });
        Ok(Receipt { provider_id: id.as_deref().and_then(message_id), segments, ..Receipt::default() })
    }

    /// It has no request that sends nothing, so that all there is to see is whether it answers.
    fn probe(&self, _now: Timestamp) -> Request<Bytes> {
        Request::head(self.0.endpoint.uri()).body(Bytes::new()).expect("the parts were checked")
    }

    fn judge_probe(&self, answer: &Answer) -> Result<(), String> {
        match answer.status.as_u16() {
            status @ (500..) => Err(format!("it answers {status} to HEAD; look at its log")),
            _ => Ok(()),
        }
    }
}
