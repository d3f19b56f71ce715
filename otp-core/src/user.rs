//! Users: subjects that have verified once.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::UserId;
use crate::message::Channel;
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;

/// A user accepted a tenant's terms, as the tenant says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Which version of them, in the tenant's words.
    pub version: String,
    /// At which sign-in.
    pub at: Timestamp,
}

/// A user of a tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Identifier; never given to anyone else.
    pub id: UserId,
    /// Tenant and mode.
    pub space: Space,
    /// The blind index of the address.
    pub subject: SubjectKey,
    /// The scope of every command on this user.
    pub bucket: BucketKey,
    /// What kind of address it is.
    pub channel: Channel,
    /// The address as first spelled, sealed.
    pub address: Sealed,
    /// First sign-in.
    pub created_at: Timestamp,
    /// Latest sign-in.
    pub last_login_at: Timestamp,
    /// The terms they accepted last, where the tenant noted it.
    #[serde(default)]
    pub consent: Option<Consent>,
}

impl Stored for User {
    const KIND: Kind = Kind::User;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.owner())
    }

    fn alias(&self) -> Option<SmallBytes> {
        Some(self.subject.as_bytes().into())
    }
}
