//! Members: the people who run a tenant.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{MemberId, TenantId};
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::SubjectKey;

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything: whoever signed the tenant up.
    Owner,
}

/// Somebody who runs a tenant. An address is a member of one tenant at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Identifier.
    pub id: MemberId,
    /// Which tenant.
    pub tenant: TenantId,
    /// The blind index of the address, under the installation's keys.
    pub subject: SubjectKey,
    /// The address as first spelled, proven and sealed under the tenant's keys.
    pub email: Sealed,
    /// The hash of the password, a PHC string, sealed under the tenant's keys.
    pub password: Sealed,
    /// What it may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
}

impl Member {
    /// Where the address is sealed.
    pub const EMAIL: &'static [u8] = b"member.email";
    /// Where the hash of the password is sealed.
    pub const PASSWORD: &'static [u8] = b"member.password";
}

impl Stored for Member {
    const KIND: Kind = Kind::Member;

    fn key(&self) -> Key {
        Key::new::<Self>(self.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }

    fn alias(&self) -> Option<SmallBytes> {
        Some(self.subject.as_bytes().into())
    }
}
