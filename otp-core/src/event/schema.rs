//! What events look like on the wire, for people and as JSON Schema.

use std::sync::LazyLock;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{EventData, EventKind};
use crate::api_key::KeyType;
use crate::clock::Timestamp;
use crate::delivery::DeliveryStatus;
use crate::id::{ChallengeId, KeyId, MessageId, SessionId, UserId};
use crate::limit::{Guard, LimitOf};
use crate::message::Channel;
use crate::numbering::Country;
use crate::secret::Sealed;
use crate::tenant::{Mode, TenantStatus};

/// One thing that an event says.
pub(crate) struct Field {
    /// As the wire calls it.
    pub name: String,
    about: String,
    shape: Value,
    is_optional: bool,
}

impl Field {
    /// By its name in the code, what is said of it there, and what serde is told of it.
    pub fn of<T: Told>(name: &str, about: &str, serde: &str) -> Self {
        let about = about.trim().to_owned();
        // The caller's notes are opened on their way out.
        let name = match serde.split_once("rename = \"").and_then(|(_, rest)| rest.split('"').next()) {
            Some(renamed) => renamed.to_owned(),
            None => camel_case(name.trim_start_matches("sealed_")),
        };
        Self { name, about, shape: T::shape(), is_optional: T::OPTIONAL }
    }

    fn of_person<T: Told>(name: &str, about: &str) -> Self {
        Self { is_optional: true, ..Self::of::<T>(name, about, "") }
    }

    fn schema(&self) -> Value {
        let mut shape = self.shape.clone();
        if self.is_optional {
            let with_null = json!([shape["type"].take(), "null"]);
            shape["type"] = with_null;
            if let Some(Value::Array(values)) = shape.get_mut("enum") {
                values.push(Value::Null);
            }
        }
        shape["description"] = self.about.clone().into();
        shape
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1.min(word.len()));
        text.push_str(&first.to_ascii_uppercase());
        text.push_str(rest);
    }
    text
}

/// A type that events say things with.
pub(crate) trait Told: Serialize {
    const OPTIONAL: bool = false;
    /// Whether it is opened before it is told.
    const IS_SEALED: bool = false;

    fn shape() -> Value;

    /// Says it under a name.
    fn tell<M: SerializeMap>(&self, name: &str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, self)
    }
}

impl<T: Told> Told for Option<T> {
    const OPTIONAL: bool = true;
    const IS_SEALED: bool = T::IS_SEALED;

    fn shape() -> Value {
        T::shape()
    }

    fn tell<M: SerializeMap>(&self, name: &str, map: &mut M) -> Result<(), M::Error> {
        match self {
            _ if Self::IS_SEALED => Ok(()),
            Some(told) => told.tell(name, map),
            None => map.serialize_entry(name, &()),
        }
    }
}

impl Told for Timestamp {
    fn shape() -> Value {
        json!({"type": "string", "format": "date-time"})
    }

    fn tell<M: SerializeMap>(&self, name: &str, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry(name, &self.to_string())
    }
}

impl Told for Sealed {
    const IS_SEALED: bool = true;

    // What a caller seals is notes of its own.
    fn shape() -> Value {
        json!({"type": "object"})
    }
}

impl<T: Told> Told for Vec<T> {
    fn shape() -> Value {
        json!({"type": "array", "items": T::shape()})
    }
}

macro_rules! told {
    ($($type:ty => $shape:tt;)*) => {$(
        impl Told for $type {
            fn shape() -> Value {
                json!($shape)
            }
        }
    )*};
}

told! {
    String => {"type": "string"};
    bool => {"type": "boolean"};
    u8 => {"type": "integer", "minimum": 0};
    u64 => {"type": "integer", "minimum": 0};
    usize => {"type": "integer", "minimum": 0};
    f64 => {"type": "number", "minimum": 0};
    ChallengeId => {"type": "string", "pattern": "^otp_"};
    KeyId => {"type": "string", "pattern": "^key_"};
    MessageId => {"type": "string", "pattern": "^msg_"};
    SessionId => {"type": "string", "pattern": "^sess_"};
    UserId => {"type": "string", "pattern": "^user_"};
    Channel => {"type": "string", "enum": ["email", "sms", "whatsapp"]};
    KeyType => {"type": "string", "enum": ["secret", "publishable"]};
    Mode => {"type": "string", "enum": ["live", "test"]};
    TenantStatus => {"type": "string", "enum": ["pending", "active", "suspended", "cancelled"]};
    Guard => {"type": "string", "enum": ["prefix_velocity", "prefix_conversion", "daily_spend"]};
    Country => {"type": "string", "pattern": "^[A-Z]{2}$"};
    DeliveryStatus => {"type": "string", "enum": ["failed", "delivered", "bounced", "complained"]};
    LimitOf => {"type": "string", "enum": ["recipient", "client", "customer"]};
}

/// What is said of whomever an event is about.
fn person() -> Vec<Field> {
    vec![
        Field::of_person::<UserId>("user_id", "The user; null of somebody who has not signed in yet."),
        Field::of_person::<String>("email", "The address, if that is how they sign in."),
        Field::of_person::<String>("phone", "The number, if that is how they sign in."),
        Field::of_person::<String>("ip_address", "Where they called from."),
        Field::of_person::<String>("user_agent", "What they called with."),
    ]
}

impl EventKind {
    /// Whether it is about somebody, who is then told of.
    pub fn is_about_people(self) -> bool {
        use EventKind::*;
        matches!(
            self,
            OtpRequested
                | OtpVerified
                | OtpFailed
                | UserCreated
                | UserLoggedIn
                | UserLoggedOut
                | MessageDelivered
                | TotpEnabled
                | TotpDisabled
                | TotpFailed
                | RecoveryCodeUsed
                | MessageFailed
                | RateLimitExceeded
        )
    }

    /// The JSON Schema (2020-12) of what is sent: the whole body.
    pub fn schema(self) -> Value {
        let mut fields = self.fields();
        if self.is_about_people() {
            fields.retain(|field| field.name != "userId");
            fields.extend(person());
        }
        let required: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let properties: Map<String, Value> = fields.iter().map(|field| (field.name.clone(), field.schema())).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.as_str(),
            "description": self.about(),
            "type": "object",
            "required": ["event", "type", "id", "timestamp", "customerId", "mode", "data"],
            "properties": {
                "event": {"const": self.as_str()},
                "type": {"const": self.as_str(), "description": "The same as `event`."},
                "id": {"type": "string", "pattern": "^evt_", "description": "The same each time it is sent."},
                "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
                "customerId": {"type": "string", "pattern": "^cust_"},
                "mode": {"type": "string", "enum": ["live", "test"]},
                "sample": {"const": true, "description": "Only of what is made up, to try an endpoint."},
                "data": {"type": "object", "required": required, "properties": properties},
            },
        })
    }
}

/// What the fields of each kind are called on the wire.
pub(super) static NAMES: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let names = |kind: &EventKind| kind.fields().into_iter().map(|field| field.name).collect();
    EventKind::ALL.iter().map(names).collect()
});

impl EventData {
    /// What there is to say, in the words of the wire; of what is sealed nothing.
    pub(crate) fn payload(&self) -> Map<String, Value> {
        let mut map = serde_json::value::Serializer.serialize_map(None).expect("plain data");
        self.tell("", &mut map).expect("plain data");
        match map.end() {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}
