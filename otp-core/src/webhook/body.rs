//! What a receiver reads: the body of a request.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Event, EventData, EventKind};
use crate::id::{EventId, TenantId, UserId};
use crate::secret::TenantKeys;
use crate::service::{SealedClient, place};
use crate::tenant::{Mode, Space};

/// An event in the words of the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body<D> {
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
    data: D,
}

/// What an event says, with what it holds of people opened.
pub(crate) struct Opened<'a> {
    data: &'a EventData,
    metadata: Option<Value>,
    person: Option<Someone>,
}

struct Someone {
    user: Option<UserId>,
    address: Option<String>,
    client: SealedClient,
}

impl<'a> Body<Opened<'a>> {
    /// That of an event.
    pub fn of(event: &'a Event, keys: &TenantKeys) -> Result<Self, Error> {
        Ok(Self::with(event.space, event.id, event.at, event.kind(), Opened::of(event, keys)?))
    }
}

impl Body<Value> {
    /// That of a made-up event of this name.
    pub fn of_sample(space: Space, id: EventId, at: Timestamp, kind: EventKind) -> Self {
        Self { sample: Some(true), ..Self::with(space, id, at, kind, kind.sample_payload()) }
    }
}

impl<D: Serialize> Body<D> {
    fn with(space: Space, id: EventId, at: Timestamp, kind: EventKind, data: D) -> Self {
        let Space { tenant: customer_id, mode } = space;
        Self { event: kind, kind, id, timestamp: at.to_string(), customer_id, mode, sample: None, data }
    }

    /// The bytes that are signed and sent.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }
}

impl<'a> Opened<'a> {
    fn of(event: &'a Event, keys: &TenantKeys) -> Result<Self, Error> {
        let person = event.person.as_ref().map(|person| {
            let open = |sealed| keys.open_text(&place(b"address", &person.subject), sealed);
            Ok::<_, Error>(Someone {
                user: person.user,
                address: person.address.as_ref().map(open).transpose()?,
                client: SealedClient::open(keys, &person.subject, person.client.as_ref())?,
            })
        });
        Ok(Self { data: &event.data, metadata: notes(event, keys)?, person: person.transpose()? })
    }
}

impl Serialize for Opened<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut told = serializer.serialize_map(None)?;
        self.data.tell(if self.person.is_some() { "userId" } else { "" }, &mut told)?;
        if let Some(metadata) = &self.metadata {
            told.serialize_entry("metadata", metadata)?;
        }
        if let Some(Someone { user, address, client }) = &self.person {
            let is_email = address.as_ref().is_some_and(|address| address.contains('@'));
            told.serialize_entry("userId", user)?;
            told.serialize_entry("email", &address.as_ref().filter(|_| is_email))?;
            told.serialize_entry("phone", &address.as_ref().filter(|_| !is_email))?;
            told.serialize_entry("ipAddress", &client.ip)?;
            told.serialize_entry("userAgent", &client.user_agent)?;
        }
        told.end()
    }
}

/// What an event says beside whom it is about, the caller's notes opened.
pub(crate) fn fields(event: &Event, keys: &TenantKeys) -> Result<Map<String, Value>, Error> {
    let mut fields = event.data.payload();
    if let Some(metadata) = notes(event, keys)? {
        fields.insert("metadata".to_owned(), metadata);
    }
    Ok(fields)
}

/// The caller's notes, of events that can hold some; null without.
fn notes(event: &Event, keys: &TenantKeys) -> Result<Option<Value>, Error> {
    let EventData::OtpRequested { sealed_metadata, .. } = &event.data else { return Ok(None) };
    let subject = event.person.as_ref().map(|person| person.subject);
    let opened = match (sealed_metadata, subject) {
        (Some(sealed), Some(subject)) => Some(keys.open_text(&place(b"metadata", &subject), sealed)?),
        _ => None,
    };
    Ok(Some(opened.and_then(|opened| serde_json::from_str(&opened).ok()).unwrap_or_default()))
}
