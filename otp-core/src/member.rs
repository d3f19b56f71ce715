//! Members: the people who run tenants.
//!
//! A member is an account of the installation, of one address. What it may do with a tenant is a [`Membership`], of which it
//! may have many.

mod code;
mod session;
mod sign_in;
mod team;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::MemberId;
use crate::secret::Sealed;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;

pub use code::{CodeUse, MemberCode};
pub(crate) use code::{Guess, Registrant};
pub use session::{ABSOLUTE, FRESH_FOR, IDLE, MemberSession};
pub(crate) use session::{SESSIONS, csrf_token, is_for_program, new_session_token};
pub use sign_in::MemberSignIn;
pub(crate) use sign_in::SIGN_INS;
pub(crate) use team::InvitationProof;
pub use team::{INVITED_FOR, Invitation, Membership, Permission, Role, Seat, TEAM};

/// Somebody who runs tenants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Identifier.
    pub id: MemberId,
    /// The installation's: an account is of no tenant.
    pub space: Space,
    /// The blind index of the address, under the installation's keys.
    pub subject: SubjectKey,
    /// The scope of every command on this account.
    pub bucket: BucketKey,
    /// The address as first spelled, proven and sealed.
    pub email: Sealed,
    /// The hash of the password, a PHC string, sealed.
    pub password: Sealed,
    /// What the member wants to be called, sealed.
    pub name: Option<Sealed>,
    /// Since when.
    pub created_at: Timestamp,
}

impl Member {
    /// Where the address is sealed.
    pub const EMAIL: &'static [u8] = b"member.email";
    /// Where the hash of the password is sealed.
    pub const PASSWORD: &'static [u8] = b"member.password";
    /// Where the name is sealed.
    pub const NAME: &'static [u8] = b"member.name";
}

impl Stored for Member {
    const KIND: Kind = Kind::Member;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.tenant.as_bytes().into())
    }

    fn alias(&self) -> Option<SmallBytes> {
        Some(self.subject.as_bytes().into())
    }
}
