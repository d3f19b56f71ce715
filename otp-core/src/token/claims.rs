//! What a token says.

use std::fmt;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::id::{SessionId, TenantId};

/// What a token says. Times are whole seconds since the Unix epoch.
///
/// Reading is strict: a missing or repeated claim, or one of the wrong JSON type, is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// Whom it is about: the user's id, or in a proof without a user the address.
    pub sub: String,
    /// For which tenant.
    pub aud: TenantId,
    /// The session it belongs to; a proof has none.
    pub sid: Option<SessionId>,
    /// Its own id, never used twice.
    pub jti: String,
    /// When it was made.
    pub iat: i64,
    /// From when on it is good.
    pub nbf: i64,
    /// From when on it is no longer good.
    pub exp: i64,
    /// The verified e-mail address.
    pub email: Option<String>,
    /// The verified phone number.
    pub phone: Option<String>,
    /// How the user proved who they are (RFC 8176).
    pub amr: Vec<String>,
    /// When the user last proved it; of an access token only.
    pub auth_time: Option<i64>,
    /// How much was proven: `1fa`, or `2fa` with a second factor. Of an access token only.
    pub acr: Option<String>,
    /// What a proof was asked for.
    pub purpose: Option<String>,
    /// A digest of what a proof approves.
    pub context_hash: Option<String>,
    /// The tenant's own claims, which stand beside the others. Those with a [reserved](Claims::RESERVED) name are not
    /// written.
    pub custom: Map<String, Value>,
}

impl Claims {
    /// The names that [`custom`](Claims::custom) cannot use.
    pub const RESERVED: [&'static str; 15] = [
        "iss",
        "sub",
        "aud",
        "sid",
        "jti",
        "iat",
        "nbf",
        "exp",
        "email",
        "phone",
        "amr",
        "auth_time",
        "acr",
        "purpose",
        "context_hash",
    ];
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("sub", &self.sub)?;
        map.serialize_entry("aud", &self.aud)?;
        serialize_some(&mut map, "sid", self.sid.as_ref())?;
        map.serialize_entry("jti", &self.jti)?;
        map.serialize_entry("iat", &self.iat)?;
        map.serialize_entry("nbf", &self.nbf)?;
        map.serialize_entry("exp", &self.exp)?;
        serialize_some(&mut map, "email", self.email.as_ref())?;
        serialize_some(&mut map, "phone", self.phone.as_ref())?;
        map.serialize_entry("amr", &self.amr)?;
        serialize_some(&mut map, "auth_time", self.auth_time.as_ref())?;
        serialize_some(&mut map, "acr", self.acr.as_ref())?;
        serialize_some(&mut map, "purpose", self.purpose.as_ref())?;
        serialize_some(&mut map, "context_hash", self.context_hash.as_ref())?;
        for (name, value) in &self.custom {
            if !Self::RESERVED.contains(&name.as_str()) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

fn serialize_some<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: Option<&(impl Serialize + ?Sized)>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut claims = Object::deserialize(deserializer)?;
        Ok(Self {
            iss: claims.required("iss")?,
            sub: claims.required("sub")?,
            aud: claims.required("aud")?,
            sid: claims.optional("sid")?,
            jti: claims.required("jti")?,
            iat: claims.required("iat")?,
            nbf: claims.required("nbf")?,
            exp: claims.required("exp")?,
            email: claims.optional("email")?,
            phone: claims.optional("phone")?,
            amr: claims.required("amr")?,
            auth_time: claims.optional("auth_time")?,
            acr: claims.optional("acr")?,
            purpose: claims.optional("purpose")?,
            context_hash: claims.optional("context_hash")?,
            custom: claims.0,
        })
    }
}

/// A JSON object in which no name stands twice; `serde_json` alone would keep the last.
pub(super) struct Object(pub(super) Map<String, Value>);

impl Object {
    fn required<T: DeserializeOwned, E: Error>(&mut self, name: &'static str) -> Result<T, E> {
        self.optional(name)?.ok_or_else(|| E::missing_field(name))
    }

    /// Absent is `None`; `null` is a value of the wrong type.
    fn optional<T: DeserializeOwned, E: Error>(&mut self, name: &str) -> Result<Option<T>, E> {
        self.0.remove(name).map(serde_json::from_value).transpose().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without repeated names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Object(map))
    }
}
