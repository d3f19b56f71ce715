//! What a receiver reads: the body of a request.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Event, EventData, EventKind};
use crate::id::{EventId, TenantId};
use crate::secret::TenantKeys;
use crate::service::{SealedClient, place};
use crate::tenant::{Mode, Space};

/// An event in the words of the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    event: EventKind,
    /// The same under the name that Standard Webhooks has for it.
    #[serde(rename = "type")]
    kind: EventKind,
    id: EventId,
    timestamp: String,
    customer_id: TenantId,
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<bool>,
    data: Value,
}

/// Opens what events hold of people.
pub(crate) struct People<'a>(pub &'a TenantKeys);

impl Body {
    /// That of an event.
    pub fn of(event: &Event, keys: &TenantKeys) -> Result<Self, Error> {
        Ok(Self::with(event.space, event.id, event.at, event.kind(), People(keys).told(event)?))
    }

    /// That of a made-up event of this name.
    pub fn of_sample(space: Space, id: EventId, at: Timestamp, kind: EventKind) -> Self {
        let data = kind.sample_payload();
        Self { sample: Some(true), ..Self::with(space, id, at, kind, data) }
    }

    fn with(space: Space, id: EventId, at: Timestamp, kind: EventKind, data: Value) -> Self {
        let Space { tenant: customer_id, mode } = space;
        Self { event: kind, kind, id, timestamp: at.to_string(), customer_id, mode, sample: None, data }
    }

    /// The bytes that are signed and sent.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }
}

impl People<'_> {
    /// What an event says, with whom it is about.
    pub fn told(&self, event: &Event) -> Result<Value, Error> {
        let mut told = self.fields(event)?;
        let Some(person) = &event.person else { return Ok(Value::Object(told)) };
        let client = SealedClient::open(self.0, &person.subject, person.client.as_ref())?;
        let address = person.address.as_ref();
        let address =
            address.map(|sealed| self.0.open_text(&place(b"address", &person.subject), sealed)).transpose()?;
        let (email, phone) = match address {
            Some(address) if address.contains('@') => (Some(address), None),
            address => (None, address),
        };
        told.insert("userId".to_owned(), json!(person.user));
        told.insert("email".to_owned(), json!(email));
        told.insert("phone".to_owned(), json!(phone));
        told.insert("ipAddress".to_owned(), json!(client.ip));
        told.insert("userAgent".to_owned(), json!(client.user_agent));
        Ok(Value::Object(told))
    }

    /// What an event says beside whom it is about, the caller's notes opened.
    pub fn fields(&self, event: &Event) -> Result<Map<String, Value>, Error> {
        let mut fields = event.data.payload();
        let EventData::OtpRequested { sealed_metadata, .. } = &event.data else { return Ok(fields) };
        let subject = event.person.as_ref().map(|person| person.subject);
        let opened = match (sealed_metadata, subject) {
            (Some(sealed), Some(subject)) => Some(self.0.open_text(&place(b"metadata", &subject), sealed)?),
            _ => None,
        };
        let metadata: Option<Value> = opened.and_then(|opened| serde_json::from_str(&opened).ok());
        fields.insert("metadata".to_owned(), json!(metadata));
        Ok(fields)
    }
}
