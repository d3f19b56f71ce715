//! A member's sign-in that waits for its second factor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::MemberId;
use crate::notice::INSTALLATION;
use crate::secret::Digest32;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::BucketKey;
use crate::tenant::Space;

/// How long it waits.
const WAITS_FOR: Duration = Duration::from_secs(600);
/// Such sign-ins of one member; a further one ends the oldest.
pub(crate) const SIGN_INS: usize = 20;

/// A password or a code was right, and a second factor is to follow. It is found by the token that the answer carried, and is
/// gone once the session began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberSignIn {
    /// Digest of the token.
    pub token: Digest32,
    /// The installation's.
    pub space: Space,
    /// Whose sign-in.
    pub member: MemberId,
    /// The scope of every command on it: that of its member.
    pub bucket: BucketKey,
    /// Whether a program signs in, which gets a token, or a browser, which gets a cookie.
    pub for_program: bool,
    /// When the password or the code was right.
    pub created_at: Timestamp,
}

impl MemberSignIn {
    /// Where the one of a token stands.
    pub fn key_of(token: &Digest32) -> Key {
        Key::new::<Self>(INSTALLATION.tenant, &token.0)
    }

    /// When it is too late.
    pub fn ends_at(&self) -> Timestamp {
        self.created_at + WAITS_FOR
    }

    /// Whether it can still be gone on with.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.ends_at()
    }
}

impl Stored for MemberSignIn {
    const KIND: Kind = Kind::MemberSignIn;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, &self.token.0)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.member.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at())
    }
}
